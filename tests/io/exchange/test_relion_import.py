"""Projects that RELION made: real files, the older layout, and files that are broken or wish to be read elsewhere."""

import re
import shutil
import warnings
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from cryoet_alignment.io.relion import RelionAlignment
from cryoet_alignment.io.relion.alignment import projection_matrix
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from eucentric.core import EucentricError, FormatError, InputError
from eucentric.io import read_mdoc, write_mrc
from eucentric.io.exchange import ProcessedSeries
from eucentric.io.exchange.relion import read_relion, write_relion
from eucentric.io.exchange.star import StarBlock, read_star, write_star
from eucentric.workflow.gathering import gather
from phantoms.processed import points, processed_series, seen_xy_px

REAL = "relion-star/220728_TS_43.star"


def matrices_of(one: ProcessedSeries, size_xyz: tuple[int, int, int]) -> NDArray[np.float64]:
    """Return the matrices of the older layout, made by an independent program from our angles."""
    assert one.alignment is not None
    rows, columns = one.series.shape_yx
    return np.array(
        [
            projection_matrix(
                view.x_tilt_deg,
                view.tilt_deg,
                view.axis_deg,
                view.shift_yx_A[1],
                view.shift_yx_A[0],
                size_xyz,
                (columns, rows),
                one.series.pixel_A,
            )
            for view in one.alignment.tilts
        ]
    )


def write_older(path: Path, one: ProcessedSeries, size_xyz: tuple[int, int, int], stack: str | None = None) -> None:
    """Write a series as RELION 4 did: tables in one file, with matrices, and the stack's name."""
    assert one.ctf is not None
    row: dict[str, list[object]] = {
        "rlnTomoName": [one.series.name],
        "rlnTomoFrameCount": [len(one.series.tilts)],
        **dict(zip(("rlnTomoSizeX", "rlnTomoSizeY", "rlnTomoSizeZ"), ([n] for n in size_xyz), strict=True)),
        "rlnTomoHand": [-1.0],
        "rlnTomoTiltSeriesPixelSize": [one.series.pixel_A],
        "rlnVoltage": [300.0],
        "rlnSphericalAberration": [2.7],
        "rlnAmplitudeContrast": [0.07],
        "rlnTomoImportFractionalDose": [3.0],
    }
    if stack is not None:
        row["rlnTomoTiltSeriesName"] = [stack]
    texts = [
        ["[" + ",".join(f"{value:.10g}" for value in line) + "]" for line in matrix]
        for matrix in matrices_of(one, size_xyz)
    ]
    tilts: dict[str, list[object]] = {
        f"rlnTomoProj{letter}": [text[i] for text in texts] for i, letter in enumerate("XYZW")
    }
    tilts["rlnMicrographPreExposure"] = [f"{tilt.pre_exposure_e_A2}" for tilt in one.series.tilts]
    tilts["rlnTomoNominalStageTiltAngle"] = [f"{tilt.tilt_deg}" for tilt in one.series.tilts]
    tilts["rlnDefocusU"] = [f"{tilt.defocus_v_A}" for tilt in one.ctf.tilts]  # the lesser first
    tilts["rlnDefocusV"] = [f"{tilt.defocus_u_A}" for tilt in one.ctf.tilts]
    tilts["rlnDefocusAngle"] = [f"{tilt.azimuth_deg - 90}" for tilt in one.ctf.tilts]
    write_star(path, {"global": row, one.series.name: tilts})


@pytest.mark.parametrize("x_tilt", [0.0, 3.0])
@pytest.mark.parametrize("sign", [1, -1])
def test_matrices_of_the_older_layout_are_read(tmp_path: Path, x_tilt: float, sign: int) -> None:
    one = processed_series(x_tilt_deg=x_tilt, axis_deg=84.7 * sign, shape_yx=(41, 38))
    stack = np.zeros((11, 41, 38), np.int16)
    write_mrc(tmp_path / "TS_001.mrc", stack, 2.7, kind="stack")
    write_older(tmp_path / "tomograms.star", one, (380, 408, 244), "tomograms/TS_001/TS_001.mrc:mrc")
    found = read_relion(tmp_path / "tomograms.star")
    assert not found.failures
    assert not found.dropped
    back = found.series[0]
    assert back.files.stack == tmp_path / "TS_001.mrc"
    assert back.series.shape_yx == (41, 38)
    assert [tilt.tilt_deg for tilt in back.series.tilts] == [tilt.tilt_deg for tilt in one.series.tilts]
    assert [tilt.order for tilt in back.series.tilts] == [tilt.order for tilt in one.series.tilts]
    assert {tilt.exposure_e_A2 for tilt in back.series.tilts} == {3.0}
    assert np.abs(seen_xy_px(back, points()) - seen_xy_px(one, points())).max() < 1e-4
    assert back.ctf is not None
    assert one.ctf is not None
    assert back.ctf.hand is not None
    assert back.ctf.hand.hand == -1
    for theirs, ours in zip(back.ctf.tilts, one.ctf.tilts, strict=True):
        assert (theirs.defocus_u_A, theirs.defocus_v_A) == (ours.defocus_u_A, ours.defocus_v_A)
        assert theirs.azimuth_deg == ours.azimuth_deg


def test_matrices_need_the_images_and_the_tomogram(tmp_path: Path) -> None:
    one = processed_series()
    write_older(tmp_path / "tomograms.star", one, (380, 408, 244), "elsewhere.mrc")
    assert "no image lies here" in read_relion(tmp_path).failures["TS_001"]
    write_mrc(tmp_path / "elsewhere.mrc", np.zeros((11, 410, 377), np.int8), 2.7, kind="stack")
    assert not read_relion(tmp_path).failures
    path = tmp_path / "tomograms.star"
    path.write_text(path.read_text().replace("rlnTomoSizeX", "rlnTomoOther"))
    assert "rlnTomoSizeX" in read_relion(tmp_path).failures["TS_001"]


@pytest.mark.parametrize(
    ("change", "why"),
    [
        (lambda text: text.replace("]", ",7]", 1), "row 1 has no four numbers for rlnTomoProjX"),
        (lambda text: text.replace("[", "[nan,", 1), "row 1 has no four numbers for rlnTomoProjX"),
        (lambda text: text.replace("_rlnTomoProjX #", "_rlnTomoOther #"), ""),
        (lambda text: re.sub(r"\[[^]]*\]", "[0,0,0,0]", text), "mirrors or flattens"),
    ],
)
def test_matrices_that_cannot_be_are_told(tmp_path: Path, change: Callable[[str], str], why: str) -> None:
    one = processed_series(shape_yx=(41, 38), n=5)
    write_mrc(tmp_path / "s.mrc", np.zeros((5, 41, 38), np.int8), 2.7, kind="stack")
    path = tmp_path / "tomograms.star"
    write_older(path, one, (380, 408, 244), "s.mrc")
    path.write_text(change(path.read_text()))
    found = read_relion(path)
    if why:
        assert why in found.failures["TS_001"]
    else:  # what is missing is no alignment
        assert not found.failures
        assert found.series[0].alignment is None


def test_real_files_are_read(real_data: Path) -> None:
    found = read_relion(real_data / "relion-star")
    # Of the five series only one has its table there.
    assert sorted(found.failures) == [f"220728_TS_{number}" for number in ("01", "03", "45", "54")]
    (one,) = found.series
    assert one.series.name == "220728_TS_43"
    assert (one.series.pixel_A, one.movie_pixel_A, one.series.voltage_kV) == (1.35, 0.675, 300)
    assert one.series.shape_yx == (3838, 3710)  # a K2's, which no file says: from matrices and shifts
    assert one.series.tilt_axis_deg == 85
    assert one.frames == (10,) * 41
    assert set(one.target_defocus_A) == {25_000}
    by_order = one.series.by_order()
    assert [tilt.tilt_deg for tilt in by_order[:4]] == [0.0, 3.00013, -2.99913, -5.99927]
    assert [tilt.pre_exposure_e_A2 for tilt in by_order] == [3.0 * i for i in range(41)]
    assert {tilt.exposure_e_A2 for tilt in by_order} == {3.0}
    assert by_order[0].movie == "TS_43_000_0.0.mrc"
    assert one.volume is not None
    assert one.volume.shape_zyx == (375, 500, 500)
    assert one.volume.voxel_A == pytest.approx(10.8)
    assert one.ctf is not None
    assert one.ctf.tilts[20].defocus_u_A == 25510.873047
    assert one.ctf.tilts[20].azimuth_deg == 70.643059
    told = " ".join(found.dropped)
    for what in ("rlnAccumMotionTotal", "rlnEtomoDirectiveFile", "rec_220728_TS_43.mrc", "rlnMicrographName", "3710"):
        assert what in told, what
    assert "differ" not in told


def test_a_real_series_is_seen_as_its_matrices_see_it(real_data: Path) -> None:
    (one,) = read_relion(real_data / "relion-star").series
    block = read_star(real_data / REAL)["220728_TS_43"]
    rows = [[text.strip("[]").split(",") for text in block.columns[f"rlnTomoProj{letter}"]] for letter in "XYZ"]
    matrices = np.array(rows, dtype=float).transpose(1, 0, 2)
    size = np.array([4000, 4000, 3000])
    places = np.c_[points((3838, 3710), 1.35)[:, ::-1] / 1.35 + size / 2, np.ones(7)]
    theirs = np.array([(places @ matrix.T)[:, :2] for matrix in matrices])
    ours = seen_xy_px(one, points((3838, 3710), 1.35))[[tilt.section for tilt in one.series.by_order()]]
    assert np.abs(theirs - ours).max() < 0.1
    assert np.abs(theirs - ours).max() < 0.01  # what their six decimals leave


def test_a_real_series_goes_round(real_data: Path, tmp_path: Path) -> None:
    (one,) = read_relion(real_data / "relion-star").series
    write_relion(tmp_path, [one])
    (back,) = read_relion(tmp_path).series
    assert back == one
    theirs = RelionAlignment.from_file(tmp_path / "tomograms.star")
    assert theirs.n_tilts == 41


def test_a_real_mdoc_becomes_the_star_of_relion(real_data: Path, tmp_path: Path) -> None:
    """EMPIAR-10164 TS_01; RELION's own star of it has these columns, and 3 e/Å² a tilt, which no .mdoc of it says."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        (one,) = gather(real_data / "mdoc/tilt_series.mdoc")
        facts = read_mdoc(real_data / "mdoc/tilt_series.mdoc")
    tilts = tuple(t.replace(exposure_e_A2=3.0, pre_exposure_e_A2=3.0 * t.order) for t in one.series.tilts)
    write_relion(tmp_path, [one.replace(series=one.series.replace(name="TS_01", tilts=tilts))])
    block = read_star(tmp_path / "tilt_series/TS_01.star")["TS_01"].columns
    real = read_star(real_data / REAL)["220728_TS_43"].columns
    before_motion = list(real)[: list(real).index("rlnCtfPowerSpectrum")]
    assert [label for label in before_motion if label not in block] == []
    assert set(block) - set(before_motion) == {"rlnMicrographId"}
    # As in RELION's own tilt_series/220728_TS_01.star.
    numbers = [float(angle) for angle in block["rlnTomoNominalStageTiltAngle"]]
    expected = [0.001, 3.00113, -2.99863, -5.99876, 6.00126, 9.0014, -8.9989, -11.9985]
    np.testing.assert_allclose(numbers[:8], expected, atol=1e-5)
    np.testing.assert_allclose(numbers[-3:], [-56.9985, -59.9986, 60.0006], atol=1e-5)
    assert block["rlnMicrographMovieName"][:2] == ("frames/TS_01_000_0.0.mrc", "frames/TS_01_001_3.0.mrc")
    assert set(block["rlnTomoTiltMovieFrameCount"]) == {"8"}
    assert [float(value) for value in block["rlnMicrographPreExposure"]] == [3.0 * i for i in range(41)]
    assert {float(value) for value in block["rlnTomoNominalDefocus"]} == {-4}
    assert {float(value) for value in block["rlnTomoNominalTiltAxisAngle"]} == {85.3}
    by_time = sorted(facts.sections, key=lambda section: section.order)
    assert numbers == pytest.approx([section.tilt_deg for section in by_time], abs=1e-6)


def test_images_one_by_one_are_given_by_section(tmp_path: Path) -> None:
    one = processed_series(shape_yx=(41, 38), n=5)
    write_mrc(tmp_path / "s.mrc", np.zeros((5, 41, 38), np.int8), 2.7, kind="stack")
    write_relion(tmp_path / "out", [one.replace(files=one.files.replace(stack=tmp_path / "s.mrc"))])
    files = read_relion(tmp_path / "out").series[0].files
    images = files.images
    assert (files.stack, files.even_images, files.odd_images) == (None, (), ())
    assert [image.name if image else None for image in images] == [
        "TS_001_004_-24_0.mrc",
        "TS_001_002_-12_0.mrc",
        "TS_001_000_0_0.mrc",
        "TS_001_001_12_0.mrc",
        "TS_001_003_24_0.mrc",
    ]


def test_tables_of_a_job_are_found_from_the_project(tmp_path: Path) -> None:
    """RELION counts paths from the project, also in a job's folder."""
    one = processed_series(shape_yx=(41, 38))
    job = tmp_path / "AlignTiltSeries/job004"
    write_relion(job, [one])
    star = job / "tilt_series.star"
    star.write_text(star.read_text().replace(" tilt_series/", " AlignTiltSeries/job004/tilt_series/"))
    star.rename(job / "aligned_tilt_series.star")
    assert read_relion(job / "aligned_tilt_series.star").series[0].series == one.series
    moved = tmp_path / "elsewhere"
    moved.mkdir()
    shutil.move(job / "aligned_tilt_series.star", moved)
    assert read_relion(moved).failures
    assert read_relion(moved, project=tmp_path).series[0].series == one.series


def test_sizes_of_the_tomogram_stand_in_for_those_of_images(tmp_path: Path) -> None:
    one = processed_series()
    write_relion(tmp_path, [one])
    for path in (tmp_path / "tilt_series.star", tmp_path / "tomograms.star"):
        path.write_text(path.read_text().replace("rlnImageSize", "rlnOther"))
    found = read_relion(tmp_path)
    assert found.series[0].series.shape_yx == (408, 380)
    assert any("as large as the tomogram" in line for line in found.dropped)
    assert "how large" in read_relion(tmp_path / "tilt_series.star").failures["TS_001"]


def test_a_first_tilt_with_an_exposure_before_it_is_told(tmp_path: Path) -> None:
    full = processed_series()
    tilts = tuple(tilt.replace(pre_exposure_e_A2=3.0 * (tilt.order + 1)) for tilt in full.series.tilts)
    write_relion(tmp_path, [full.replace(series=full.series.replace(tilts=tilts))])
    assert any("counted each tilt's own" in line for line in read_relion(tmp_path).dropped)


def test_exposures_follow_from_what_came_before(tmp_path: Path) -> None:
    full = processed_series()
    write_relion(tmp_path, [full])
    for name in ("tilt_series.star", "tomograms.star"):
        path = tmp_path / name
        path.write_text(path.read_text().replace("rlnTomoImportFractionalDose", "rlnOther"))
    assert {tilt.exposure_e_A2 for tilt in read_relion(tmp_path).series[0].series.tilts} == {3.0}
    table = tmp_path / "tilt_series/TS_001.star"
    table.write_text(table.read_text().replace("  12.000000  84.700000  -3.000000  3.0", "  12.0  84.7  -3.0  4.4"))
    found = read_relion(tmp_path)
    assert {tilt.exposure_e_A2 for tilt in found.series[0].series.tilts} == {None}
    assert any("rise unevenly" in line for line in found.dropped)


def test_one_bad_series_does_not_stop_the_others(tmp_path: Path) -> None:
    write_relion(tmp_path, [processed_series(name=name) for name in ("a", "b", "c", "d")])
    (tmp_path / "tilt_series/b.star").write_text("no star")
    (tmp_path / "tilt_series/c.star").unlink()
    path = tmp_path / "tilt_series/d.star"
    path.write_text(path.read_text().replace("30335.0", "nan"))
    found = read_relion(tmp_path)
    assert [one.series.name for one in found.series] == ["a"]
    assert sorted(found.failures) == ["b", "c", "d"]
    assert str(path) in found.failures["d"]


def test_a_row_or_table_too_many_is_told(tmp_path: Path) -> None:
    one = processed_series()
    write_relion(tmp_path, [one])
    path = tmp_path / "tilt_series.star"
    path.write_text(
        path.read_text().rstrip() + "\n" + path.read_text().rstrip().splitlines()[-1] + "\n\ndata_x\n_a 1\n"
    )
    found = read_relion(path)
    assert any("more than one row" in line for line in found.dropped)
    assert any("data_x (a)" in line for line in found.dropped)


@pytest.mark.parametrize("named", ["../secret.star", "{}/secret.star", "..\\secret.star", "None", ".", "x" * 5000])
def test_no_path_leads_outside(tmp_path: Path, named: str) -> None:
    project = tmp_path / "project"
    write_relion(project, [processed_series()])
    shutil.move(project / "tilt_series/TS_001.star", tmp_path / "secret.star")
    for name in ("tilt_series.star", "tomograms.star"):
        path = project / name
        path.write_text(path.read_text().replace("tilt_series/TS_001.star", named.format(tmp_path)))
    assert "does not lie beside it" in read_relion(project).failures["TS_001"]


def test_what_is_no_project_is_refused(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="no such file"):
        read_relion(tmp_path / "tilt_series.star")
    with pytest.raises(InputError, match=r"no tilt_series\.star"):
        read_relion(tmp_path)
    write_star(tmp_path / "a.star", {"TS_1": {"rlnTomoYTilt": [1.0]}})
    with pytest.raises(FormatError, match="no data_global"):
        read_relion(tmp_path / "a.star")
    write_star(
        tmp_path / "optimisation_set.star", {"": StarBlock({"rlnTomoTomogramsFile": ("tomograms.star",)}, looped=False)}
    )
    with pytest.raises(InputError, match="does not lie beside it"):
        read_relion(tmp_path / "optimisation_set.star")


CASES = ("tilt_series.star", "tomograms.star", "particles.star", "tilt_series/TS_001.star", "older.star")


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Give a project, and an older one."""
    folder = tmp_path_factory.mktemp("whole")
    one = processed_series(shape_yx=(41, 38), n=5)
    write_mrc(folder / "s.mrc", np.zeros((5, 41, 38), np.int8), 2.7, kind="stack")
    write_relion(folder, [one])
    write_older(folder / "older.star", one, (380, 408, 244), "s.mrc")
    return folder


@pytest.mark.filterwarnings("ignore::eucentric.core.FormatWarning")
@settings(max_examples=120)
@given(
    name=st.sampled_from(CASES),
    changes=st.lists(st.tuples(st.integers(0, 10_000), st.sampled_from(b" \n0159-.eE_#'[,]nax\xff")), max_size=4),
    cut=st.one_of(st.just(0), st.integers(0, 3000)),
)
def test_any_bytes_give_series_or_reasons(whole: Path, name: str, changes: list[tuple[int, int]], cut: int) -> None:
    path = whole / name
    before = path.read_bytes()
    text = bytearray(before)
    for place, byte in changes:
        text[place % len(text)] = byte
    said = ""
    try:
        path.write_bytes(bytes(text[: max(0, len(text) - cut)]))
        found = read_relion(whole / "older.star" if name == "older.star" else whole)
    except EucentricError as error:
        said = str(error)
    finally:
        path.write_bytes(before)
    assert str(whole) in said if said else found.series or found.failures
