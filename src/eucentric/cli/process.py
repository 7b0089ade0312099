"""`eucentric process`."""

import os
from pathlib import Path
from typing import Annotated, Literal

from cyclopts import Parameter, validators

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
from eucentric.cli.process_inputs import Loading, failure, load_all, own_session
from eucentric.cli.reconstruct import RECONSTRUCT_OPTIONS
from eucentric.cli.wording import describe
from eucentric.core import EucentricError


def _no_name(_: object, name: str | None) -> None:
    if name is not None and (not name or "/" in name or name.startswith(".") or len(os.fsencode(name)) > 200):
        raise ValueError("A name is that of a folder: without /, not beginning with a dot, of up to 200 bytes.")


Positive = Annotated[float | None, Parameter(validator=validators.Number(gt=0))]


@app.command
def process(
    stacks: list[Path],
    /,
    *,
    output: Annotated[Path | None, Parameter(name=["--output", "-o"])] = None,
    source: Annotated[Literal["auto", "movies", "stack"], Parameter(name="--from")] = "auto",
    frames: Path | None = None,
    gain: Path | None = None,
    angles: Path | None = None,
    tilts: Path | None = None,
    mdoc: Path | None = None,
    pixel: Pixel = None,
    name: Annotated[str | None, Parameter(validator=_no_name)] = None,
    gain_rotation: Literal[0, 90, 180, 270] | None = None,
    gain_flip: bool | None = None,
    exposure: Positive = None,
    local_motion: bool = True,
    dose_weighting: bool = True,
    voltage: float | None = None,
    cs: float | None = None,
    amplitude_contrast: float | None = None,
    min_defocus: float = 3000.0,
    max_defocus: float = 90_000.0,
    ctf_correction: Literal["none", "phase-flip", "slabs"] = "phase-flip",
    halves: Literal["tilts", "frames", "counts"] | None = None,
    axis: float | None = None,
    refine_axis: bool = False,
    depth: float | None = None,
    max_shift: float | None = None,
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
    """Process tilt series, from movies or from stacks, to alignments, tomograms and reports.

    Example: `eucentric process my-session` for every series that was acquired or simulated there, from its movies
    where they are in `frames/`, else from its stack; `eucentric process ts01.mdoc --frames frames --gain gain.mrc
    --output my-session` from movies elsewhere; `eucentric process ts01.mrc --angles ts01.rawtlt --tilts ts01.csv
    --output my-session` from a stack.

    From movies, the gain is corrected and defects are mended, the movement within each tilt is undone, frames are
    weighted by their exposure, and the CTF is fitted and corrected: options from --gain-rotation to --ctf-correction
    are of these steps. Results go to `my-session/series/NAME/`: `report.html`, `tomogram.mrc`, `tomogram.zarr`, the
    tomograms of the halves, `alignment.json`, IMOD's `.xf` and `.tlt`; from movies also the stacks `NAME.mrc`
    (weighted), `NAME_unweighted.mrc`, `NAME_even.mrc` and `NAME_odd.mrc` (frames), `motion.json`, `ctf.json`. The same
    command run again does only what is not yet done; a movie that is missing or broken costs its own tilt alone, and a
    series that fails does not stop the next one.

    Parameters
    ----------
    stacks
        Sessions' folders, .mdocs of movies, or MRC stacks with one section a tilt; they are only read.
    output
        The session folder; made if it is not there. Where one session is processed, that session.
    source
        What sessions are processed from: movies where there are any, or only movies, or only stacks, as they are.
    frames
        Folder of the movies; by default where the .mdoc is, or `frames/` beside its folder.
    gain
        Gain reference of the movies; by default `gain.mrc` or the like beside them.
    angles
        Tilt angles, one a line in the order of the sections (.rawtlt, .tlt); looked for beside the stack if no file
        is named.
    tilts
        Table (.csv) of acquisition order and exposure.
    mdoc
        SerialEM's .mdoc of the stack.
    pixel
        Pixel size in Å, in place of what the files say.
    name
        Name of the series, by default that of the stack.
    gain_rotation
        How far the gain reference is turned, clockwise as programs show MRC files (rows upward), to lie as the frames
        do; found from the data if not given.
    gain_flip
        Whether its rows are turned over, top to bottom, before that; found from the data if not given.
    exposure
        Of each tilt in e/Å², where the .mdoc does not say.
    local_motion
        Let places of the field move against each other, where the exposure supports it.
    dose_weighting
        Weight frames by what exposure leaves of the signal.
    voltage
        Of the microscope in kV, where the .mdoc does not say.
    cs
        Spherical aberration in mm; the plan's where the session has one, else 2.7.
    amplitude_contrast
        Share of the contrast that is of amplitude; the plan's where the session has one, else 0.1.
    min_defocus, max_defocus
        Range that is searched, in Å, underfocus positive.
    ctf_correction
        Of each tilt before reconstruction, place by place at its own height (phase-flip), or in three dimensions, slab
        by slab of the specimen (slabs: for thick specimens and detail finer than 12 Å; slower); where a CTF could be
        fitted.
    halves
        What the two tomograms are made of that are compared; from movies with two frames or more, of frames, else of
        tilts. Of a stack as it was recorded, counts split each tilt in two with noise of their own: of these, `restore`
        learns more than of tilts.
    axis
        Tilt-axis angle in degrees, IMOD's: from the image's y axis, counter-clockwise; searched for if not given.
    refine_axis
        Search around the given axis too.
    depth
        Depth of the specimen in Å, for the alignment; found from the data if not given.
    max_shift
        Largest shift between neighbouring tilts, as a share of the field; what alignments allow if not given.
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
    from eucentric.processing.alignment import AlignSettings
    from eucentric.processing.ctf.records import CTFSettings
    from eucentric.processing.motion.records import MotionSettings
    from eucentric.processing.reconstruction import ReconstructSettings
    from eucentric.session import Session
    from eucentric.workflow.loading import process_loaded
    from eucentric.workflow.records import GainSettings, LensSettings, ProcessSettings

    if output is None:
        output = own_session(stacks)
    align = settings_from(
        {
            "axis_deg": axis,
            "refine_axis": refine_axis,
            "specimen_depth_A": depth,
            "rounds": rounds,
        }
        | ({} if max_shift is None else {"max_shift_fraction": max_shift}),
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
    lens = settings_from(
        {"voltage_kV": voltage, "cs_mm": cs, "amplitude_contrast": amplitude_contrast},
        LensSettings,
        {"voltage_kV": "voltage", "cs_mm": "cs"},
    )
    if not min_defocus < max_defocus:
        raise UsageError(f"--min-defocus {min_defocus:g} must be below --max-defocus {max_defocus:g}.")
    ctf = settings_from(
        {"min_defocus_A": min_defocus, "max_defocus_A": max_defocus},
        CTFSettings,
        {"min_defocus_A": "min-defocus", "max_defocus_A": "max-defocus"},
    )
    turns = None if gain_rotation is None else gain_rotation // 90
    settings = settings_from(
        {
            "align": align,
            "reconstruct": volume,
            "mean_free_path_A": mean_free_path,
            "gain": GainSettings(quarter_turns=turns, flipped=gain_flip),
            "motion": MotionSettings(local=local_motion),
            "dose_weighting": dose_weighting,
            "lens": lens,
            "ctf": ctf,
            "ctf_correction": ctf_correction,
            "halves": halves,
        },
        ProcessSettings,
        {"mean_free_path_A": "mean-free-path"},
    )
    where = resolve_device(device)
    # Inputs are read before the session is made: a wrong path leaves no folder behind.
    loading = Loading(source, frames, gain, angles, tilts, mdoc, pixel, name, exposure)
    all_ready, failures = load_all(stacks, loading)
    if halves == "frames" and any(not ready.from_movies for ready in all_ready):
        raise UsageError("--halves frames needs movies: a stack has no frames any more. Use --halves tilts, or counts.")
    outcomes = []
    if all_ready:
        with Session.create_or_open(output, reporter=reporter()) as session:
            for ready in all_ready:
                for note in ready.loaded.of.notes:
                    tell(note)
                try:
                    with told_warnings():
                        outcome = process_loaded(
                            session,
                            ready.loaded,
                            settings,
                            device=where,
                            reporter=reporter(),
                            noticed=ready.noticed,
                        )
                except EucentricError as error:
                    tell_error(error)
                    failures.append(failure(ready.path, error))
                    continue
                outcomes.append(outcome)
                for line in describe(outcome):
                    tell(line)
    if json:
        print_json({"series": [outcome.model_dump(mode="json") for outcome in outcomes], "failed": failures})
    return FAILED if failures else DONE
