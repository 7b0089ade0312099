"""`eucentric rehearse`."""

import sys
from pathlib import Path
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
    from collections.abc import Sequence

    from eucentric.report.rehearsal_summary import RehearsalSummary

_NAMES = {"pixel_A": "pixel"}


@app.command
def rehearse(
    script: Path | None = None,
    /,
    *,
    specimen: str = "lamella",
    targets: int = 1,
    plan: Path | None = None,
    output: Annotated[Path | None, Parameter(name=["--output", "-o"])] = None,
    answers: Path | None = None,
    fail: Annotated[list[str] | None, Parameter(negative=())] = None,
    pixels: bool = True,
    size: int = 512,
    pixel: Pixel = None,
    seed: int = 0,
    effects: str = "default",
    detector: Literal["k2", "falcon4", "ideal"] = "k2",
    max_hours: float = 48.0,
    silent: float = 300.0,
    inside: bool = True,
    log: bool = True,
    commands: Annotated[bool, Parameter(negative=())] = False,
    json: Json = False,
) -> int:
    """Run a Python script that was written for SerialEM on a simulated microscope, unchanged.

    Example: `eucentric rehearse PACEtomo.py --specimen lamella --targets 3 --output rehearsal`, then
    `eucentric process rehearsal`. The folder has the stacks, .mdoc, movies, navigator and log that the script asked
    for, and rehearsal.html, which says what it did to the specimen. The script runs in this Python, with all that it
    can do there: rehearse only what you would run.

    Parameters
    ----------
    script
        The script; `import serialem` gives it our module.
    specimen
        One of those that `eucentric simulate --list` shows, or a .yaml file.
    targets
        How many places are picked for it, each with images to align to; the first is that of the navigator's item to
        be acquired, and PACEtomo tracks it.
    plan
        What is to be acquired: exposure, frames, pre-tilt, and for PACEtomo its settings, which are written into its
        targets file [41 tilts in groups of 2, 123 e/Å²; of a lamella about its pre-tilt of 9°].
    output
        Folder, new [rehearsal].
    answers
        What dialogs are answered: YAML, a list of match (words of the dialog) and answer. Without it they are asked
        on the terminal.
    fail
        What is to go wrong, such as "ImageShift at tilt 30: refuse", "record after 12: beam-lost returns 60", or, of
        one of SerialEM's commands, "AutoFocus: refuse"; may be given again and again.
    pixels
        With --no-pixels no images are made: geometry, dose and time only, in seconds.
    size
        Pixels a side of the camera; they show the field of the plan's.
    pixel
        Pixel size in Å, in place of that.
    seed
        Of specimen, stage and everything random.
    effects
        As for `eucentric simulate`.
    detector
        Of the twin.
    max_hours
        Of the microscope's own time: a script that takes longer is stopped.
    silent
        Seconds that a script may go without calling a command.
    inside
        With --no-inside the script runs outside SerialEM, and has to call ConnectToSEM first.
    log
        Show SerialEM's log as it is written.
    commands
        List SerialEM's commands instead, with what is simulated, as Markdown.
    """
    from eucentric.report.rehearsal_summary import rehearsal_summary
    from eucentric.report.rehearsal_warnings import rehearsal_warnings
    from eucentric.twin import Effects
    from eucentric.twin.serialem.answers import read_answers
    from eucentric.workflow.rehearse import REPORT, RehearseSettings
    from eucentric.workflow.rehearse import rehearse as run

    if commands:
        from eucentric.report.serialem_commands import commands_page

        sys.stdout.write(commands_page())
        return DONE
    if script is None:
        raise UsageError("Name a script: `eucentric rehearse PACEtomo.py --targets 3`.")
    options = {
        "specimen": specimen,
        "targets": targets,
        "size": size,
        "pixel_A": pixel,
        "seed": seed,
        "effects": Effects.parse(effects),
        "detector": detector,
        "pixels": pixels,
        "max_hours": max_hours,
        "silent_s": silent,
        "connected": inside,
    }
    settings: RehearseSettings = settings_from(options, RehearseSettings, _NAMES)
    chosen = None
    if plan is not None:
        from eucentric.io import read_plan

        chosen = read_plan(plan)
    folder = output or Path("rehearsal")
    with told_warnings():
        doings = run(
            script,
            folder,
            settings,
            plan=chosen,
            answers=read_answers(answers) if answers else (),
            ask=_ask if sys.stdin.isatty() else None,
            faults=fail or (),
            tell=_log if log else lambda line: None,
            reporter=reporter(),
        )
    summary = rehearsal_summary(doings)
    _tell(summary, rehearsal_warnings(doings), folder / REPORT)
    if json:
        print_json(summary.model_dump(mode="json"))
    return DONE if summary.ending in ("finished", "exited") else FAILED


def _ask(text: str, choices: tuple[str, ...]) -> str:
    tell(text)
    asked = f"[{'/'.join(choices)}] " if choices else "> "
    return console().input(asked, markup=False).strip()


def _log(line: str) -> None:
    console().print(line, style="dim", highlight=False, markup=False, soft_wrap=True)


def _tell(summary: "RehearsalSummary", warned: "Sequence[str]", report: Path) -> None:
    at = "" if summary.line is None else f" at line {summary.line}"
    reason = f": {summary.reason}" if summary.reason and summary.ending not in ("finished", "exited") else ""
    tell(f"{summary.script} {summary.ending}{at}{reason}.".replace("..", "."))
    for one in summary.targets:
        images = one.merit
        aim = "" if images.off_p95_nm is None else f", 95 % of them within {images.off_p95_nm:.0f} nm"
        focus = "" if images.defocus_rms_um is None else f", focus {images.defocus_rms_um:.2f} µm rms off"
        tell(
            f"  {one.name}: {images.images} Record images{aim}{focus}; {one.by_records_e_A2:.1f} e/Å² by them, "
            f"{one.by_others_e_A2:.1f} by others"
        )
    for text in warned:
        console().print("[bold yellow]Warning:[/] ", end="")
        tell(text)
    tell(f"{summary.seconds / 60:.1f} minutes by the microscope's clock. What it did to the specimen: {report}")
    if summary.merit.images:
        tell(f"To tomograms: eucentric process {report.parent}")
