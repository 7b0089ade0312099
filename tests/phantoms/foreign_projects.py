"""Projects as RELION-5 and WarpTools leave them, of beads at known places: one image a tilt, and no stack.

Nothing here is written by our own exporters: tables, XML and names are what those programs write.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import mrcfile
import numpy as np
from numpy.typing import NDArray

from eucentric.core import Alignment, TiltAlignment, stream
from phantoms.phantom import Phantom, project

PIXEL_A = 5.0
SHAPE_YX = (201, 220)  # one odd and one even: no middle is right by chance
VOXEL_A = 10.0
VOLUME_ZYX = (36, 100, 110)
TILTS_DEG = tuple(5.0 * step for step in range(-11, 12))
PLACES_A = np.array([[0, 0, 0], [90, 150, 60], [-80, -220, 310], [60, 260, -280], [-100, 40, -190], [110, -310, -90]])
EXPOSURE_e_A2 = 3.0

Image = NDArray[np.float32]


@dataclass(frozen=True)
class ForeignProject:
    """A project: its folder, and by section the image of each tilt."""

    folder: Path
    images: tuple[Path, ...]


def truth(axis_deg: float = 84.7) -> Alignment:
    """Return how the images see the beads, by section, from the most negative tilt on."""
    draw = stream(0, "test", "foreign project")
    return Alignment(
        pixel_A=PIXEL_A,
        shape_yx=SHAPE_YX,
        tilts=tuple(
            TiltAlignment(
                section=section,
                tilt_deg=tilt_deg + 1.3,
                axis_deg=axis_deg,
                shift_yx_A=(float(draw.normal(0, 40)), float(draw.normal(0, 40))),
            )
            for section, tilt_deg in enumerate(TILTS_DEG)
        ),
    )


def relion_project(folder: Path, *, halves: bool = False) -> ForeignProject:
    """Write a project up to Tomograms, one series; its images are in MotionCorr/job002/frames."""
    rows = []
    frames = folder / "MotionCorr/job002/frames"
    by_section: dict[int, Path] = {}
    for order, section in enumerate(_orders()):
        view, tilt_deg = truth().tilts[section], TILTS_DEG[section]
        stem = f"TS_01_{order:03d}_{tilt_deg:.1f}".replace(".", "_")
        by_section[section] = frames / f"{stem}.mrc"
        names = {"rlnMicrographName": f"{stem}.mrc"}
        if halves:
            names |= {"rlnMicrographNameEven": f"{stem}_EVN.mrc", "rlnMicrographNameOdd": f"{stem}_ODD.mrc"}
        for part, name in enumerate(names.values()):
            write_image(frames / name, image_of(view, part))
        rows.append(
            {
                "rlnMicrographMovieName": f"frames/TS_01_{order:03d}_{tilt_deg:.1f}.mrc",
                "rlnTomoTiltMovieFrameCount": 10,
                "rlnTomoTiltMovieIndex": order + 1,
                "rlnTomoNominalStageTiltAngle": f"{tilt_deg:.6f}",
                "rlnTomoNominalTiltAxisAngle": "85.000000",
                "rlnTomoNominalDefocus": "-2.50000",
                "rlnMicrographPreExposure": f"{order * EXPOSURE_e_A2:.6f}",
                **{label: f"MotionCorr/job002/frames/{name}" for label, name in names.items()},
                "rlnMicrographMetadata": f"MotionCorr/job002/frames/{stem}.star",
                "rlnAccumMotionTotal": "2.811759",
                "rlnDefocusU": "25510.873047",
                "rlnDefocusV": "24991.343750",
                "rlnDefocusAngle": "70.643059",
                "rlnTomoXTilt": "0.000000",
                "rlnTomoYTilt": f"{view.tilt_deg:.6f}",
                "rlnTomoZRot": f"{view.axis_deg:.6f}",
                "rlnTomoXShiftAngst": f"{view.shift_yx_A[1]:.6f}",
                "rlnTomoYShiftAngst": f"{view.shift_yx_A[0]:.6f}",
            }
        )
    z, y, x = (round(n * VOXEL_A / PIXEL_A) for n in VOLUME_ZYX)
    row: dict[str, object] = {
        "rlnTomoName": "TS_01",
        "rlnTomoTiltSeriesStarFile": "AlignTiltSeries/job005/tilt_series/TS_01.star",
        "rlnVoltage": "300.000000",
        "rlnSphericalAberration": "2.700000",
        "rlnAmplitudeContrast": "0.100000",
        "rlnMicrographOriginalPixelSize": f"{PIXEL_A:.6f}",
        "rlnTomoHand": "-1.000000",
        "rlnOpticsGroupName": "opticsGroup1",
        "rlnTomoTiltSeriesPixelSize": f"{PIXEL_A:.6f}",
    }
    sizes = {"rlnTomoSizeX": x, "rlnTomoSizeY": y, "rlnTomoSizeZ": z, "rlnTomoTomogramBinning": VOXEL_A / PIXEL_A}
    _star(folder / "AlignTiltSeries/job005/aligned_tilt_series.star", "global", [row])
    _star(folder / "AlignTiltSeries/job005/tilt_series/TS_01.star", "TS_01", rows)
    row["rlnTomoTiltSeriesStarFile"] = "Tomograms/job006/tilt_series/TS_01.star"
    _star(folder / "Tomograms/job006/tomograms.star", "global", [row | sizes])
    _star(folder / "Tomograms/job006/tilt_series/TS_01.star", "TS_01", rows)
    (folder / "default_pipeline.star").write_text("\n# version 50001\n\ndata_pipeline_general\n\n")
    return ForeignProject(folder, tuple(by_section[section] for section in range(len(TILTS_DEG))))


def warp_project(folder: Path, *, halves: bool = False, xml: bool = True) -> ForeignProject:
    """Write a project up to ts_reconstruct, one series: averages, .tomostar, XML, settings, tomograms.

    Without `xml` it is as after ts_import.
    """
    rows, images, views = [], [], truth().tilts
    order_of = {section: order for order, section in enumerate(_orders())}
    for section, tilt_deg in enumerate(TILTS_DEG):
        movie = f"2Dvs3D_53-1_{order_of[section]:05d}_{tilt_deg:.1f}_Jul31_10.36.03.tif"
        parts = ("", "even", "odd") if halves else ("",)
        for part, where in enumerate(parts):
            average = folder / "warp_frameseries/average" / where / f"{Path(movie).stem}.mrc"
            write_image(average, image_of(views[section], part))
            images += [average] if not where else []
        _write(folder / f"warp_frameseries/{Path(movie).stem}.xml", '<Movie UnselectFilter="False"></Movie>')
        rows.append(
            {
                "wrpMovieName": f"../warp_frameseries/{movie}",
                "wrpAngleTilt": f"{-tilt_deg:.2f}",
                "wrpAxisAngle": "85.000",
                "wrpDose": f"{order_of[section] * EXPOSURE_e_A2:.2f}",
                "wrpAverageIntensity": "13.921",
                "wrpMaskedFraction": "0.000",
            }
        )
    _star(folder / "tomostar/TS_01.tomostar", "", rows)
    size = " ".join(str(round(n * VOXEL_A / PIXEL_A)) for n in reversed(VOLUME_ZYX))
    dimensions = "".join(
        f'<Param Name="Dimensions{axis}" Value="{n}" />' for axis, n in zip("XYZ", size.split(), strict=True)
    )
    _write(
        folder / "warp_tiltseries.settings",
        '<Settings><Import><Param Name="DataFolder" Value="tomostar" /><Param Name="ProcessingFolder"'
        ' Value="warp_tiltseries" /><Param Name="Extension" Value="*.tomostar" /><Param Name="PixelSize"'
        f' Value="{PIXEL_A}" /><Param Name="BinTimes" Value="0" /></Import><Tomo>{dimensions}</Tomo></Settings>',
    )
    if xml:
        _write(folder / "warp_tiltseries/TS_01.xml", _warp_xml(views, [str(row["wrpMovieName"]) for row in rows], rows))
        for where in ("", "even", "odd") if halves else ("",):
            path = folder / "warp_tiltseries/reconstruction" / where / f"TS_01_{VOXEL_A:.2f}Apx.mrc"
            write_image(path, np.zeros(VOLUME_ZYX, np.float32), VOXEL_A)
    return ForeignProject(folder, tuple(images))


def image_of(view: TiltAlignment, part: int = 0) -> Image:
    """Return an image of the beads with noise; `part` is 0 for all frames, 1 for even and 2 for odd ones."""
    beads = Phantom(PLACES_A, 2 * VOXEL_A, 1.0)
    noise = stream(0, "test", "foreign image", view.section, part).normal(0, 1, SHAPE_YX)
    return np.asarray(100 - project(beads, view, SHAPE_YX, PIXEL_A) + noise, np.float32)


def write_image(path: Path, image: NDArray[np.float32], pixel_A: float = PIXEL_A) -> None:
    """Write pixels as a file of one section, or a volume."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with mrcfile.new(path, overwrite=True) as file:
        file.set_data(image if image.ndim == 3 else image[None])
        file.voxel_size = pixel_A


def found_A(volume: NDArray[np.float32], place_A: NDArray[np.float64], reach: int = 4) -> NDArray[np.float64]:
    """Return where a dark bead near a place is, zyx in Å from the middle voxel n // 2."""
    middle = np.array(volume.shape) // 2
    near = np.round(place_A / VOXEL_A).astype(int) + middle
    box = tuple(slice(i - reach, i + reach + 1) for i in near)
    depth = np.median(volume) - volume[box]
    weights = np.clip(depth - depth.max() / 2, 0, None)
    at = np.array([np.sum(weights * axis) for axis in np.indices(weights.shape)]) / weights.sum()
    return np.asarray((at - reach + near - middle) * VOXEL_A, np.float64)


def _orders() -> list[int]:
    """Return the sections in the order in which they were taken: dose-symmetric."""
    return sorted(range(len(TILTS_DEG)), key=lambda section: (abs(TILTS_DEG[section]), -TILTS_DEG[section]))


def _warp_xml(views: Sequence[TiltAlignment], movies: Sequence[str], rows: Sequence[Mapping[str, object]]) -> str:
    n = len(views)
    # Warp counts from n / 2 pixels, not from the sample n // 2.
    middle_yx = [(side // 2 - side / 2) * PIXEL_A for side in SHAPE_YX]
    lists = {
        "Angles": [f"{-view.tilt_deg:.4f}" for view in views],
        "Dose": [str(row["wrpDose"]) for row in rows],
        "UseTilt": ["True"] * n,
        "AxisAngle": [f"{view.axis_deg:.4f}" for view in views],
        "AxisOffsetX": [f"{view.shift_yx_A[1] + middle_yx[1]:.4f}" for view in views],
        "AxisOffsetY": [f"{view.shift_yx_A[0] + middle_yx[0]:.4f}" for view in views],
        "MoviePath": movies,
    }
    volume = ", ".join(f"{n * VOXEL_A:g}" for n in reversed(VOLUME_ZYX))
    nodes = "".join(f'<Node X="0" Y="0" Z="{z}" Value="2.5" />' for z in range(n))
    return (
        '<?xml version="1.0" encoding="utf-8"?>\n'
        '<TiltSeries DataDirectory="/somewhere/tomostar" AreAnglesInverted="True" LevelAngleX="0" LevelAngleY="0"'
        f' ImageDimensionsAngstrom="{SHAPE_YX[1] * PIXEL_A:g}, {SHAPE_YX[0] * PIXEL_A:g}"'
        f' VolumeDimensionsAngstrom="{volume}" UnselectFilter="False" CTFResolutionEstimate="7.1">\n'
        + "".join(f"\t<{tag}>" + "\n".join(lines) + f"</{tag}>\n" for tag, lines in lists.items())
        + f'\t<CTF><Param Name="PixelSize" Value="{PIXEL_A}" /><Param Name="Voltage" Value="300" />'
        '<Param Name="Cs" Value="2.7" /><Param Name="Amplitude" Value="0.07" /></CTF>\n'
        f'\t<GridCTF Width="1" Height="1" Depth="{n}">{nodes}</GridCTF>\n</TiltSeries>\n'
    )


def _star(path: Path, name: str, rows: Sequence[Mapping[str, object]]) -> None:
    labels = "".join(f"_{label} #{i + 1} \n" for i, label in enumerate(rows[0]))
    lines = "".join(" ".join(str(value) for value in row.values()) + "\n" for row in rows)
    _write(path, f"\n# version 50001\n\ndata_{name}\n\nloop_ \n{labels}{lines}\n")


def _write(path: Path, text: str) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text)
