"""Small files of our own for formats of which there may be no recorded one: movies, models, stacks, navigators."""

from datetime import datetime, timedelta
from pathlib import Path

import numpy as np

from eucentric import io
from eucentric.io.mdoc_writer import MdocImage
from eucentric.io.movies import write_movie
from eucentric.io.navigator import NavItem, write_navigator
from eucentric.io.serialem_stack import SerialemStack
from phantoms.eer import COMPRESSIONS, SHAPE, write_eer

_BEGAN = datetime(2026, 11, 29, 10)
_ATOM = "ATOM  {:5d}  CA  ALA A{:4d}    {:8.3f}{:8.3f}{:8.3f}  1.00 20.00           C  "


def write_own(folder: Path) -> None:
    """Write them."""
    draw = np.random.default_rng(1)
    for compression, (_, x, y) in COMPRESSIONS.items():
        hits = [np.flatnonzero(draw.random(SHAPE[0] * SHAPE[1]) < 0.05) for _ in range(6)]
        write_eer(folder / f"{compression}.eer", [(h, draw.integers(0, 1 << x + y, len(h))) for h in hits], compression)
    frames = draw.integers(0, 5, (4, 12, 10)).astype(np.uint8)
    write_movie(folder / "m.tif", frames, 1.35)
    write_movie(folder / "plain.tif", frames, 1.35, compression="none")
    points = draw.uniform(0, 10, (2, 5, 3)).astype(np.float32)
    one = io.ImodObject(contours=tuple(points), name="beads")
    io.write_imod_model(folder / "a.mod", io.ImodModel(objects=(one, one), size_xyz=(10, 12, 7), pixel_A=2.7))
    points_of = {"PtsX": "1 2", "PtsY": "3 4"}
    item = NavItem(label="1", kind="point", stage_xyz_um=(1.5, -2, 3), note="a hole", extra={"DrawnID": "7"})
    shot = item.replace(label="2-A", kind="map", map_file="grid.mrc", acquire=True, extra=points_of)
    write_navigator(folder / "nav.nav", [item, shot])
    (folder / "a.pdb").write_text("\n".join(_ATOM.format(i, i, *draw.uniform(0, 30, 3)) for i in range(1, 9)) + "\n")
    stack = SerialemStack.create(folder / "serialem.mrc", voltage_kV=300, tilt_axis_deg=84.7)
    for number in range(3):
        stack.append(draw.integers(0, 99, (12, 10)).astype(np.int16), serialem_image(number))


def serialem_image(number: int) -> MdocImage:
    """Return what is said of an image of the SerialEM stack."""
    return MdocImage(
        tilt_deg=3.0 * number,
        exposure_e_A2=3.0,
        pre_exposure_e_A2=3.0 * number,
        defocus_A=35_000.0,
        target_defocus_A=40_000.0,
        exposure_s=0.8,
        recorded=_BEGAN + timedelta(minutes=number),
        frame_path=rf"X:\frames\TS_01_{number:03d}.tif",
        n_frames=10,
        pixel_A=2.7,
        spot_size=5,
        stage_xy_A=(1000.0, 2000.0),
        magnification=64000,
    )
