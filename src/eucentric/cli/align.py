"""`eucentric align`."""

from collections.abc import Iterable
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal

from cyclopts import Parameter

from eucentric.cli.align_words import bundle_as_json, tell_bundle, tell_views, tell_written
from eucentric.cli.app import DONE, Device, Json, Pixel, UsageError, app, print_json, reporter, tell, told_warnings
from eucentric.core import InputError, OutputError, make_folder

if TYPE_CHECKING:
    from eucentric.core import Alignment
    from eucentric.io import TrackTable
    from eucentric.processing.alignment.beads import BundleAdjustment, ChosenFreedom, Freedom

_MANY_BEADS = 10  # in half of the views: enough that what each view has of its own is well known
Level = Literal["fixed", "grouped", "free"]


@app.command
def align(
    stack: Path | None = None,
    /,
    *,
    angles: Path | None = None,
    tracks: Path | None = None,
    size: str | None = None,
    pixel: Pixel = None,
    axis: float | None = None,
    tilt: Level | None = None,
    rotation: Literal["fixed", "one", "grouped", "free"] | None = None,
    magnification: Level | None = None,
    x_tilt: Literal["fixed", "one", "grouped", "free"] | None = None,
    distortion: Literal["fixed", "grouped"] | None = None,
    auto: Annotated[bool, Parameter(negative=())] = False,
    output: Annotated[Path | None, Parameter(name=["--output", "-o"])] = None,
    device: Device = "auto",
    json: Json = False,
) -> int:
    """Align a series: a stack by its images, or given tracks of beads by a bundle adjustment.

    Example: `eucentric align --tracks tracks.csv --angles series.tlt --output aligned --pixel 10`

    Example: `eucentric align series.mrc --angles series.rawtlt --output aligned`

    Of tracks, what may vary from view to view besides the shifts is told by five options. If none of them is given,
    rotation and magnification of each view, and by groups of views the tilts and a distortion of the specimen vary, as
    is usual with IMOD; where most views have fewer than 10 beads, the data decide as with `--auto`.

    Parameters
    ----------
    stack
        MRC stack, not aligned; it is only read. Or give tracks:
    angles
        Tilt angles, one a line, a line for each view.
    tracks
        CSV with the columns bead, view, x_px, y_px, views from 0, places as array indices (the centre of the first
        pixel is 0); or an IMOD model, .fid or .mod (whose places are half a pixel larger; they are converted).
    size
        Columns and rows of the images the tracks are of, as NX,NY; that of the IMOD model if not given.
    pixel
        Pixel size in Å, in place of the file's.
    axis
        Tilt-axis angle in degrees as IMOD gives it, from the image's y axis, counter-clockwise: exact for a stack,
        where to begin for tracks; found within ±90° if not given.
    tilt
        Tilt angles: fixed, grouped (piecewise linear, a knot every 5 views) or free.
    rotation
        Tilt axis of the views: fixed, one, grouped or free.
    magnification
        Magnification of the views: fixed, grouped or free.
    x_tilt
        Tilt about x: fixed, one (which nothing seen can tell), grouped or free.
    distortion
        Stretch and skew of the specimen in its plane: fixed or grouped. An alignment has none: what is written is the
        nearest one without.
    auto
        Let beads that are held out decide what may vary.
    output
        Folder for alignment.json, IMOD's .xf, .tlt and .xtilt, and of tracks the .fid and a picture of the residuals.
    """
    chosen = {"tilt": tilt, "axis": rotation, "magnification": magnification, "x_tilt": x_tilt}
    chosen |= {"stretch": distortion, "skew": distortion}
    given = {field: level for field, level in chosen.items() if level is not None}
    if (stack is None) == (tracks is None):
        raise UsageError("Give a stack, or --tracks: one of them is aligned.")
    if stack is not None:
        if given or auto or size:
            raise UsageError(
                "--tilt, --rotation, --magnification, --x-tilt, --distortion, --auto and --size are of tracks."
            )
        return _align_stack(stack, angles, pixel, axis, output, device, json)
    if tracks is None or angles is None:
        raise UsageError("Tracks have no angles of their own: give them with --angles.")
    if given and auto:
        raise UsageError("--auto finds what may vary: use it, or say it yourself.")
    return _align_tracks(tracks, angles, _size(size), pixel, axis, given, auto, output, json)


def _align_tracks(
    path: Path,
    angles: Path,
    size_xy: tuple[int, int] | None,
    pixel_A: float | None,
    axis_deg: float | None,
    given: dict[str, Any],
    auto: bool,
    output: Path | None,
    json: bool,
) -> int:
    from eucentric.io import read_angles, read_tracks
    from eucentric.processing.alignment.beads import (
        BundleSettings,
        Freedom,
        Tracks,
        adjust_bundle,
        adjust_freely,
    )
    from eucentric.workflow.about import about_file

    with told_warnings():
        table, tilts_deg = read_tracks(path), read_angles(angles)
        pixel_A = pixel_A or table.pixel_A
        if output is not None:
            if pixel_A is None:
                raise InputError(
                    f"{path}: it gives no pixel size, which an alignment has.", "Give it in Å with --pixel."
                )
            _check_outputs(output, path.stem, (path, angles))
        shape_yx = (size_xy[1], size_xy[0]) if size_xy else table.shape_yx or _covered(table)
        settings = BundleSettings(axis_deg=axis_deg)
        with about_file(path):
            tracks = Tracks.of(table.bead, table.view, table.yx_px)
            freedom = Freedom(**given) if given else None if auto else _usual(table)
            why: ChosenFreedom | None = None
            if freedom is None:
                found, why = adjust_freely(tracks, tilts_deg, shape_yx, settings)
            else:
                found = adjust_bundle(tracks, tilts_deg, shape_yx, settings.replace(freedom=freedom))
        tell_bundle(found, why)
        written = _write_bundle(output, path.stem, found, pixel_A, table) if output and pixel_A else []
    if json:
        print_json(bundle_as_json(found, why, written))
    return DONE


def _align_stack(
    path: Path,
    angles: Path | None,
    pixel_A: float | None,
    axis_deg: float | None,
    output: Path | None,
    device: str,
    json: bool,
) -> int:
    if output is not None:
        _check_outputs(output, path.stem, [one for one in (path, angles) if one])
    with told_warnings():
        from eucentric.core.devices import resolve_device  # heavy imports wait until a verb runs
        from eucentric.io import load_series
        from eucentric.processing.alignment import AlignSettings, align_series, prepare_images
        from eucentric.workflow.about import about_file

        where = resolve_device(device)
        loaded = load_series(path, angles=angles, pixel_A=pixel_A)
        series = loaded.series
        with about_file(path):
            prepared = prepare_images(loaded.images, series.tilts_deg, reporter=reporter())
            result = align_series(
                prepared,
                series.tilts_deg,
                series.pixel_A,
                AlignSettings(axis_deg=axis_deg),
                nominal_axis_deg=series.tilt_axis_deg,
                exposures_e_A2=series.mid_exposures_e_A2,
                device=where,
                reporter=reporter(),
            )
        alignment = result.alignment
        used = {view.section for view in alignment.used}
        residuals = [one.residual_A / series.pixel_A for one in result.tilts if one.section in used]
        residual_px = sum(residuals) / len(residuals)
        tell(
            f"{len(used)} of {len(alignment.tilts)} views, tilt axis {alignment.used[0].axis_deg:.2f}°, "
            f"residual {residual_px:.2f} px (mean)."
        )
        tell(f"{result.why[0].upper()}{result.why[1:]}.")
        tell(
            f"The specimen lies flat at a stage tilt of {-result.tilt_offset_deg:.1f}° and is about "
            f"{result.specimen_depth_A:.0f} Å thick; tilts are told of it as it lies."
        )
        if result.local_motion:
            tell(f"Local motion {result.local_motion}.")
        left_out = {view.section: view.reason for view in alignment.tilts if not view.used}
        tell_views(left_out, {})
        written = _write_alignment(output, path.stem, alignment) if output else []
        tell_written(written)
    if json:
        views = alignment.tilts
        print_json(
            {
                "mean_residual_px": round(residual_px, 4),
                "rotation_deg": [round(view.axis_deg, 4) for view in views],
                "tilt_deg": [round(view.tilt_deg, 4) for view in views],
                "shift_yx_px": [[round(shift / series.pixel_A, 4) for shift in view.shift_yx_A] for view in views],
                "beads": [],
                "method": result.method,
                "why": result.why,
                "tilt_offset_deg": round(result.tilt_offset_deg, 3),
                "specimen_depth_A": round(result.specimen_depth_A, 1),
                "local_motion": result.local_motion,
                "left_out": left_out,
                "written": [str(one) for one in written],
            }
        )
    return DONE


def _usual(table: "TrackTable") -> "Freedom | None":
    """Return what varies if nothing is said, or nothing where there are too few beads to take it for granted."""
    import numpy as np

    from eucentric.processing.alignment.beads import Freedom

    if np.median(np.unique(table.view, return_counts=True)[1]) < _MANY_BEADS:
        return None
    return Freedom(tilt="grouped", axis="free", magnification="free", stretch="grouped", skew="grouped")


def _size(text: str | None) -> tuple[int, int] | None:
    if text is None:
        return None
    parts = text.lower().replace("x", ",").split(",")
    if len(parts) != 2 or not all(part.strip().isdigit() and int(part) > 0 for part in parts):
        raise UsageError(f"--size {text}: columns and rows as NX,NY were expected, such as 4096,4096.")
    return int(parts[0]), int(parts[1])


def _covered(table: "TrackTable") -> tuple[int, int]:
    """Take the images to reach as far beyond the beads on one side as on the other, where their size is unknown."""
    low, high = table.yx_px.min(axis=0), table.yx_px.max(axis=0)
    rows, columns = (max(1, round(float(side))) for side in high + low.clip(0) + 1)
    tell(
        f"The size of the images is not known: {columns} x {rows} pixels were taken, from where beads are. "
        "Shifts count from their middle; give it with --size."
    )
    return rows, columns


def _files(output: Path, name: str) -> list[Path]:
    files = ["alignment.json", f"{name}.xf", f"{name}.tlt", f"{name}.xtilt", f"{name}.fid", f"{name}_residuals.png"]
    return [output / file for file in files]


def _check_outputs(output: Path, name: str, inputs: Iterable[Path]) -> None:
    """Refuse, before any work, outputs that cannot be or that would replace an input."""
    sources = {path.resolve() for path in inputs}
    for path in _files(output, name):
        if path.resolve() in sources:
            raise OutputError(
                f"{path}: this is an input, and would be replaced; nothing was done.", "Choose another --output."
            )
    make_folder(output)


def _write_alignment(output: Path, name: str, alignment: "Alignment") -> list[Path]:
    from eucentric.io import write_alignment, write_tlt, write_xf
    from eucentric.io.imod import write_xtilt

    ours, xf, tlt, xtilt, *_ = _files(output, name)
    write_alignment(ours, alignment)
    write_xf(xf, alignment)
    write_tlt(tlt, alignment)
    write_xtilt(xtilt, alignment)
    return [ours, xf, tlt, xtilt]


def _write_bundle(
    output: Path, name: str, found: "BundleAdjustment", pixel_A: float, table: "TrackTable"
) -> list[Path]:
    from eucentric.io import write_fiducials
    from eucentric.report.bundle_picture import write_bundle_picture

    written = _write_alignment(output, name, found.alignment(pixel_A))
    *_, fid, picture = _files(output, name)
    write_fiducials(fid, table, len(found.views), found.shape_yx, pixel_A)
    write_bundle_picture(picture, found, name)
    written += [fid, picture]
    tell_written(written)
    return written
