"""Warp's files, both ways: .tomostar, XML, settings and particles.

Warp (`TiltSeries.GetPositionInAllTilts`) turns a place by `Euler(0, angle, -axis)` after `RotateX(LevelAngleX)`, which
has x cos(angle) - z sin(angle): its angle is our tilt with the sign changed, its axis and its turn about x are ours.
Places in the volume are counted from half its size, those of the image from half of its own, n / 2 pixels and not
n // 2; AxisOffset, in Å, is then where the origin is seen. A place has the underfocus GridCTF + z, z along our beam,
so that the hand is +1, and -1 where AreAnglesInverted. wrpDose and <Dose> are what the specimen had received before the
image (`ts_import`: order x exposure). Defocus is in µm: U and V are Defocus +- DefocusDelta / 2; phases in units of pi.
Particles have RELION's angles, from the reference to the specimen, and pixels from the volume's corner.
"""

from collections.abc import Sequence
from pathlib import Path, PurePosixPath
from xml.etree import ElementTree

import numpy as np

from eucentric.core import Alignment, InputError
from eucentric.io.angles import write_angles
from eucentric.io.exchange.placing import place
from eucentric.io.exchange.records import Exported, Imported, ProcessedSeries
from eucentric.io.exchange.remembering import Remembering
from eucentric.io.exchange.requirements import need_alignment, need_series
from eucentric.io.exchange.star import write_star
from eucentric.io.exchange.warp_particles import write_particles
from eucentric.io.exchange.warp_read import middle_xy_px, read_project
from eucentric.io.exchange.warp_xml import WarpXML, params, shown, write_tree, write_xml
from eucentric.io.mrc import open_mrc
from eucentric.io.mrc_writer import write_mrc

_ROOM_A = 3000.0  # height of a volume that nobody gave


def write_warp(folder: Path, series: Sequence[ProcessedSeries], *, copy: bool = False) -> Exported:
    """Write a project; Warp takes one pixel size and one size of volume for all of its series.

    Raises
    ------
    InputError
        If there is no series, one has no alignment or no view, or their pixels differ.
    OutputError
        If a file cannot be written.
    """
    need_series(series)
    pixel_A = series[0].series.pixel_A
    alignments = [need_alignment(one, "Warp") for one in series]
    for one in series:
        if abs(one.series.pixel_A / pixel_A - 1) > 1e-4:
            raise InputError(
                f"{one.series.name}: a pixel of {one.series.pixel_A:g} Å among others of {pixel_A:g} Å, but a Warp"
                " project has one.",
                "Export it to a folder of its own.",
            )
    size_xyz_px = tuple(max(one_size[i] for one_size in map(_size_xyz_px, series)) for i in range(3))
    files, dropped = [_write_settings(folder / "warp_tiltseries.settings", pixel_A, size_xyz_px, series)], list[str]()
    for one, alignment in zip(series, alignments, strict=True):
        name = one.series.name
        star = folder / "tomostar" / f"{name}.tomostar"
        doses = _doses(one, dropped)
        tilts = one.series.tilts
        axis = one.series.tilt_axis_deg
        axis = axis if axis is not None else float(np.mean([view.axis_deg for view in alignment.used]))
        movies = [_movie(one, section) for section in range(len(tilts))]
        write_star(
            star,
            {
                "": {
                    "wrpMovieName": movies,
                    "wrpAngleTilt": [-tilt.tilt_deg for tilt in tilts],
                    "wrpAxisAngle": [axis for _ in tilts],
                    "wrpDose": doses,
                }
            },
        )
        xml = folder / "warp_tiltseries" / f"{name}.xml"
        write_xml(xml, _xml(one, alignment, doses, movies, [size * pixel_A for size in size_xyz_px]))
        files += [star, xml]
        files += _place_images(folder / "warp_tiltseries", one, size_xyz_px, dropped, copy=copy)
        dropped += _cannot_hold(one, alignment)
    files += write_particles(folder, series, size_xyz_px)
    return Exported(files=tuple(files), dropped=tuple(dropped))


def read_warp(path: Path) -> Imported:
    """Read the series of a project's folder, or of one .tomostar or .xml file.

    Raises
    ------
    InputError
        If there is no such path, or no series in it.
    """
    return read_project(Path(path))


def _size_xyz_px(one: ProcessedSeries) -> tuple[int, int, int]:
    """Return the volume's size in pixels of the stack: twice to its middle voxel n // 2, so that ours is Warp's."""
    pixel_A, (rows, columns) = one.series.pixel_A, one.series.shape_yx
    if one.volume is None:
        return 2 * (columns // 2), 2 * (rows // 2), 2 * round(_ROOM_A / pixel_A / 2)
    z, y, x = (max(2, round(2 * (n // 2) * one.volume.voxel_A / pixel_A)) for n in one.volume.shape_zyx)
    return x, y, z


def _write_settings(path: Path, pixel_A: float, size_xyz_px: Sequence[int], series: Sequence[ProcessedSeries]) -> Path:
    root = ElementTree.Element("Settings")
    exposures = [tilt.exposure_e_A2 for one in series for tilt in one.series.tilts if tilt.exposure_e_A2]
    values = {"DataFolder": "tomostar", "ProcessingFolder": "warp_tiltseries", "Extension": "*.tomostar"}
    values |= {"PixelSize": shown(pixel_A), "BinTimes": "0"}
    # Negative, as `create_settings` writes it, for what all frames of an image received together.
    values["DosePerAngstromFrame"] = shown(-float(np.median(exposures)) if exposures else -1.0)
    params(ElementTree.SubElement(root, "Import"), values)
    params(
        ElementTree.SubElement(root, "Tomo"),
        {f"Dimensions{axis}": str(size) for axis, size in zip("XYZ", size_xyz_px, strict=True)},
    )
    write_tree(path, root)
    return path


def _movie(one: ProcessedSeries, section: int) -> str:
    path = one.files.movies[section] if one.files.movies else None
    named = str(path) if path else one.series.tilts[section].movie
    name = PurePosixPath(named.replace("\\", "/")).name if named else f"{one.series.name}_{section:03d}.mrc"
    if one.files.stack is not None:
        name = f"{PurePosixPath(name).stem}.mrc"  # an image of our own stands for the movie
    return f"../warp_frameseries/{name.replace(' ', '_')}"


def _doses(one: ProcessedSeries, dropped: list[str]) -> list[float]:
    given = [tilt.pre_exposure_e_A2 for tilt in one.series.tilts]
    known = [value for value in given if value is not None]
    if len(known) == len(given):
        return known
    dropped.append(
        f"{one.series.name}: what the specimen received before each tilt is not known; 1 e/Å² an image was written."
    )
    return [float(tilt.order) for tilt in one.series.tilts]


def _xml(
    one: ProcessedSeries, alignment: Alignment, doses: Sequence[float], movies: Sequence[str], size_A: Sequence[float]
) -> WarpXML:
    views, n, pixel_A = alignment.tilts, len(alignment.tilts), alignment.pixel_A
    rows, columns = alignment.shape_yx
    middle_A = middle_xy_px(alignment.shape_yx) * pixel_A
    hand = one.ctf.hand.hand if one.ctf and one.ctf.hand else 1
    resolved = [tilt.fit_resolution_A for tilt in one.ctf.tilts if tilt.fit_resolution_A] if one.ctf else []
    attributes = {
        "DataDirectory": "",
        "AreAnglesInverted": str(hand < 0),
        "PlaneNormal": "0, 0, 0",
        "LevelAngleX": shown(float(np.mean([view.x_tilt_deg for view in alignment.used]))),
        "LevelAngleY": "0",
        "Bfactor": "0",
        "Weight": "1",
        "MagnificationCorrection": "1, 0, 0, 1",
        "ImageDimensionsAngstrom": f"{shown(columns * pixel_A)}, {shown(rows * pixel_A)}",
        "VolumeDimensionsAngstrom": ", ".join(map(shown, size_A)),
        "UnselectFilter": "False",
        "UnselectManual": "",
        "CTFResolutionEstimate": shown(float(np.median(resolved)) if resolved else 0.0),
    }
    texts = {
        "Angles": [shown(-view.tilt_deg) for view in views],
        "Dose": [shown(dose) for dose in doses],
        "UseTilt": [str(view.used) for view in views],
        "AxisAngle": [shown(view.axis_deg) for view in views],
        "AxisOffsetX": [shown(view.shift_yx_A[1] + middle_A[0]) for view in views],
        "AxisOffsetY": [shown(view.shift_yx_A[0] + middle_A[1]) for view in views],
        "MoviePath": list(movies),
        "FOVFraction": ["1" for _ in views],
    }
    ctf = {"PixelSize": shown(pixel_A)}
    grids = {}
    if one.ctf is not None:
        lens, tilts = one.ctf.lens, one.ctf.tilts
        ctf |= {"Voltage": shown(lens.voltage_kV), "Cs": shown(lens.cs_mm), "Cc": shown(lens.cc_mm)}
        ctf["Amplitude"] = shown(lens.amplitude_contrast)
        for tag, values in (
            ("GridCTF", [tilt.mean_A / 1e4 for tilt in tilts]),
            ("GridCTFDefocusDelta", [tilt.astigmatism_A / 1e4 for tilt in tilts]),
            ("GridCTFDefocusAngle", [tilt.azimuth_deg for tilt in tilts]),
            ("GridCTFPhase", [tilt.phase_shift_deg / 180 for tilt in tilts]),
        ):
            grids[tag] = np.array(values).reshape(n, 1, 1)
    lists = {tag: tuple(lines) for tag, lines in texts.items()}
    return WarpXML(Remembering(attributes), Remembering(lists), Remembering(ctf), Remembering(grids))


def _place_images(
    folder: Path, one: ProcessedSeries, size_xyz_px: Sequence[int], dropped: list[str], *, copy: bool
) -> list[Path]:
    name, files, written = one.series.name, one.files, list[Path]()
    if files.stack is not None:
        written.append(place(files.stack, folder / "tiltstack" / name / f"{name}.st", copy=copy))
        angles = folder / "tiltstack" / name / f"{name}.rawtlt"
        write_angles(angles, [-tilt.tilt_deg for tilt in one.series.tilts])
        written.append(angles)
        written += _write_averages(folder.parent / "warp_frameseries", one, copy=copy)
    else:
        dropped.append(
            f"{name}: there is no stack, so no averages were written; put the movies into warp_frameseries/ and run"
            " WarpTools fs_motion there first."
        )
    fits = _size_xyz_px(one) == tuple(size_xyz_px)
    for where, tomogram in (("", files.tomogram), ("even", files.tomogram_even), ("odd", files.tomogram_odd)):
        if tomogram is not None and fits:
            voxel_A = open_mrc(tomogram).pixel_A or (one.volume.voxel_A if one.volume else one.series.pixel_A)
            written.append(
                place(tomogram, folder / "reconstruction" / where / f"{name}_{voxel_A:.2f}Apx.mrc", copy=copy)
            )
        elif tomogram is not None:
            dropped.append(f"{tomogram}: not linked; a Warp project has tomograms of one size, and others are larger.")
    return written


def _write_averages(folder: Path, one: ProcessedSeries, *, copy: bool) -> list[Path]:
    """Write each image where Warp looks for its movie, which it asks for the size, and where for its average."""
    written = []
    for stack, where in ((one.files.stack, ""), (one.files.even, "even"), (one.files.odd, "odd")):
        if stack is None:
            continue
        data = open_mrc(stack).data
        if data.shape != (len(one.series.tilts), *one.series.shape_yx):
            raise InputError(f"{stack}: {data.shape} pixels are not those of {one.series.name}.", "Process it again.")
        for section in range(len(data)):
            name = PurePosixPath(_movie(one, section)).name
            image = data[section : section + 1]
            image = image.astype(np.int16) if image.dtype == np.uint8 else image  # no mode of MRC2014
            path = folder / "average" / where / name
            write_mrc(path, image, one.series.pixel_A, kind="stack")
            written.append(path)
            written += [] if where else [place(path, folder / name, copy=copy)]
    return written


def _cannot_hold(one: ProcessedSeries, alignment: Alignment) -> list[str]:
    name, views, ctf, dropped = one.series.name, alignment.used, one.ctf, list[str]()
    x_tilts = [view.x_tilt_deg for view in views]
    if (spread := max(x_tilts) - min(x_tilts)) > 1e-4:
        dropped.append(f"{name}: tilts about x differ by {spread:.2f}°; Warp has one, and their mean was written.")
    if (most := max(abs(view.magnification - 1) for view in views)) > 1e-6:
        dropped.append(f"{name}: magnifications up to {most:.2%} from 1 were left out; Warp has none for a tilt.")
    if alignment.local is not None:
        dropped.append(f"{name}: local motion was left out; M finds its own.")
    if any(value is not None for value in one.target_defocus_A) or one.frames:
        dropped.append(f"{name}: target defoci and numbers of frames were left out.")
    if any(view.reason for view in alignment.tilts):
        dropped.append(f"{name}: why views are left out was not written, only that they are (UseTilt).")
    if ctf is None:
        dropped.append(f"{name}: no CTF is known; run ts_ctf.")
    else:
        dropped.append(f"{name}: the CTF's scores were left out; of its resolutions, the median was written.")
        if ctf.hand is None:
            dropped.append(f"{name}: the defocus hand is not known; AreAnglesInverted is False: run ts_defocus_hand.")
        elif not ctf.hand.sure:
            dropped.append(f"{name}: the defocus hand {ctf.hand.hand:+d} is not sure: run ts_defocus_hand.")
        if any(tilt.sigma_A is not None or tilt.evidence is not None for tilt in ctf.tilts) or ctf.thickness_A:
            dropped.append(f"{name}: the CTF's uncertainty and the specimen's thickness were left out.")
    return dropped
