"""`eucentric process`."""

import os
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

from cyclopts import Parameter

from eucentric.cli.app import (
    DONE,
    FAILED,
    Device,
    Json,
    Pixel,
    UsageError,
    app,
    print_json,
    reporter,
    settings_from,
    tell,
    tell_error,
    told_warnings,
)
from eucentric.cli.reconstruct import RECONSTRUCT_OPTIONS
from eucentric.cli.wording import describe
from eucentric.core import EucentricError, InputError

if TYPE_CHECKING:
    from eucentric.io import LoadedSeries


def _no_name(_: object, name: str | None) -> None:
    if name is not None and (not name or "/" in name or name.startswith(".") or len(os.fsencode(name)) > 200):
        raise ValueError("A name is that of a folder: without /, not beginning with a dot, of up to 200 bytes.")


@app.command
def process(
    stacks: list[Path],
    /,
    *,
    output: Annotated[Path | None, Parameter(name=["--output", "-o"])] = None,
    angles: Path | None = None,
    tilts: Path | None = None,
    mdoc: Path | None = None,
    pixel: Pixel = None,
    name: Annotated[str | None, Parameter(validator=_no_name)] = None,
    axis: float | None = None,
    refine_axis: bool = False,
    depth: float | None = None,
    max_shift: float = 0.2,
    rounds: int = 6,
    binning: Annotated[int, Parameter(name="--bin")] = 1,
    thickness: float | None = None,
    filter: Literal["ramp", "shepp-logan", "cosine", "hamming", "hann"] = "ramp",  # noqa: A002 - the option's name
    cutoff: float = 0.8,
    weighting: Literal["uniform", "cosine"] = "uniform",
    mean_free_path: float = 3150.0,
    device: Device = "auto",
    json: Json = False,
) -> int:
    """Process tilt series: stacks with their angles to alignments, tomograms and reports.

    Example: `eucentric process ts01.mrc --angles ts01.rawtlt --tilts ts01.csv --output my-session`, or
    `eucentric process my-session` for every series that was acquired or simulated there.

    Results go to `my-session/series/NAME/`: `report.html`, `tomogram.mrc`, `tomogram.zarr`, the tomograms of even and
    odd tilts, `alignment.json`, IMOD's `.xf` and `.tlt`. The same command run again does only what is not yet done;
    a series that fails does not stop the next one.

    Parameters
    ----------
    stacks
        MRC stacks, one section a tilt; they are only read. In place of a stack, a session's folder: all the stacks in
        its `mdoc/` that have their .mdoc.
    output
        The session folder; made if it is not there. Where one session is processed, that session.
    angles
        Tilt angles, one a line in the order of the sections (.rawtlt, .tlt); looked for beside the stack if no file
        is named.
    tilts
        Table (.csv) of acquisition order and exposure.
    mdoc
        SerialEM's .mdoc of the series.
    pixel
        Pixel size in Å, in place of what the files say.
    name
        Name of the series, by default that of the stack.
    axis
        Tilt-axis angle in degrees, IMOD's: from the image's y axis, counter-clockwise; searched for if not given.
    refine_axis
        Search around the given axis too.
    depth
        Depth of the specimen in Å, for the alignment; found from the data if not given.
    max_shift
        Largest shift between neighbouring tilts, as a share of the field.
    rounds
        Rounds of refinement at each level.
    binning
        Pixels along each side of a voxel.
    thickness
        Thickness of the tomogram in Å; by default the depth found for the specimen.
    filter
        Window on the ramp filter.
    cutoff
        Where the ramp filter ends, as a share of Nyquist.
    weighting
        Weight of the tilts in the tomogram.
    mean_free_path
        Inelastic mean free path in Å, which turns counts into thickness (published for 300 kV: 2110 to 3950).
    """
    from eucentric.core.devices import resolve_device
    from eucentric.io import load_series
    from eucentric.processing.alignment import AlignSettings
    from eucentric.processing.reconstruction import ReconstructSettings
    from eucentric.session import Session
    from eucentric.workflow.process import process_series
    from eucentric.workflow.records import ProcessSettings

    if output is None:
        output = _own_session(stacks)
    align = settings_from(
        {
            "axis_deg": axis,
            "refine_axis": refine_axis,
            "specimen_depth_A": depth,
            "max_shift_fraction": max_shift,
            "rounds": rounds,
        },
        AlignSettings,
        {"axis_deg": "axis", "specimen_depth_A": "depth", "max_shift_fraction": "max-shift"},
    )
    volume = settings_from(
        {
            "binning": binning,
            "thickness_A": thickness,
            "filter": filter,
            "cutoff": cutoff,
            "weighting": weighting,
        },
        ReconstructSettings,
        RECONSTRUCT_OPTIONS,
    )
    settings = settings_from(
        {"align": align, "reconstruct": volume, "mean_free_path_A": mean_free_path},
        ProcessSettings,
        {"mean_free_path_A": "mean-free-path"},
    )
    where = resolve_device(device)
    # Inputs are read before the session is made: a wrong path leaves no folder behind.
    found, failures = _find_stacks(stacks)
    if max(len(stacks), len(found)) > 1 and any((angles, tilts, mdoc, name)):
        raise UsageError(
            f"--angles, --tilts, --mdoc and --name belong to one stack, and {max(len(stacks), len(found))} were given. "
            "Process them one by one, or keep these files beside each stack under its name."
        )
    loaded_series = []
    for stack in found:
        try:
            with told_warnings() as messages:
                loaded = load_series(stack, angles=angles, tilts=tilts, mdoc=mdoc, pixel_A=pixel, name=name)
            loaded_series.append((loaded, messages()))
        except EucentricError as error:
            tell_error(error)
            failures.append(_failure(stack, error))
    _refuse_same_names([loaded for loaded, _ in loaded_series])
    outcomes = []
    if loaded_series:
        with Session.create_or_open(output, reporter=reporter()) as session:
            for loaded, noticed in loaded_series:
                for note in loaded.notes:
                    tell(note)
                try:
                    with told_warnings():
                        outcome = process_series(
                            session, loaded, settings, device=where, reporter=reporter(), noticed=noticed
                        )
                except EucentricError as error:
                    tell_error(error)
                    failures.append(_failure(loaded.sources[0], error))
                    continue
                outcomes.append(outcome)
                for line in describe(outcome):
                    tell(line)
    if json:
        print_json({"series": [outcome.model_dump(mode="json") for outcome in outcomes], "failed": failures})
    return FAILED if failures else DONE


def _own_session(given: Sequence[Path]) -> Path:
    """Return the session that is to be processed, where nothing else is."""
    from eucentric.session.journal import JOURNAL

    if len(given) == 1 and (given[0] / JOURNAL).is_file():
        return given[0]
    raise UsageError(
        "Name the session folder that results go to with --output. It can be left out only where one session's folder "
        f"(it has {JOURNAL}) is given in place of stacks."
    )


def _find_stacks(given: Sequence[Path]) -> tuple[list[Path], list[dict[str, str]]]:
    """Return the stacks, with those of a session in its place, and what failed."""
    from eucentric.workflow.session_series import find_series

    stacks: list[Path] = []
    failures = []
    for path in given:
        try:
            with told_warnings():
                stacks += find_series(path) if path.is_dir() else (path,)
        except EucentricError as error:
            tell_error(error)
            failures.append(_failure(path, error))
    return stacks, failures


def _failure(path: Path, error: EucentricError) -> dict[str, str]:
    return {"stack": str(path), "error": str(error)}


def _refuse_same_names(series: "Sequence[LoadedSeries]") -> None:
    """Refuse two series of one name, whose results would go to one folder."""
    by_name: dict[str, Path] = {}
    for loaded in series:
        stack, name = loaded.sources[0], loaded.series.name
        if name in by_name:
            raise InputError(
                f"{by_name[name]} and {stack} would both be series {name}; nothing was processed.",
                "Process them one by one, each with its own --name.",
            )
        by_name[name] = stack
