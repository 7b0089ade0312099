"""Runs the programs in turn, round after round, and gathers what they took."""

import os
import sys
import warnings
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from statistics import median
from tempfile import TemporaryDirectory

import numba
import numpy as np

from eucentric.core import SILENT, Alignment, EucentricWarning, Reporter
from eucentric.workflow.bench.floor import FloorMeter, images_there_and_back, rows_there_and_back
from eucentric.workflow.bench.ours import our_alignment, our_reconstruction
from eucentric.workflow.bench.peers import Peers
from eucentric.workflow.bench.programs import Program, ProgramError
from eucentric.workflow.bench.records import Bench, BenchSettings, Case, Row
from eucentric.workflow.bench.scores import score_views, score_volume
from eucentric.workflow.bench.workloads import TILTS_DEG, Work, alignment_work, reconstruction_work

_LONG_S = 60.0  # longer runs are not repeated: they vary by less than what they cost
_WARM_SIZE, _WARM_STEP = 64, 5  # pixels, and views: enough to have all code compiled


@dataclass
class _Task:
    """A case while it is being timed."""

    name: str
    says: str
    work: Work
    meter: FloorMeter
    programs: Sequence[Program]
    warm: Callable[[], Program] | None


@dataclass
class _Gathered:
    """What is known of a program so far."""

    seconds: list[float] = field(default_factory=list)
    peaks_MB: list[float] = field(default_factory=list)
    accuracy: dict[str, float] = field(default_factory=dict)
    reason: str = ""


def run_bench(settings: BenchSettings, *, peers_python: Path | None = None, reporter: Reporter = SILENT) -> Bench:
    """Time our main operations and those of other programs on the same work, and measure the floor beside them.

    Each of ours runs once uncounted, on a small work, so that no compilation is timed.

    Parameters
    ----------
    settings
        See `BenchSettings`.
    peers_python
        The interpreter whose packages are timed; this one's if absent.
    reporter
        Where progress goes.

    Raises
    ------
    InputError
        If `peers_python` is no interpreter.
    """
    cases, copy_B_s = [], 0.0
    with TemporaryDirectory(prefix="eucentric-bench-") as name:
        peers = Peers(peers_python or Path(sys.executable), Path(name))
        for task in _tasks(settings, peers):
            cases.append(_timed(task, settings, reporter))
            copy_B_s = max(copy_B_s, task.meter.copy_B_s)
    return Bench(
        settings=settings,
        processors=len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1,
        threads=int(numba.get_num_threads()),
        copy_GB_s=copy_B_s / 1e9,
        cases=tuple(cases),
    )


def _tasks(settings: BenchSettings, peers: Peers) -> Iterator[_Task]:
    """Give the tasks one by one, so that only one work is in memory."""
    if settings.what in ("reconstruct", "all"):
        yield from _reconstructions(settings, peers)
    if settings.what in ("align", "all"):
        yield from _alignments(settings, peers)


def _reconstructions(settings: BenchSettings, peers: Peers) -> Iterator[_Task]:
    work = reconstruction_work(settings.size, settings.seed)
    small = reconstruction_work(_WARM_SIZE, settings.seed)
    peers.write(work, settings.iterations)
    volume_bytes = 4 * work.depth * settings.size**2
    says = f"{len(work.images)} x {settings.size}² to {work.depth} x {settings.size} x {settings.size}"
    yield _Task(
        "weighted back-projection",
        f"{says}, both halves and the whole",
        work,
        # Views are read; two halves are written.
        FloorMeter(work.images, work.depth, 1, work.images.nbytes + 2 * volume_bytes, rows_there_and_back),
        [our_reconstruction(work, "wbp", 0), *peers.filtered_back_projection(work)],
        lambda: our_reconstruction(small, "wbp", 0),
    )
    if settings.iterations:
        rounds = settings.iterations
        yield _Task(
            "SIRT",
            f"{says}, {rounds} rounds for each half",
            work,
            # In each round a half is read by the projection, read and written by the step.
            FloorMeter(work.images, work.depth, 2 * rounds, 6 * rounds * volume_bytes, None),
            [our_reconstruction(work, "sirt", rounds), *peers.sirt(work)],
            lambda: our_reconstruction(small, "sirt", 1),
        )


def _alignments(settings: BenchSettings, peers: Peers) -> Iterator[_Task]:
    work = alignment_work(settings.size, settings.seed)
    small = _few_views(alignment_work(_WARM_SIZE, settings.seed))
    peers.write(work, settings.iterations)
    says = f"{len(work.images)} x {settings.size}²"
    for given in (True, False):
        yield _Task(
            f"alignment, axis {'given' if given else 'not given'}",
            says,
            work,
            # One volume of the specimen's depth, from and to all views; images are read, and correlated, once.
            FloorMeter(work.images, work.depth, 2, work.images.nbytes, images_there_and_back),
            [our_alignment(work, axis_given=given), *(peers.with_axis(work) if given else peers.without_axis(work))],
            (lambda: our_alignment(small, axis_given=True)) if given else None,  # both run the same code
        )


def _few_views(work: Work) -> Work:
    return replace(
        work, images=work.images[::_WARM_STEP], truth=work.truth.replace(tilts=work.truth.tilts[::_WARM_STEP])
    )


def _timed(task: _Task, settings: BenchSettings, reporter: Reporter) -> Case:
    gathered = {program.name: _Gathered() for program in task.programs}
    present = [program for program in task.programs if not program.missing]
    if task.warm is not None:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", EucentricWarning)  # of a work that nobody has asked for
            task.warm().run()
    with reporter.task(f"Timing {task.name}", settings.repeat * len(present)) as step:
        for _ in range(settings.repeat):
            task.meter.measure()
            for program in present:
                _once(program, task.work, gathered[program.name], reporter)
                step()
    ours = median(gathered[task.programs[0].name].seconds)
    floor = task.meter.floor()
    return Case(
        name=task.name,
        work=task.says,
        floor=floor,
        floors=ours / floor.seconds,
        rows=tuple(_row(program, gathered[program.name], ours) for program in task.programs),
    )


def _once(program: Program, work: Work, known: _Gathered, reporter: Reporter) -> None:
    """Run a program once, unless that is known to fail or to take long; score its first result."""
    if known.reason or max(known.seconds, default=0) > _LONG_S:
        return
    try:
        run = program.run()
        if not known.seconds:
            known.accuracy = _score(run.result, work, ours=program.ours)
    except ProgramError as error:
        known.reason = str(error)
        reporter.say(f"{program.name} failed: {known.reason}")
        return
    known.seconds.append(run.seconds)
    reporter.say(f"{program.name}: {run.seconds:.3g} s")
    if run.peak_MB is not None:
        known.peaks_MB.append(run.peak_MB)


def _score(result: object, work: Work, *, ours: bool) -> dict[str, float]:
    if isinstance(result, Alignment):
        return score_views(result, work.truth)
    if work.volume is None or not isinstance(result, np.ndarray) or result.shape != work.volume.shape:
        raise ProgramError("its volume has another shape than was asked for")
    if not np.isfinite(result).all() or np.ptp(result) == 0:
        raise ProgramError("its volume is empty, or not all of it is numbers")
    return score_volume(result, work.volume, TILTS_DEG, place_known=ours)


def _row(program: Program, known: _Gathered, ours_s: float) -> Row:
    if program.missing:
        return Row(program=program.name, state="not installed")
    if known.reason:
        return Row(program=program.name, state="failed", reason=known.reason)
    return Row(
        program=program.name,
        runs=len(known.seconds),
        median_s=median(known.seconds),
        least_s=min(known.seconds),
        most_s=max(known.seconds),
        ratio=median(known.seconds) / ours_s,
        accuracy=known.accuracy,
        peak_MB=max(known.peaks_MB, default=None),
    )
