"""Kill an acquisition at random moments, resume it, and hold its record against the twin's own.

    python benchmarks/acquire_kills.py --kills 500
    python benchmarks/acquire_kills.py --kills 60 --pixels      # with movies, of 48 x 48 pixels

Each trial runs `eucentric acquire` of a plan on the twin in a process of its own, kills that with SIGKILL at a moment
drawn evenly over the length of a whole run, and resumes it to the end; a third of the resumed runs are killed too.
"""

import argparse
import os
import random
import signal
import sys
import tempfile
import time
import warnings
from collections import Counter
from collections.abc import Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass, field
from multiprocessing import get_context
from pathlib import Path

from eucentric.acquisition.past import RECORD
from eucentric.cli import main
from eucentric.core import EucentricError
from eucentric.design import Design, DoseSymmetric, Explicit, Plan
from eucentric.io import read_mdoc, read_plan, write_plan
from eucentric.io.movies import open_movie
from eucentric.io.targets import read_targets
from eucentric.session import ExposureRecord, ExposureState, Session, read_exposures
from eucentric.twin.log import LoggedExposure, read_log
from eucentric.workflow import acquire as _loaded_before_the_fork  # noqa: F401

Key = tuple[str, int | None, float, float, str]


@dataclass
class Verdict:
    """What one trial showed."""

    killed: int = 0
    resumed: int = 0
    uncertain: int = 0
    faults: list[str] = field(default_factory=list)


def run(arguments: Sequence[object], kill_after_s: float | None) -> bool:
    """Run a command line in a child, kill it after so long, and return whether it came to its own end."""
    child = os.fork()
    if child == 0:
        silence = os.open(os.devnull, os.O_WRONLY)
        os.dup2(silence, 1)
        os.dup2(silence, 2)
        os._exit(main([str(argument) for argument in arguments]))
    if kill_after_s is not None:
        time.sleep(kill_after_s)
        os.kill(child, signal.SIGKILL)
    _, status = os.waitpid(child, 0)
    return os.WIFEXITED(status) and os.WEXITSTATUS(status) == 0


def acquire_arguments(plan: Path, session: Path, pixels: bool) -> list[object]:
    """Return the command line of a whole run."""
    how = ["--size", 48, "--effects", "none,noise,damage"] if pixels else ["--no-pixels"]
    return ["acquire", plan, "--output", session, *how, "--specimen", "beads"]


def trial(number: int, plan: Path, length_s: float, pixels: bool) -> Verdict:
    """Kill one run, resume it to the end, and check what is left."""
    draw, verdict = random.Random(number), Verdict()  # noqa: S311 - moments, not secrets
    with tempfile.TemporaryDirectory() as place:
        session = Path(place) / "session"
        done = run(acquire_arguments(plan, session, pixels), draw.uniform(0, length_s))
        while not done:
            verdict.killed += 1
            begun = (session / "session.db").exists() and _was_begun(session)
            verdict.resumed += begun
            again = ["acquire", "--resume", session] if begun else acquire_arguments(plan, session, pixels)
            kill = draw.uniform(0, length_s) if verdict.killed < 3 and draw.random() < 1 / 3 else None
            done = run(again, kill)
            if kill is None and not done:
                verdict.faults.append("a resumed run did not come to its end")
                return verdict
        check(session, read_plan(plan), verdict, pixels)
    return verdict


def _was_begun(session: Path) -> bool:
    """Whether a killed run had come so far as to note what it was to do."""
    try:
        with Session.create_or_open(session) as opened:
            return bool(opened.events("acquisition.program"))
    except EucentricError:
        return False


def check(session: Path, plan: Plan, verdict: Verdict, pixels: bool) -> None:
    """Add to the verdict whatever is not as it must be."""
    records, log = read_exposures(session), read_log(session / "truth")
    received = [one for one in records if one.received]
    verdict.uncertain += sum(one.state is ExposureState.UNCERTAIN for one in records)
    hit = Counter(_key(one) for one in log)
    noted = Counter(_key(one) for one in received)
    delivered = Counter(_key(one) for one in received if one.state is ExposureState.DELIVERED)
    for key in hit - noted:
        verdict.faults.append(f"{key} hit the specimen and is recorded neither as delivered nor as uncertain")
    for key in delivered - hit:
        verdict.faults.append(f"{key} is recorded as delivered and did not hit the specimen")
    planned = Counter((one.target, one.order) for one in log if one.purpose == RECORD)
    verdict.faults += [f"{key} was exposed {count} times" for key, count in planned.items() if count > 1]
    settled = {one.order for one in records if one.purpose == RECORD}
    if settled != set(range(len(plan))):
        verdict.faults.append(f"orders {sorted(set(range(len(plan))) - settled)} have no record")
    _check_files(session, records, verdict, pixels)


def _check_files(session: Path, records: Sequence[ExposureRecord], verdict: Verdict, pixels: bool) -> None:
    try:
        read_plan(session / "plan.yaml")
        read_targets(session / "targets.yaml")
        movies = [open_movie(path) for path in sorted((session / "frames").glob("*.tif"))]
        for movie in movies:
            sum(1 for _ in movie.frames())
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            mdoc = read_mdoc(session / "mdoc" / "TS_001.mrc.mdoc")
    except EucentricError as error:
        verdict.faults.append(f"unreadable: {error.what}")
        return
    before, expected = 0.0, {}
    for one in records:
        if one.target == "TS_001" and one.received:
            expected[one.order] = before
            before += one.exposure_e_A2
    whole = [one for one in records if one.purpose == RECORD and one.state is ExposureState.DELIVERED]
    if pixels:
        there = {path.name for path in (session / "frames").glob("*.tif")}
        whole = [one for one in whole if one.details["movie"] in there]
    if len(mdoc.sections) != len(whole):
        verdict.faults.append(f"the .mdoc has {len(mdoc.sections)} sections for {len(whole)} images")
    for section, one in zip(mdoc.sections, whole, strict=False):
        prior = section.pre_exposure_e_A2
        if prior is None or abs(prior - expected[one.order]) > 1e-3:
            verdict.faults.append(f"order {one.order}: PriorRecordDose {prior}, not {expected[one.order]:.3f}")
    left = [path.name for path in session.rglob(".partial-*")]
    if left:
        verdict.faults.append(f"half-written files are left: {left}")


def _key(one: LoggedExposure | ExposureRecord) -> Key:
    return (one.target, one.order, round(one.tilt_deg, 6), round(one.exposure_e_A2, 6), one.purpose)


def bench(kills: int, tilts: int, pixels: bool, workers: int) -> int:
    """Run the trials, print what they showed, and return the number of faults."""
    scheme = DoseSymmetric() if tilts == 41 else Explicit(tilts_deg=tuple(3.0 * at for at in range(tilts)))
    with tempfile.TemporaryDirectory() as place:
        plan = Path(place) / "plan.yaml"
        write_plan(plan, Design(scheme=scheme).plan())
        lengths = []
        for at in range(3):  # the first of them compiles and fills caches
            began = time.perf_counter()
            if not run(acquire_arguments(plan, Path(place) / f"whole-{at}", pixels), None):
                sys.exit("a run that nobody killed did not come to its end")
            lengths.append(time.perf_counter() - began)
        length_s = min(lengths)
        print(f"a whole run of {tilts} tilts takes {length_s:.2f} s", flush=True)
        total = Verdict()
        with ProcessPoolExecutor(workers, mp_context=get_context("fork")) as pool:
            futures = [pool.submit(trial, number, plan, length_s * 1.1, pixels) for number in range(kills)]
            for at, future in enumerate(futures):
                verdict = future.result()
                total.killed += verdict.killed
                total.resumed += verdict.resumed
                total.uncertain += verdict.uncertain
                total.faults += [f"trial {at}: {fault}" for fault in verdict.faults]
                if (at + 1) % 50 == 0:
                    print(f"{at + 1} trials, {total.killed} kills, {len(total.faults)} faults", flush=True)
    for fault in total.faults:
        print(fault)
    print(
        f"{kills} trials: {total.killed} runs killed, {total.resumed} of them resumed and the others begun anew, "
        f"{total.uncertain} exposures left uncertain, {len(total.faults)} faults"
    )
    return len(total.faults)


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--kills", type=int, default=500)
    parser.add_argument("--tilts", type=int, default=41)
    parser.add_argument("--pixels", action="store_true")
    parser.add_argument("--workers", type=int, default=2)
    given = parser.parse_args()
    sys.exit(1 if bench(given.kills, given.tilts, given.pixels, given.workers) else 0)
