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
    binning: Annotated[int, Parameter(name="--bin")] = 1,
    thickness: float | None = None,
    size: tuple[int, int] | None = None,
    filter: Literal["ramp", "shepp-logan", "cosine", "hamming", "hann"] = "ramp",  # noqa: A002 - the option's name
    cutoff: float = 0.8,
    falloff: float = 0.1,
    weighting: Literal["uniform", "cosine"] = "uniform",
    halves: bool = False,
    device: Device = "auto",
    json: Json = False,
) -> int:
    """Reconstruct a tomogram from a stack and its alignment, by weighted back-projection.

    Example: `eucentric reconstruct ts01.mrc --xf ts01.xf --tlt ts01.tlt --bin 2 --output ts01_rec.mrc`

    Parameters
    ----------
    stack
        MRC stack, not aligned; it is only read.
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
        Pixels along each side of a voxel.
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
        Weight of the tilts.
    halves
        Write the tomograms of the even and of the odd tilts too, beside the output.
    """
    from eucentric.core.devices import resolve_device  # heavy imports wait until a verb runs
    from eucentric.io import open_mrc, read_alignment, read_imod_alignment, write_mrc
    from eucentric.processing.alignment import prepare_images
    from eucentric.processing.reconstruction import ReconstructSettings
    from eucentric.processing.reconstruction import reconstruct as back_project
    from eucentric.workflow.about import VOLUME_LABELS, about_file

    if alignment is None and (xf is None or tlt is None):
        raise UsageError("No alignment was given: give --alignment alignment.json, or both --xf and --tlt.")
    if alignment is not None and any((xf, tlt, pixel)):
        raise UsageError("--alignment holds all that --xf, --tlt and --pixel give: use it, or them.")
    where = resolve_device(device)
    settings = settings_from(
        {
            "binning": binning,
            "thickness_A": thickness,
            "size_yx": size,
            "filter": filter,
            "cutoff": cutoff,
            "falloff": falloff,
            "weighting": weighting,
        },
        ReconstructSettings,
        RECONSTRUCT_OPTIONS,
    )
    written = {
        suffix: output.with_name(f"{output.stem}{suffix}{output.suffix}")
        for suffix in (("", "_even", "_odd") if halves else ("",))
    }
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
        _check_outputs(written.values(), [path for path in (stack, alignment, xf, tlt) if path])
        with about_file(stack):
            prepared = prepare_images(image.data, [tilt.tilt_deg for tilt in views.tilts], reporter=reporter())
            tilts = tuple(
                tilt.replace(used=False, reason=prepared.reasons[tilt.section])
                if tilt.section in prepared.reasons
                else tilt
                for tilt in views.tilts
            )
            both = back_project(
                prepared.images, views.replace(tilts=tilts), settings, device=where, reporter=reporter()
            )
        for suffix, path in written.items():
            volume = both.even if suffix == "_even" else both.odd if suffix == "_odd" else both.full()
            write_mrc(path, volume.cpu().numpy(), both.voxel_A, kind="volume", label=VOLUME_LABELS[suffix])
    for section, reason in sorted(prepared.reasons.items()):
        tell(f"Left out: section {section}, {reason}.")
    paths, shape = [str(path) for path in written.values()], tuple(both.even.shape)
    tell(f"Wrote {', '.join(paths)}: {shape[0]} x {shape[1]} x {shape[2]} voxels of {both.voxel_A:g} Å.")
    if json:
        print_json({"written": paths, "shape_zyx": shape, "voxel_A": both.voxel_A})
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
