"""`eucentric align`: tracks and stacks to alignments, as JSON and as files, and refusals that say what to do."""

from pathlib import Path

import numpy as np
import pytest
from command_line import Run, partials
from command_line import run as run
from PIL import Image

from eucentric.core import Alignment, TiltAlignment
from eucentric.io import TrackTable, read_alignment, read_imod_alignment, read_tracks, write_fiducials, write_tracks
from phantoms.series import WrittenPhantom

KEYS = ["mean_residual_px", "rotation_deg", "tilt_deg", "shift_yx_px", "beads"]
SHAPE_YX, PIXEL_A, AXIS_DEG = (300, 360), 8.0, -12.5
TILTS_DEG = np.arange(-60.0, 61.0, 6.0)


def truth() -> Alignment:
    random = np.random.default_rng(1)
    shifts = random.normal(0, 60, (len(TILTS_DEG), 2))
    return Alignment(
        pixel_A=PIXEL_A,
        shape_yx=SHAPE_YX,
        tilts=tuple(
            TiltAlignment(section=i, tilt_deg=tilt, axis_deg=AXIS_DEG, shift_yx_A=(shifts[i, 0], shifts[i, 1]))
            for i, tilt in enumerate(TILTS_DEG)
        ),
    )


@pytest.fixture
def tracks(tmp_path: Path) -> tuple[Path, Path]:
    """Give tracks of twelve beads, one of which wanders, with the angles of their views."""
    random = np.random.default_rng(2)
    beads = random.uniform(-1, 1, (12, 3)) * [30, 100, 70] * PIXEL_A
    seen = np.stack([view.sample2image()(beads)[:, 1:] / PIXEL_A for view in truth().tilts], axis=1)
    seen += np.array(SHAPE_YX) // 2 + random.normal(0, 0.2, seen.shape)
    seen[5] += random.normal(0, 8, seen[5].shape)
    bead, view = (part.ravel() for part in np.indices(seen.shape[:2]))
    write_tracks(tmp_path / "tracks.csv", TrackTable(bead, view, seen.reshape(-1, 2)))
    (tmp_path / "series.tlt").write_text("".join(f"{tilt}\n" for tilt in TILTS_DEG))
    return tmp_path / "tracks.csv", tmp_path / "series.tlt"


def test_tracks_to_values_and_files(run: Run, tracks: tuple[Path, Path], tmp_path: Path) -> None:
    csv, angles = tracks
    output = tmp_path / "new" / "aligned"
    ran = run(
        "align", "--tracks", csv, "--angles", angles, "--size", "360,300", "--pixel", PIXEL_A, "--rotation", "one",
        "--output", output, "--json",
    )  # fmt: skip
    assert ran.status == 0
    assert list(ran.json)[:5] == KEYS
    assert ran.json["mean_residual_px"] < 0.35
    np.testing.assert_allclose(ran.json["rotation_deg"], AXIS_DEG, atol=0.1)
    np.testing.assert_allclose(ran.json["tilt_deg"], TILTS_DEG)
    assert np.shape(ran.json["shift_yx_px"]) == (21, 2)
    rejected = [bead["id"] for bead in ran.json["beads"] if bead["rejected"]]
    assert rejected == [5]
    assert "Bead 5 rejected" in ran.err
    assert all(np.shape(bead["zyx_px"]) == (3,) for bead in ran.json["beads"] if not bead["rejected"])
    alignment = read_alignment(output / "alignment.json")
    np.testing.assert_allclose(
        [np.divide(view.shift_yx_A, PIXEL_A) for view in alignment.tilts], ran.json["shift_yx_px"], atol=1e-3
    )
    imod = read_imod_alignment(output / "tracks.xf", output / "tracks.tlt", PIXEL_A, SHAPE_YX)
    assert imod.tilts[3].axis_deg == pytest.approx(alignment.tilts[3].axis_deg, abs=1e-4)
    assert len(read_tracks(output / "tracks.fid").bead) == 12 * 21
    with Image.open(output / "tracks_residuals.png") as drawn:
        assert np.asarray(drawn.convert("L"), dtype=float).std() > 10
    assert sorted(ran.json["written"]) == sorted(str(path) for path in output.iterdir())
    assert not partials(tmp_path)


def test_a_fiducial_model_gives_what_the_table_does(run: Run, tracks: tuple[Path, Path], tmp_path: Path) -> None:
    csv, angles = tracks
    write_fiducials(tmp_path / "t.fid", read_tracks(csv), 21, SHAPE_YX, PIXEL_A)
    same = ("--angles", angles, "--rotation", "one", "--json")
    of_table = run("align", "--tracks", csv, "--size", "360x300", *same).json
    of_model = run("align", "--tracks", tmp_path / "t.fid", *same).json
    np.testing.assert_allclose(of_model["shift_yx_px"], of_table["shift_yx_px"], atol=2e-3)


def test_what_varies_is_taken_from_the_data_or_said(run: Run, tracks: tuple[Path, Path]) -> None:
    csv, angles = tracks
    given = ("--tracks", csv, "--angles", angles, "--size", "360,300", "--json")
    usual = run("align", *given).json
    assert usual["varying"]["axis"] == usual["varying"]["magnification"] == "free"
    found = run("align", *given, "--auto").json
    assert found["varying"]["axis"] == "one"
    assert found["tried"][0]["taken"]
    said = run("align", *given, "--magnification", "free", "--x-tilt", "one").json
    assert said["varying"]["magnification"] == "free"
    np.testing.assert_allclose(said["x_tilt_deg"], 0)


def test_a_stack_by_its_images(run: Run, phantom: WrittenPhantom, tmp_path: Path) -> None:
    ran = run("align", phantom.stack, "--axis", 84.3, "--output", tmp_path / "aligned", "--json")
    assert ran.status == 0
    assert list(ran.json)[:5] == KEYS
    np.testing.assert_allclose(ran.json["rotation_deg"], 84.3)
    assert ran.json["mean_residual_px"] < 1
    assert ran.json["beads"] == []
    assert len(read_alignment(tmp_path / "aligned" / "alignment.json").tilts) == len(ran.json["tilt_deg"])


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        ((), "Give a stack, or --tracks"),
        (("--tracks", "t.csv"), "--angles"),
        (("a.mrc", "--auto"), "are of tracks"),
        (("--tracks", "t.csv", "--angles", "a.tlt", "--auto", "--tilt", "free"), "--auto"),
        (("--tracks", "t.csv", "--angles", "a.tlt", "--size", "12"), "NX,NY"),
        (("--tracks", "t.csv", "--angles", "a.tlt", "--tilt", "some"), "--tilt"),
    ],
)
def test_wrong_usage(run: Run, arguments: tuple[str, ...], says: str) -> None:
    ran = run("align", *arguments)
    assert ran.status == 2
    assert says in ran.err


def test_refusals_name_the_file_and_leave_nothing(run: Run, tracks: tuple[Path, Path], tmp_path: Path) -> None:
    csv, angles = tracks
    given = ("align", "--tracks", csv, "--angles", angles)
    no_pixel = run(*given, "--output", tmp_path / "out")
    assert (no_pixel.status, "--pixel" in no_pixel.err) == (1, True)
    write_fiducials(tmp_path / "t.fid", read_tracks(csv), 21, SHAPE_YX, PIXEL_A)
    replaced = run("align", "--tracks", tmp_path / "t.fid", "--angles", angles, "--output", tmp_path)
    assert (replaced.status, "would be replaced" in replaced.err) == (1, True)
    angles.write_text("0\n3\n")
    few = run(*given)
    assert (few.status, str(csv) in few.err) == (1, True)
    assert not (tmp_path / "out").exists()
    missing = run("align", "--tracks", tmp_path / "nothing.csv", "--angles", angles)
    assert (missing.status, "nothing.csv" in missing.err) == (1, True)
