"""`eucentric simulate`."""

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
    print_json,
    reporter,
    settings_from,
    tell,
    told_warnings,
)

if TYPE_CHECKING:
    from eucentric.workflow.simulate import SimulateOutcome

_NAMES = {"pixel_A": "pixel"}


@app.command
def simulate(
    plan: Path | None = None,
    /,
    *,
    specimen: str = "cell",
    output: Annotated[Path, Parameter(name=["--output", "-o"])] = Path("simulated"),
    list_: Annotated[bool, Parameter(name="--list", negative=())] = False,
    size: int = 1024,
    pixel: Pixel = None,
    frames: int | None = None,
    seed: int = 0,
    format: Literal["tiff", "mrc"] = "tiff",  # noqa: A002 - the option's name
    compression: Literal["lzw", "deflate", "none"] = "lzw",
    effects: str = "default",
    detector: Literal["k2", "falcon4", "ideal"] = "k2",
    frame_paths: Literal["posix", "windows"] = "posix",
    name: str = "TS_001",
    resume: Annotated[bool, Parameter(negative=())] = False,
    json: Json = False,
) -> int:
    """Acquire a plan on the twin, a simulated microscope: movies, gain reference, .mdoc, and the whole truth.

    Example: `eucentric simulate plan.yaml --specimen cell --size 512 --output my-session`, then
    `eucentric process my-session/mdoc/TS_001.mrc --output my-session`.

    Parameters
    ----------
    plan
        A plan as `eucentric design` writes it; thickness, pre-tilt, lens, stage and times are its own.
    specimen
        One of those that `--list` shows, or a .yaml file that describes one.
    output
        Session folder; made if it is not there.
    list_
        Show the specimens, each with a picture.
    size
        Pixels a side of the camera.
    pixel
        Pixel size in Å [the plan's].
    frames
        Frames of each movie [the plan's].
    seed
        Chooses the specimen and everything random; the same seed gives the same bytes.
    format
        Of the movies.
    compression
        Of TIFF movies: lzw packs best, deflate is faster.
    effects
        What is on: `none`, `all`, or a list such as `no-drift,no-mtf` or `none,damage,noise`.
    detector
        The camera.
    frame_paths
        How the .mdoc names the movies.
    name
        Name of the series.
    resume
        Go on at the tilt where an earlier run stopped.
    """
    if list_:
        return _list(as_json=json)
    if plan is None:
        raise UsageError("Name a plan: `eucentric design --output plan.yaml` makes one. `--list` shows the specimens.")
    from eucentric.io import read_plan  # heavy imports wait until a verb runs
    from eucentric.session import Session
    from eucentric.twin import Effects
    from eucentric.workflow.simulate import SimulateSettings
    from eucentric.workflow.simulate import simulate as run

    settings = settings_from(
        {
            "specimen": specimen,
            "name": name,
            "size": size,
            "pixel_A": pixel,
            "frames": frames,
            "seed": seed,
            "format": format,
            "compression": compression,
            "frame_paths": frame_paths,
            "detector": detector,
            "effects": Effects.parse(effects),
        },
        SimulateSettings,
        _NAMES,
    )
    read = read_plan(plan)
    try:
        with told_warnings(), Session.create_or_open(output, reporter=reporter()) as session:
            outcome = run(session, read, settings, resume=resume, reporter=reporter())
    except KeyboardInterrupt:
        tell(f"Interrupted. Finished tilts are kept in {output}: the same command with --resume goes on from there.")
        return FAILED
    _tell_outcome(outcome)
    if json:
        print_json(outcome.model_dump(mode="json"))
    return DONE


def _tell_outcome(outcome: "SimulateOutcome") -> None:
    again = f" ({outcome.tilts - outcome.made_now} of them before)" if outcome.made_now < outcome.tilts else ""
    tell(
        f"{outcome.tilts} tilts{again}, {outcome.exposure_e_A2:g} e/Å², {outcome.molecules} molecules, "
        f"{outcome.virtual_s / 60:.0f} minutes on the microscope's clock."
    )
    tell(f"Movies in {outcome.gain.parent}, stack {outcome.stack}, truth in {outcome.truth}.")
    tell(f"To a tomogram: eucentric process {outcome.folder}")


def _list(*, as_json: bool) -> int:
    from eucentric.report.specimens import SPECIMEN_PICTURES, in_terminal
    from eucentric.specimen.samples import SPECIMENS

    if as_json:
        found = [
            {"name": kind.name, "description": kind.description, "picture": str(SPECIMEN_PICTURES / f"{kind.name}.png")}
            for kind in SPECIMENS.values()
        ]
        print_json({"specimens": found})
        return DONE
    for kind in SPECIMENS.values():
        tell(f"{kind.name}: {kind.description}")
        in_terminal(SPECIMEN_PICTURES / f"{kind.name}.png")
    tell("Pictures: central slice of the true volume, and an untilted image of 3 e/Å², made by the twin.")
    tell("A file of your own: docs/specimen-example.yaml shows all that it can say.")
    return DONE
