"""`eucentric reconstruct`."""

from collections.abc import Iterable
from pathlib import Path
from typing import Annotated, Literal

from cyclopts import Parameter

from eucentric.cli.app import (
    DONE,
    Device,
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
from eucentric.core import InputError, OutputError, make_folder

RECONSTRUCT_OPTIONS = {"binning": "bin", "thickness_A": "thickness", "size_yx": "size"}
"""The options that set the fields of `ReconstructSettings`, where the names differ."""


@app.command
def reconstruct(
    stack: Path,
    /,
    *,
    output: Annotated[Path, Parameter(name=["--output", "-o"])],
    alignment: Path | None = None,
    xf: Path | None = None,
    tlt: Path | None = None,
    pixel: Pixel = None,
    binning: Annotated[int | None, Parameter(name="--bin")] = None,
    thickness: float | None = None,
    size: tuple[int, int] | None = None,
    filter: Literal["ramp", "shepp-logan", "cosine", "hamming", "hann"] = "ramp",  # noqa: A002 - the option's name
    cutoff: float = 0.8,
    falloff: float = 0.1,
    weighting: Literal["uniform", "cosine", "exact", "radial-sirt"] = "uniform",
    method: Literal["wbp", "sirt", "cgls"] = "wbp",
    iterations: int = 20,
    least_gain: float = 0.001,
    positivity: Literal["none", "bright", "dark"] = "none",
    subvolumes: Path | None = None,
    box: int = 64,
    halves: bool = False,
    device: Device = "auto",
    json: Json = False,
) -> int:
    """Reconstruct a tomogram from a stack and its alignment, or sub-volumes at many places.

    Example: `eucentric reconstruct ts01.mrc --xf ts01.xf --tlt ts01.tlt --bin 2 --output ts01_rec.mrc`
    Example: `eucentric reconstruct ts01.mrc --alignment alignment.json --subvolumes places.csv --box 128 -o sub.mrc`
    Example: `eucentric reconstruct my-session/series/ts01 -o ts01_rec.mrc`, after `eucentric import`

    Parameters
    ----------
    stack
        MRC stack, not aligned; it is only read. Or the folder of a series that was imported, whose stack, alignment and
        volume are then taken where no option says otherwise.
    output
        The tomogram, an MRC file.
    alignment
        Eucentric's `alignment.json`; or give IMOD's files:
    xf
        IMOD's transforms, made for this stack.
    tlt
        IMOD's tilt angles.
    pixel
        Pixel size in Å, in place of the stack's, for IMOD's files; `alignment.json` has its own.
    binning
        Pixels along each side of a voxel; 1 if not given.
    thickness
        Thickness of the tomogram in Å; 0.3 of the field if not given.
    size
        Voxels along y and x; those of the images if not given.
    filter
        Window on the ramp filter.
    cutoff
        Where the ramp filter ends, as a share of Nyquist.
    falloff
        Width of the Gaussian beyond, as a share of Nyquist.
    weighting
        Weights of back-projection: the ramp with tilts by their angle (uniform), and by the cosine of their tilt too
        (cosine); the overlap of all tilts in a slab of this thickness (exact); or what SIRT of --iterations rounds
        comes to (radial-sirt). The first two are weights of tilts for sirt and cgls too.
    method
        Weighted back-projection (wbp); or rounds of SIRT, or of conjugate gradients (cgls: fewer rounds do).
    iterations
        Most rounds of sirt and cgls, and those that radial-sirt stands for.
    least_gain
        Rounds end where one lowers the residual by less than this share.
    positivity
        Hold density of sirt on the side of the mean that dense matter has in the stack: bright or dark.
    subvolumes
        Table (CSV) of places with the columns z_A, y_A and x_A, in Å from the tomogram's middle. A sub-volume about
        each is written in place of the tomogram, numbered from 1 in the table's order: sub_0001.mrc for `-o sub.mrc`.
    box
        Voxels along each side of a sub-volume.
    halves
        Write the tomograms of the even and of the odd tilts too, beside the output.
    """
    from eucentric.core.devices import resolve_device  # heavy imports wait until a verb runs
    from eucentric.io import open_mrc, read_alignment, read_imod_alignment
    from eucentric.io.places import read_places
    from eucentric.processing.alignment import prepare_images
    from eucentric.processing.reconstruction import ReconstructSettings, reconstruct_subvolumes, volume_shape
    from eucentric.workflow.about import about_file
    from eucentric.workflow.exchanging import imported_series
    from eucentric.workflow.volumes import write_halves, write_reconstruction

    if stack.is_dir():
        if any((alignment, xf, tlt, pixel)):
            raise UsageError(f"{stack}: an imported series has its alignment; leave out --alignment, --xf and --tlt.")
        imported = imported_series(stack)
        stack, alignment = imported.stack, imported.alignment
        binning, thickness = binning or imported.binning, thickness or imported.thickness_A
        size = size or imported.size_yx
    if alignment is None and (xf is None or tlt is None):
        raise UsageError("No alignment was given: give --alignment alignment.json, or both --xf and --tlt.")
    if alignment is not None and any((xf, tlt, pixel)):
        raise UsageError("--alignment holds all that --xf, --tlt and --pixel give: use it, or them.")
    if method != "wbp" and weighting in ("exact", "radial-sirt"):
        raise UsageError(f"--weighting {weighting} is of --method wbp, not {method}.")
    if method != "sirt" and positivity != "none":
        raise UsageError(f"--positivity {positivity} is held by --method sirt, not {method}.")
    if subvolumes is not None and method != "wbp":
        raise UsageError(f"--subvolumes are made by --method wbp, not {method}.")
    if subvolumes is not None and not 8 <= box <= 4096:
        raise UsageError(f"--box {box}: a sub-volume has 8 to 4096 voxels along each side.")
    where = resolve_device(device)
    settings = settings_from(
        {
            "binning": binning or 1,
            "thickness_A": thickness,
            "size_yx": size,
            "filter": filter,
            "cutoff": cutoff,
            "falloff": falloff,
            "weighting": weighting,
            "method": method,
            "iterations": iterations,
            "least_gain": least_gain,
            "positivity": positivity,
        },
        ReconstructSettings,
        RECONSTRUCT_OPTIONS,
    )
    with told_warnings():
        places = read_places(subvolumes) if subvolumes is not None else []
    names = [f"{output.stem}_{number:04d}" for number in range(1, len(places) + 1)] or [output.stem]
    suffixes = ("", "_even", "_odd") if halves else ("",)
    written = [{suffix: output.with_name(f"{name}{suffix}{output.suffix}") for suffix in suffixes} for name in names]
    paths = [path for volume in written for path in volume.values()]
    with told_warnings():
        image = open_mrc(stack)
        if alignment is not None:
            views = read_alignment(alignment)
        elif xf is not None and tlt is not None:
            pixel_A = pixel or image.pixel_A
            if pixel_A is None:
                raise InputError(f"{stack}: its header gives no pixel size.", "Give it in Å with --pixel.")
            rows, columns = image.data.shape[1:]
            views = read_imod_alignment(xf, tlt, pixel_A, (rows, columns))
        _check_outputs(paths, [path for path in (stack, alignment, xf, tlt, subvolumes) if path])
        with about_file(stack):
            prepared = prepare_images(image.data, [tilt.tilt_deg for tilt in views.tilts], reporter=reporter())
            tilts = tuple(
                tilt.replace(used=False, reason=prepared.reasons[tilt.section])
                if tilt.section in prepared.reasons
                else tilt
                for tilt in views.tilts
            )
            views = views.replace(tilts=tilts)
            if places:
                shape = (box, box, box)
                for sub in reconstruct_subvolumes(
                    prepared.images, views, places, shape, settings, device=where, reporter=reporter()
                ):
                    write_halves(written[sub.index], sub.halves)
            else:
                shape = volume_shape(views, settings)
                write_reconstruction(prepared.images, views, settings, written[0], device=where, reporter=reporter())
    for section, reason in sorted(prepared.reasons.items()):
        tell(f"Left out: section {section}, {reason}.")
    voxel_A = views.pixel_A * settings.binning
    listed = ", ".join(map(str, paths[:3])) + (f" and {len(paths) - 3} more" if len(paths) > 3 else "")
    tell(f"Wrote {listed}: {shape[0]} x {shape[1]} x {shape[2]} voxels of {voxel_A:g} Å.")
    if json:
        print_json({"written": [str(path) for path in paths], "shape_zyx": shape, "voxel_A": voxel_A})
    return DONE


def _check_outputs(outputs: Iterable[Path], inputs: Iterable[Path]) -> None:
    """Refuse, before any work, outputs that cannot be or that would replace an input."""
    sources = {path.resolve() for path in inputs}
    for path in outputs:
        if path.resolve() in sources:
            raise OutputError(
                f"{path}: this is an input, and would be replaced; nothing was done.", "Choose another --output."
            )
        if path.is_dir():
            raise OutputError(f"{path}: this is a folder; nothing was done.", "Name a file in --output.")
        make_folder(path.parent)
