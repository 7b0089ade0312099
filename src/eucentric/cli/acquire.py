"""`eucentric acquire`."""

import signal
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from types import FrameType
from typing import TYPE_CHECKING, Annotated, Literal

from cyclopts import Parameter

from eucentric.cli.app import (
    DONE,
    FAILED,
    Json,
    Pixel,
    UsageError,
    app,
    console,
    print_json,
    reporter,
    settings_from,
    tell,
    told_warnings,
)

if TYPE_CHECKING:
    from eucentric.acquisition import Engine
    from eucentric.session import ExposureRecord
    from eucentric.workflow.acquire_records import AcquireOutcome, Beginning

_NAMES = {"pixel_A": "pixel"}


@app.command
def acquire(
    plan: Path | None = None,
    /,
    *,
    targets: Path | None = None,
    microscope: Literal["twin", "serialem"] = "twin",
    output: Annotated[Path | None, Parameter(name=["--output", "-o"])] = None,
    resume: Path | None = None,
    uncertain: Literal["skip", "retake", "ask"] = "skip",
    pixels: bool = True,
    specimen: str = "cell",
    size: int = 512,
    pixel: Pixel = None,
    seed: int = 0,
    effects: str = "default",
    detector: Literal["k2", "falcon4", "ideal"] = "k2",
    fail: Annotated[list[str] | None, Parameter(negative=())] = None,
    host: str = "127.0.0.1",
    port: int = 48888,
    name: str = "TS_001",
    json: Json = False,
) -> int:
    """Acquire a plan on a microscope, at one target or many; nothing is exposed twice, and no exposure is lost.

    Example: `eucentric acquire plan.yaml --microscope twin --targets targets.yaml --output my-session`, then
    `eucentric process my-session`. Ctrl-C pauses after the exposure under way; `eucentric acquire --resume my-session`
    goes on, after a kill or power loss too.

    Parameters
    ----------
    plan
        A plan as `eucentric design` writes it; its `acquisition` says how targets are followed, and what is done when
        something goes wrong.
    targets
        Where to acquire, as docs/targets-example.yaml [one target, on the optical axis].
    microscope
        The twin, a simulated one; or one that SerialEM runs, through its Python module.
    output
        Session folder, new [acquired].
    resume
        A session to go on with; everything else is as it was begun.
    uncertain
        What to do about exposures of which nobody knows whether they were made: leave them, make them again, or ask
        for each.
    pixels
        With --no-pixels the twin makes no images: geometry, exposure, time and faults only, in seconds.
    specimen
        Of the twin: one of those that `eucentric simulate --list` shows, or a .yaml file.
    size
        Pixels a side of the twin's camera; they show the field of the plan's.
    pixel
        Pixel size in Å, in place of that.
    seed
        Of the twin: specimen, stage and everything random.
    effects
        Of the twin, as for `eucentric simulate`.
    detector
        Of the twin.
    fail
        What is to go wrong on the twin, such as "tilt at 30: refuse" or "record order 12: beam-lost returns 60"; may
        be given again and again.
    host
        Of SerialEM's computer.
    port
        Of SerialEM.
    name
        Of the one series, without targets.
    """
    from eucentric.acquisition import Program
    from eucentric.cli.live import LiveTable
    from eucentric.session import ExposureBook, Session
    from eucentric.workflow.acquire import acquire as run
    from eucentric.workflow.acquire import begin, take_up

    begun = None
    if resume is None:
        if plan is None:
            raise UsageError("Name a plan: `eucentric design --output plan.yaml` makes one. Or a session to --resume.")
        begun = _beginning(
            plan,
            targets,
            name,
            {
                "microscope": microscope,
                "host": host,
                "port": port,
                "specimen": specimen,
                "size": size,
                "pixel_A": pixel,
                "seed": seed,
                "effects": effects,
                "detector": detector,
                "pixels": pixels,
            },
        )
    elif plan is not None or targets is not None or output is not None:
        raise UsageError(f"--resume {resume} goes on with that session's own plan, targets and folder: name no others.")
    if uncertain == "ask" and not sys.stdin.isatty():
        raise UsageError("--uncertain ask: there is no terminal to ask on. Use skip or retake.")
    folder = resume or output or Path("acquired")
    if resume is not None and not (resume / "session.db").is_file():
        raise UsageError(f"--resume {resume}: there is no session there.")
    with told_warnings(), Session.create_or_open(folder, reporter=reporter()) as session:
        if begun is not None:
            begin(session, begun)
        else:
            begun = take_up(session)
        program = Program(begun.plan, begun.targets)
        made = dict.fromkeys(program.names, 0)
        for one in ExposureBook(session).records():
            if one.target in made and one.details.get("movie"):
                made[one.target] += 1
        with _pausing() as started, LiveTable(console(), made, len(program.steps)) as table:
            outcome = run(
                session,
                begun,
                faults=fail or (),
                retake=_decide(uncertain),
                listeners=[table],
                started=started,
                reporter=reporter(),
            )
    _tell_outcome(outcome)
    if json:
        print_json(outcome.model_dump(mode="json"))
    nothing = outcome.finish == "finished" and not any(series.images for series in outcome.series)
    return FAILED if nothing or outcome.finish not in ("finished", "paused") else DONE


def _beginning(plan: Path, targets: Path | None, name: str, options: "dict[str, object]") -> "Beginning":
    """Read and check all that a run is begun with, before there is a session."""
    from eucentric.design import Target
    from eucentric.io import read_plan
    from eucentric.io.targets import read_targets
    from eucentric.twin import Effects
    from eucentric.workflow.acquire import default_targets
    from eucentric.workflow.acquire_records import AcquireSettings, Beginning

    settings_from({"name": name}, Target, {})
    options["effects"] = Effects.parse(str(options["effects"]))
    settings: AcquireSettings = settings_from(options, AcquireSettings, _NAMES)
    read = read_plan(plan)
    where = read_targets(targets) if targets else default_targets(read, name, settings.field_A(read))
    return Beginning(read, where, settings)


@contextmanager
def _pausing() -> "Iterator[Callable[[Engine], None]]":
    """Let the first Ctrl-C pause the engine that is given, and the second one interrupt."""
    engines: list[Engine] = []

    def on_interrupt(number: int, frame: FrameType | None) -> None:
        if not engines:
            raise KeyboardInterrupt
        engines[0].pause()
        signal.signal(signal.SIGINT, signal.default_int_handler)
        tell("Pausing after the exposure under way. Ctrl-C again stops at once, and leaves that one uncertain.")

    before = signal.signal(signal.SIGINT, on_interrupt)
    try:
        yield engines.append
    finally:
        signal.signal(signal.SIGINT, before)


def _decide(uncertain: str) -> "Callable[[ExposureRecord], bool]":
    def decide(record: "ExposureRecord") -> bool:
        what = f"{record.target}, tilt {record.order + 1} ({record.tilt_deg:+.1f}°, {record.exposure_e_A2:g} e/Å²)"
        if uncertain == "ask":
            tell(f"{what}: nobody knows whether it was exposed ({record.reason}). It counts as exposed.")
            return console().input("Expose it again? [y/N] ", markup=False).strip().lower() in ("y", "yes")
        done = "is made again, as asked" if uncertain == "retake" else "counts as exposed and is not made again"
        tell(f"{what}: nobody knows whether it was exposed; it {done}.")
        return uncertain == "retake"

    return decide


def _tell_outcome(outcome: "AcquireOutcome") -> None:
    tell(f"{outcome.finish.capitalize()}: {outcome.reason}.".replace("..", "."))
    for series in outcome.series:
        unsure = f", {series.uncertain} uncertain" if series.uncertain else ""
        left_out = f", {series.skipped} given up" if series.skipped else ""
        tell(f"  {series.name}: {series.images} images, {series.exposure_e_A2:.1f} e/Å²{unsure}{left_out}")
    tell(
        f"{outcome.seconds / 60:.1f} minutes by the microscope's clock, {outcome.predicted_s / 60:.1f} predicted; "
        f"{outcome.tracking_e_A2:.0f} e/Å² on the tracking area."
    )
    for strike in outcome.struck:
        tell(f"Rehearsed: {strike}")
    for fault in outcome.idle:
        tell(f'Never struck: "{fault}". Is there such a call, tilt, order or target in this plan?')
    if outcome.finish != "finished":
        tell(f"To go on: eucentric acquire --resume {outcome.folder}")
    elif any(series.stack for series in outcome.series):
        tell(f"To tomograms: eucentric process {outcome.folder}")
