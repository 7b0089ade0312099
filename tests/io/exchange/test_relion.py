"""What we write is read as RELION-5 reads it: its projection, its positions and its defocus, from its own source."""

from pathlib import Path
from typing import Any, Literal

import numpy as np
import pytest
import starfile
from cryoet_alignment.io.relion import RelionAlignment
from cryoet_alignment.io.relion.alignment import projection_matrix
from numpy.typing import NDArray

from eucentric.core import InputError
from eucentric.io import open_mrc, write_mrc
from eucentric.io.exchange import ProcessedSeries, SeriesFiles, Volume
from eucentric.io.exchange.relion import read_relion, write_relion
from phantoms.processed import points, processed_series, seen_xy_px

Array = NDArray[np.float64]


def turn(axis: Literal["x", "y", "z"], angle_deg: float) -> Array:
    """Return the right-handed rotation (4, 4) of xyz columns that RELION builds from OpenGL's formula."""
    n = {"x": (1.0, 0.0, 0.0), "y": (0.0, 1.0, 0.0), "z": (0.0, 0.0, 1.0)}[axis]
    c, s = np.cos(np.deg2rad(angle_deg)), np.sin(np.deg2rad(angle_deg))
    cross = np.array([[0, -n[2], n[1]], [n[2], 0, -n[0]], [-n[1], n[0], 0]])
    matrix = np.eye(4)
    matrix[:3, :3] = np.outer(n, n) + c * (np.eye(3) - np.outer(n, n)) + s * cross
    return matrix


def move(x: float, y: float, z: float) -> Array:
    """Return a translation (4, 4)."""
    matrix = np.eye(4)
    matrix[:3, 3] = x, y, z
    return matrix


def projection(row: Any, pixel_A: float, size_xyz: Array, image_xy: tuple[int, int]) -> Array:
    """Return what RELION-5 projects an unbinned pixel of the tomogram with (`Tomogram::setProjectionMatrix`)."""
    s0 = move(*(-(size_xyz // 2)))
    r = turn("z", row.rlnTomoZRot) @ turn("y", row.rlnTomoYTilt) @ turn("x", row.rlnTomoXTilt)
    s1 = move(row.rlnTomoXShiftAngst / pixel_A, row.rlnTomoYShiftAngst / pixel_A, 0)
    return s1 @ move(image_xy[0] // 2, image_xy[1] // 2, 0) @ r @ s0


def frames(path: Path) -> dict[str, Any]:
    """Read a STAR file with the library that RELION's Python programs use."""
    return dict(starfile.read(path, always_dict=True, parse_as_string=["rlnTomoName"]))


@pytest.mark.parametrize("axis", [84.7, -95.3])
@pytest.mark.parametrize("tilt_sign", [1, -1])
@pytest.mark.parametrize("hand", [1, -1])
@pytest.mark.parametrize("x_tilt", [0.0, 2.5])
def test_relion_sees_particles_where_we_do(
    tmp_path: Path, axis: float, tilt_sign: Literal[1, -1], hand: Literal[1, -1], x_tilt: float
) -> None:
    one = processed_series(axis_deg=axis, tilt_sign=tilt_sign, hand=hand, x_tilt_deg=x_tilt)
    assert one.alignment is not None
    assert one.ctf is not None
    write_relion(tmp_path, [one])
    sets = frames(tmp_path / "optimisation_set.star")["optimisation_set"]
    row = frames(tmp_path / sets["rlnTomoTomogramsFile"])["global"].iloc[0]
    tilts = frames(tmp_path / row.rlnTomoTiltSeriesStarFile)[row.rlnTomoName]
    pixel_A = row.rlnTomoTiltSeriesPixelSize
    size = np.array([row.rlnTomoSizeX, row.rlnTomoSizeY, row.rlnTomoSizeZ])
    particles = frames(tmp_path / sets["rlnTomoParticlesFile"])["particles"]
    centred = particles[[f"rlnCenteredCoordinate{letter}Angst" for letter in "XYZ"]].to_numpy()
    # `ParticleSet::getPosition`: from the middle with halves of a pixel, where the projection takes whole ones.
    places = np.c_[centred / pixel_A + size / 2, np.ones(len(centred))]
    middle = np.append(size / 2, 1)
    sections = [view.section for view in sorted(one.alignment.used, key=lambda v: one.series.tilts[v.section].order)]
    assert len(tilts) == len(sections) == 9
    ours = seen_xy_px(one, points())
    worst = 0.0
    for section, tilt in zip(sections, tilts.itertuples(), strict=True):
        matrix = projection(tilt, pixel_A, size, (377, 410))
        seen = places @ matrix.T
        worst = max(worst, np.abs(seen[:, :2] - ours[section]).max())
        # `Tomogram::getCtf`
        defocus = tilt.rlnDefocusU + row.rlnTomoHand * pixel_A * (seen[:, 2] - matrix[2] @ middle)
        z_A = one.alignment.tilts[section].sample2image()(points())[:, 0]
        np.testing.assert_allclose(defocus, one.ctf.tilts[section].defocus_u_A + hand * z_A, atol=0.01)
        assert tilt.rlnMicrographPreExposure == one.series.tilts[section].pre_exposure_e_A2
        assert tilt.rlnTomoTiltMovieIndex == one.series.tilts[section].order + 1
        assert tilt.rlnTomoNominalStageTiltAngle == one.series.tilts[section].tilt_deg
        assert tilt.rlnTomoNominalTiltAxisAngle == axis
        assert tilt.rlnDefocusV == one.ctf.tilts[section].defocus_v_A
        assert tilt.rlnDefocusAngle == one.ctf.tilts[section].azimuth_deg
        assert tilt.rlnTomoNominalDefocus == -3
    assert worst < 1e-4
    assert row.rlnTomoHand == hand


def test_an_independent_reader_projects_as_we_do(tmp_path: Path) -> None:
    one = processed_series(axis_deg=-95.3, x_tilt_deg=1.0)
    assert one.alignment is not None
    write_relion(tmp_path, [one])
    theirs = RelionAlignment.from_file(tmp_path / "tomograms.star")
    assert (theirs.tomo_name, theirs.hand, theirs.voltage, theirs.amplitude_contrast) == ("TS_001", 1, 300, 0.07)
    ours = {one.series.tilts[view.section].pre_exposure_e_A2: view.section for view in one.alignment.used}
    seen = seen_xy_px(one, points())
    middle = np.array(theirs.volume_size_px) // 2
    for entry in theirs.entries:
        matrix = projection_matrix(
            entry.x_tilt,
            entry.y_tilt,
            entry.z_rot,
            entry.x_shift_angst,
            entry.y_shift_angst,
            theirs.volume_size_px,
            (377, 410),
            theirs.pixel_size_a,
        )
        places = np.c_[points()[:, ::-1] / theirs.pixel_size_a + middle, np.ones(7)]
        assert np.abs((places @ matrix.T)[:, :2] - seen[ours[entry.pre_exposure]]).max() < 1e-4


def test_particles_turn_as_relion_turns_them(tmp_path: Path) -> None:
    one = processed_series()
    write_relion(tmp_path, [one])
    table = frames(tmp_path / "particles.star")["particles"]
    for ours, theirs in zip(one.particles, table.itertuples(), strict=True):
        # `Euler_angles2matrix`, of the angles in radians; with no box turned, `getMatrix3x3` is no more than this, and
        # `getMatrix4x4` takes places of the reference to places of the tomogram with it.
        ca, cb, cg = np.cos(np.deg2rad([theirs.rlnAngleRot, theirs.rlnAngleTilt, theirs.rlnAnglePsi]))
        sa, sb, sg = np.sin(np.deg2rad([theirs.rlnAngleRot, theirs.rlnAngleTilt, theirs.rlnAnglePsi]))
        expected = np.array(
            [
                [cg * cb * ca - sg * sa, cg * cb * sa + sg * ca, -cg * sb],
                [-sg * cb * ca - cg * sa, -sg * cb * sa + cg * ca, sg * sb],
                [sb * ca, sb * sa, cb],
            ]
        )
        np.testing.assert_allclose(ours.reference2sample(), expected, atol=1e-7)
        assert theirs.rlnRandomSubset == ours.half
        assert theirs.rlnOpticsGroup == 1
    assert not [label for label in table.columns if label.startswith("rlnTomoSubtomogram")]


@pytest.mark.parametrize("axis", [84.7, -95.3])
@pytest.mark.parametrize("hand", [1, -1])
def test_our_import_of_our_export_is_the_same(tmp_path: Path, axis: float, hand: Literal[1, -1]) -> None:
    one = processed_series(axis_deg=axis, hand=hand, x_tilt_deg=-1.5)
    exported = write_relion(tmp_path, [one])
    assert exported.files[0] == tmp_path / "tilt_series.star"
    assert all(path.is_file() for path in exported.files)
    found = read_relion(tmp_path)
    assert not found.failures
    optics = "rlnVoltage, rlnSphericalAberration, rlnAmplitudeContrast, rlnTomoTiltSeriesPixelSize"
    of_optics = f"data_optics (rlnOpticsGroup, rlnOpticsGroupName, {optics})"  # once more what the series say
    assert set(found.dropped) == {
        f"{tmp_path / 'tilt_series.star'}, tomograms.star: not read: rlnOpticsGroupName.",
        f"{tmp_path / 'particles.star'}: not read: data_general (rlnTomoSubTomosAre2DStacks), {of_optics},"
        " rlnOpticsGroup.",
    }
    assert_same(found.series[0], one)


def assert_same(back: ProcessedSeries, one: ProcessedSeries) -> None:
    """Assert that two records are the same but for decimals, and for how sure the hand is."""
    assert back.series == one.series
    for name in ("movie_pixel_A", "frames", "target_defocus_A", "volume", "files"):
        assert getattr(back, name) == getattr(one, name), name
    assert back.alignment is not None
    assert one.alignment is not None
    assert np.abs(seen_xy_px(back, points()) - seen_xy_px(one, points())).max() < 1e-4
    for a, b in zip(back.alignment.tilts, one.alignment.tilts, strict=True):
        assert (a.section, a.used, a.reason) == (b.section, b.used, b.reason)
        np.testing.assert_allclose(
            [a.tilt_deg, a.x_tilt_deg, a.axis_deg], [b.tilt_deg, b.x_tilt_deg, b.axis_deg], atol=1e-6
        )
    assert back.ctf is not None
    assert one.ctf is not None
    assert (back.ctf.lens, back.ctf.pixel_A) == (one.ctf.lens, one.ctf.pixel_A)
    assert back.ctf.hand is not None
    assert one.ctf.hand is not None
    assert back.ctf.hand.hand == one.ctf.hand.hand
    assert back.ctf.hand.sure
    for theirs, ours in zip(back.ctf.tilts, one.ctf.tilts, strict=True):
        assert theirs.replace(tilt_deg=0) == ours.replace(tilt_deg=0, score=round(ours.score, 6))
    assert len(back.particles) == len(one.particles)
    for p, q in zip(back.particles, one.particles, strict=True):
        assert (p.half, p.label) == (q.half, q.label)
        np.testing.assert_allclose(p.position_zyx_A, q.position_zyx_A, atol=1e-5)
        np.testing.assert_allclose(p.reference2sample(), q.reference2sample(), atol=1e-7)


def with_files(folder: Path, one: ProcessedSeries) -> ProcessedSeries:
    """Return a series with a stack, halves, tomograms and movies; each section has its own number as its pixels."""
    folder.mkdir()
    n, (rows, columns) = len(one.series.tilts), one.series.shape_yx
    stack = np.broadcast_to(np.arange(n, dtype=np.int16)[:, None, None], (n, rows, columns))
    for name in ("stack", "even", "odd"):
        write_mrc(folder / f"{name}.mrc", np.ascontiguousarray(stack), one.series.pixel_A, kind="stack")
    assert one.volume is not None
    shape = one.volume.shape_zyx
    for name in ("tomogram", "tomogram_even", "tomogram_odd"):
        write_mrc(folder / f"{name}.mrc", np.zeros(shape, np.int8), one.volume.voxel_A, kind="volume")
    movies = tuple(folder / f"{tilt.movie}" for tilt in one.series.tilts)
    for movie in movies:
        movie.write_bytes(b"movie")
    names = ("stack", "even", "odd", "tomogram", "tomogram_even", "tomogram_odd")
    return one.replace(files=SeriesFiles(movies=movies, **{name: folder / f"{name}.mrc" for name in names}))


@pytest.mark.parametrize("copy", [False, True])
def test_images_are_written_one_by_one_and_the_rest_is_placed(tmp_path: Path, copy: bool) -> None:
    one = with_files(tmp_path / "session", processed_series(shape_yx=(41, 38), n=5))
    exported = write_relion(tmp_path / "out", [one], copy=copy)
    assert not [line for line in exported.dropped if "stack" in line]
    tilts = frames(tmp_path / "out/tilt_series/TS_001.star")["TS_001"]
    for tilt in tilts.itertuples():
        section = tilt.rlnMicrographId - 1
        for label in ("rlnMicrographName", "rlnMicrographNameEven", "rlnMicrographNameOdd"):
            image = open_mrc(tmp_path / "out" / getattr(tilt, label))
            assert image.data.shape == (1, 41, 38)
            assert (image.data == section).all()
            assert image.pixel_A == pytest.approx(2.7)
        movie = tmp_path / "out" / tilt.rlnMicrographMovieName
        assert movie.read_bytes() == b"movie"
        assert movie.is_symlink() is not copy
    name = tilts.rlnMicrographName[0]
    assert name == "images/TS_001_000_0_0.mrc"
    row = frames(tmp_path / "out/tomograms.star")["global"].iloc[0]
    assert row.rlnTomoReconstructedTomogramHalf1 == "tomograms/TS_001_half1.mrc"
    back = read_relion(tmp_path / "out")
    assert not back.failures
    found = back.series[0]
    assert found.series == one.series
    assert found.volume == one.volume
    assert found.files.tomogram == tmp_path / "out/tomograms/TS_001.mrc"
    assert found.files.movies[2] == tmp_path / "out/frames/TS_001_000.tif"
    for kind, ending in (("images", ""), ("even_images", "_even"), ("odd_images", "_odd")):
        images = getattr(found.files, kind)
        assert [open_mrc(image).data.flat[0] for image in images] == list(range(len(images)))
        assert all(image.stem.endswith(ending) for image in images)


def test_images_tell_their_size_before_anything_else_does(tmp_path: Path) -> None:
    one = with_files(tmp_path / "session", processed_series(shape_yx=(41, 38), n=5))
    write_relion(tmp_path / "out", [one])
    for name in ("tilt_series.star", "tomograms.star"):
        path = tmp_path / "out" / name
        path.write_text(path.read_text().replace("rlnImageSize", "rlnOther"))
    back = read_relion(tmp_path / "out/tomograms.star")
    assert back.series[0].series.shape_yx == (41, 38)
    assert any("rlnOtherX, rlnOtherY" in line for line in back.dropped)


def test_an_unaligned_series_is_left_as_relions_own_importer_leaves_it(tmp_path: Path) -> None:
    full = processed_series()
    one = ProcessedSeries(series=full.series, frames=full.frames, target_defocus_A=full.target_defocus_A)
    exported = write_relion(tmp_path, [one])
    row = frames(tmp_path / "tilt_series.star")["global"].iloc[0]
    assert "rlnTomoTiltSeriesPixelSize" not in row.index
    assert row.rlnMicrographOriginalPixelSize == 2.7
    assert (row.rlnVoltage, row.rlnSphericalAberration, row.rlnAmplitudeContrast, row.rlnTomoHand) == (300, 2.7, 0.1, 1)
    table = frames(tmp_path / "tilt_series/TS_001.star")["TS_001"]
    assert [label for label in table.columns if label not in ("rlnTomoTiltMovieIndex", "rlnMicrographId")] == [
        "rlnMicrographMovieName",
        "rlnTomoTiltMovieFrameCount",
        "rlnTomoNominalStageTiltAngle",
        "rlnTomoNominalTiltAxisAngle",
        "rlnTomoNominalDefocus",
        "rlnMicrographPreExposure",
    ]
    assert list(table.rlnMicrographPreExposure) == [3.0 * i for i in range(11)]
    assert len([line for line in exported.dropped if "defaults" in line or "default:" in line]) == 2
    assert not (tmp_path / "tomograms.star").exists()
    back = read_relion(tmp_path)
    assert back.series[0] == one
    assert [line for line in back.dropped if "rlnTomoHand 1.0" in line]


def test_what_relion_cannot_hold_is_told(tmp_path: Path) -> None:
    full = processed_series()
    assert full.alignment is not None
    assert full.ctf is not None
    assert full.ctf.hand is not None
    tilts = tuple(view.replace(magnification=1.01) for view in full.alignment.tilts)
    ctf = full.ctf.replace(
        thickness_A=900.0,
        hand=full.ctf.hand.replace(log_odds=1.0),
        lens=full.ctf.lens.replace(cc_mm=2.0),
        tilts=tuple(tilt.replace(used=tilt.section != 5, phase_shift_deg=30) for tilt in full.ctf.tilts),
    )
    mixed = tuple(p.replace(half=None) if i else p for i, p in enumerate(full.particles))
    one = full.replace(
        alignment=full.alignment.replace(tilts=tilts),
        ctf=ctf,
        particles=mixed,
        frames=(None, *full.frames[1:]),
        target_defocus_A=(None, *full.target_defocus_A[1:]),
        files=SeriesFiles(gain=Path("gain.mrc"), tomogram=Path("a.zarr")),
        series=full.series.replace(
            tilts=tuple(t.replace(pre_exposure_e_A2=None) for t in full.series.tilts), tilt_axis_deg=None
        ),
    )
    told = " ".join(write_relion(tmp_path, [one]).dropped)
    for what in (
        "magnifications up to 1.00%",
        "thickness",
        "not sure (log odds 1.0)",
        "chromatic",
        "sections [5]",
        "half set",
        "frames",
        "target defocus",
        "gain.mrc",
        "a.zarr",
        "sum of earlier exposures",
        "no stack",
    ):
        assert what in told, what
    table = frames(tmp_path / "tilt_series/TS_001.star")["TS_001"]
    assert list(table.rlnMicrographPreExposure) == [3.0 * i for i in (0, 1, 2, 3, 4, 5, 6, 7, 10)]
    assert table.rlnTomoNominalTiltAxisAngle[0] == pytest.approx(84.7, abs=0.1)
    assert table.rlnPhaseShift[0] == 30
    assert "rlnRandomSubset" not in frames(tmp_path / "particles.star")["particles"].columns


def test_without_exposures_there_is_zero_before_every_tilt_as_from_relions_importer(tmp_path: Path) -> None:
    full = processed_series()
    tilts = tuple(t.replace(exposure_e_A2=None, pre_exposure_e_A2=None, movie=None) for t in full.series.tilts)
    one = ProcessedSeries(series=full.series.replace(tilts=tilts, tilt_axis_deg=None, voltage_kV=None))
    told = " ".join(write_relion(tmp_path, [one]).dropped)
    assert "300 kV" in told
    assert "0 for every tilt" in told
    assert "tilt axis" in told
    table = frames(tmp_path / "tilt_series/TS_001.star")["TS_001"]
    assert not table.rlnMicrographPreExposure.any()
    assert list(table.rlnTomoTiltMovieIndex) == list(range(1, 12))
    assert read_relion(tmp_path).series[0].series.order_known


def test_series_together_each_have_their_own(tmp_path: Path) -> None:
    first, second = processed_series(name="a"), processed_series(name="b", seed=1, pixel_A=3.0, hand=-1)
    third = processed_series(name="c", seed=2).replace(volume=None)
    fourth = processed_series(name="d").replace(particles=(), volume=None)
    first = first.replace(particles=tuple(p.replace(label="80S in cell") for p in first.particles))
    exported = write_relion(tmp_path, [first, second, third, fourth])
    assert (tmp_path / "particles_80S%20in%20cell.star").is_file()
    optics = frames(tmp_path / "particles_ribosome.star")["optics"]
    assert list(optics.rlnTomoTiltSeriesPixelSize) == [3.0, 2.7]
    assert list(optics.rlnOpticsGroup) == [1, 2]  # which are also the rows that RELION looks into
    assert list(frames(tmp_path / "tomograms.star")["global"].rlnTomoName) == ["a", "b", "c"]
    assert tmp_path / "optimisation_set_ribosome.star" in exported.files
    back = read_relion(tmp_path)
    assert not back.failures
    for one, found in zip((first, second, third, fourth), back.series, strict=True):
        assert_same(found, one)
    chosen = read_relion(tmp_path / "optimisation_set_ribosome.star")
    assert [len(one.particles) for one in chosen.series] == [0, 7, 7]


def test_movies_of_one_name_lie_apart(tmp_path: Path) -> None:
    series = [processed_series(name=name, n=3) for name in ("a", "b")]
    series = [
        one.replace(
            series=one.series.replace(tilts=tuple(t.replace(movie=rf"D:\x\{t.order}.tif") for t in one.series.tilts))
        )
        for one in series
    ]
    write_relion(tmp_path, series)
    # Of three tilts the second and the last are left out.
    assert list(frames(tmp_path / "tilt_series/b.star")["b"].rlnMicrographMovieName) == ["frames/b/2.tif"]


@pytest.mark.parametrize(("n", "binning"), [(61, 4.0), (60, 2.0), (333, 3.7), (41, 2.0)])
def test_relion_cuts_tomograms_to_our_voxels(tmp_path: Path, n: int, binning: float) -> None:
    volume = Volume(shape_zyx=(n, n, n), voxel_A=2.7 * binning)
    one = processed_series().replace(volume=volume)
    write_relion(tmp_path, [one])
    row = frames(tmp_path / "tomograms.star")["global"].iloc[0]
    assert row.rlnTomoSizeX % 2 == 0
    assert int(row.rlnTomoSizeX / row.rlnTomoTomogramBinning + 1e-6) == n
    back = read_relion(tmp_path).series[0].volume
    assert back is not None
    assert back.shape_zyx == volume.shape_zyx
    assert back.voxel_A == pytest.approx(volume.voxel_A)


def test_exports_that_relion_could_not_read_are_refused(tmp_path: Path) -> None:
    one = processed_series(n=3)
    assert one.alignment is not None
    nothing = one.replace(
        alignment=one.alignment.replace(tilts=tuple(view.replace(used=False) for view in one.alignment.tilts))
    )
    with pytest.raises(InputError, match="no series"):
        write_relion(tmp_path, [])
    with pytest.raises(InputError, match="2 series are called TS_001"):
        write_relion(tmp_path, [one, one])
    with pytest.raises(InputError, match="TS 1"):
        write_relion(tmp_path, [processed_series(name="TS 1")])
    with pytest.raises(InputError, match="every view is left out"):
        write_relion(tmp_path, [nothing])
    write_mrc(tmp_path / "other.mrc", np.zeros((3, 4, 5), np.int16), 2.7, kind="stack")
    with pytest.raises(InputError, match="3 images"):
        write_relion(tmp_path, [one.replace(files=SeriesFiles(stack=tmp_path / "other.mrc"))])


def test_views_of_an_earlier_export_are_not_left_behind(tmp_path: Path) -> None:
    one = processed_series()
    assert one.alignment is not None
    write_relion(tmp_path, [one])
    all_used = one.alignment.replace(tilts=tuple(v.replace(used=True, reason="") for v in one.alignment.tilts))
    write_relion(tmp_path, [one.replace(alignment=all_used)])
    assert not (tmp_path / "tilt_series/TS_001_excluded.star").exists()
    assert read_relion(tmp_path).series[0].used_sections == tuple(range(11))
