"""`eucentric import` of real layouts, where every tilt is a file of its own, and on to a tomogram."""

import os
import shutil
from collections.abc import Callable
from pathlib import Path

import mrcfile
import numpy as np
import pytest
from command_line import Run, partials
from command_line import run as run

from eucentric.io import read_alignment
from eucentric.io.exchange.record_file import read_processed
from phantoms.foreign_projects import (
    PIXEL_A,
    PLACES_A,
    SHAPE_YX,
    VOXEL_A,
    ForeignProject,
    found_A,
    relion_project,
    truth,
    warp_project,
    write_image,
)

Make = Callable[..., ForeignProject]
MAKERS = [pytest.param(relion_project, id="relion5"), pytest.param(warp_project, id="warp")]


def assert_beads_are_where_they_are(volume: Path) -> None:
    """Hold every bead of a tomogram to its true place, within half a voxel."""
    with mrcfile.open(volume) as file:
        assert file.voxel_size.x == pytest.approx(VOXEL_A)
        for place in PLACES_A:
            assert np.abs(found_A(file.data, place) - place).max() < 0.5 * VOXEL_A


@pytest.mark.parametrize("make", MAKERS)
def test_images_one_by_one_become_a_stack_and_a_tomogram(run: Run, tmp_path: Path, make: Make) -> None:
    project = make(tmp_path / "theirs", halves=True)
    imported = run("import", project.folder, "-o", tmp_path / "back", "--json")
    assert imported.status == 0, imported.err
    folder = Path(imported.json["series"][0]["folder"])
    with mrcfile.open(folder / "TS_01.mrc") as stack:
        assert stack.data.dtype == np.float32
        for section, image in enumerate(project.images):
            np.testing.assert_array_equal(stack.data[section], mrcfile.read(image)[0])
        assert stack.voxel_size.x == pytest.approx(PIXEL_A)
        for half in ("even", "odd"):
            found = mrcfile.read(folder / f"TS_01_{half}.mrc")
            assert found.shape == stack.data.shape
            assert not np.array_equal(found[3], stack.data[3])
    files = read_processed(folder / "imported.json").files
    assert (files.stack, files.images, files.even_images) == (folder / "TS_01.mrc", (), ())
    assert (files.even, files.odd) == (folder / "TS_01_even.mrc", folder / "TS_01_odd.mrc")
    assert not partials(tmp_path)
    assert run("reconstruct", folder, "-o", tmp_path / "rec.mrc").status == 0
    assert_beads_are_where_they_are(tmp_path / "rec.mrc")


@pytest.mark.parametrize("make", MAKERS)
def test_nothing_is_stacked_twice_unless_it_changed(run: Run, tmp_path: Path, make: Make) -> None:
    project = make(tmp_path / "theirs")
    command = ("import", project.folder, "-o", tmp_path / "back", "--json")
    first = run(*command)
    stack = Path(first.json["series"][0]["folder"]) / "TS_01.mrc"
    made = stack.stat()
    again = run(*command)
    assert again.json == first.json
    assert "TS_01: import" in first.err
    assert "TS_01: import" not in again.err
    assert stack.stat() == made
    os.utime(project.images[5], ns=(0, 10**18))
    assert "TS_01: import again" in run(*command).err
    assert stack.stat().st_mtime_ns > made.st_mtime_ns
    stack.unlink()
    assert run(*command).status == 0
    assert stack.is_file()


@pytest.mark.filterwarnings("ignore:Data array contains NaN values:RuntimeWarning")  # of mrcfile, as it writes them
@pytest.mark.parametrize("make", MAKERS)
def test_an_image_that_cannot_be_taken_costs_its_view_alone(run: Run, tmp_path: Path, make: Make) -> None:
    project = make(tmp_path / "theirs")
    missing, broken, other, no_numbers = (project.images[section] for section in (0, 4, 9, 20))
    missing.unlink()
    broken.write_bytes(broken.read_bytes()[:-500])
    write_image(other, np.ones((SHAPE_YX[0], SHAPE_YX[1] + 2), np.float32), PIXEL_A)
    write_image(no_numbers, np.full(SHAPE_YX, np.nan, np.float32), PIXEL_A)
    command = ("import", project.folder, "-o", tmp_path / "back", "--json")
    imported = run(*command)
    assert imported.status == 0
    (told,) = (line for line in imported.json["dropped"] if line.startswith("TS_01.mrc"))
    assert "4 of 23 images could not be taken" in told
    assert "section 0: no image lies here" in told
    assert f"section 4: {broken}: the header promises 1 sections" in told
    assert f"section 9: {other}: 222 x 201 x 1 pixels, but the series has images of 220 x 201" in told
    assert f"section 20: {no_numbers}: holds pixels that are no numbers" in told
    assert told in run(*command).json["dropped"]  # though nothing is done this time
    folder = Path(imported.json["series"][0]["folder"])
    views = read_alignment(folder / "alignment.json").tilts
    assert [view.section for view in views if not view.used] == [0, 4, 9, 20]
    assert "missing" in views[0].reason
    stack = mrcfile.read(folder / "TS_01.mrc")
    assert [section for section in range(23) if not stack[section].any()] == [0, 4, 9, 20]
    assert run("reconstruct", folder, "-o", tmp_path / "rec.mrc").status == 0
    assert_beads_are_where_they_are(tmp_path / "rec.mrc")


@pytest.mark.parametrize("make", MAKERS)
def test_a_project_without_its_images_is_imported_and_says_so(run: Run, tmp_path: Path, make: Make) -> None:
    project = make(tmp_path / "theirs")
    for image in project.images:
        image.unlink()
    imported = run("import", project.folder, "-o", tmp_path / "back", "--json")
    assert imported.status == 0, imported.err
    folder = Path(imported.json["series"][0]["folder"])
    assert not (folder / "TS_01.mrc").exists()
    assert (folder / "alignment.json").is_file()
    ran = run("reconstruct", folder, "-o", tmp_path / "rec.mrc")
    assert ran.status == 1
    assert "no stack of images was found" in ran.err


@pytest.mark.parametrize(
    ("make", "part"),
    [
        (relion_project, "AlignTiltSeries/job005"),
        (relion_project, "Tomograms/job006/tomograms.star"),
        (warp_project, "warp_tiltseries"),
        (warp_project, "tomostar"),
        (warp_project, "tomostar/TS_01.tomostar"),
        (warp_project, "warp_tiltseries/TS_01.xml"),
    ],
)
def test_a_part_of_a_project_is_enough(run: Run, tmp_path: Path, make: Make, part: str) -> None:
    project = make(tmp_path / "theirs")
    imported = run("import", project.folder / part, "-o", tmp_path / "back", "--json")
    folder = Path(imported.json["series"][0]["folder"])
    np.testing.assert_array_equal(mrcfile.read(folder / "TS_01.mrc")[2], mrcfile.read(project.images[2])[0])
    ours = truth().tilts[2]
    theirs = read_alignment(folder / "alignment.json").tilts[2]
    assert theirs.shift_yx_A == pytest.approx(ours.shift_yx_A, abs=1e-3)
    assert (theirs.tilt_deg, theirs.axis_deg) == pytest.approx((ours.tilt_deg, ours.axis_deg), abs=1e-3)


def test_a_tomostar_alone_gives_the_stack(run: Run, tmp_path: Path) -> None:
    project = warp_project(tmp_path / "theirs", xml=False)
    imported = run("import", project.folder, "-o", tmp_path / "back", "--json")
    assert imported.status == 0, imported.err
    folder = Path(imported.json["series"][0]["folder"])
    assert mrcfile.read(folder / "TS_01.mrc").shape == (23, *SHAPE_YX)
    ran = run("reconstruct", folder, "-o", tmp_path / "rec.mrc")
    assert ran.status == 1
    assert "no alignment was found" in ran.err


def test_a_session_can_be_taken_elsewhere(run: Run, tmp_path: Path) -> None:
    project = relion_project(tmp_path / "theirs")
    run("import", project.folder, "-o", tmp_path / "back")
    shutil.move(tmp_path / "back", tmp_path / "moved")
    shutil.rmtree(project.folder)
    assert run("reconstruct", tmp_path / "moved/series/TS_01", "-o", tmp_path / "rec.mrc").status == 0
    assert_beads_are_where_they_are(tmp_path / "rec.mrc")


def test_images_of_another_pixel_are_told(run: Run, tmp_path: Path) -> None:
    project = relion_project(tmp_path / "theirs")
    for image in project.images:
        write_image(image, mrcfile.read(image)[0], 2 * PIXEL_A)
    imported = run("import", project.folder, "-o", tmp_path / "back", "--json")
    (told,) = (line for line in imported.json["dropped"] if line.startswith("TS_01.mrc"))
    assert "their pixel is 10 Å, but their alignment is for 5 Å" in told
    folder = Path(imported.json["series"][0]["folder"])
    with mrcfile.open(folder / "TS_01.mrc") as stack:
        assert stack.voxel_size.x == pytest.approx(PIXEL_A)
