"""Warp's files: read back by others' readers, projected as Warp does, and taken back into the record."""

import contextlib
import itertools
import math
import warnings
from pathlib import Path
from typing import Literal

import numpy as np
import pytest
import starfile
import warpxmlfile
from cryoet_alignment.io.warp import WarpAlignment
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from eucentric.core import EucentricError, InputError
from eucentric.io.exchange import SeriesFiles
from eucentric.io.exchange.warp import read_warp, write_warp
from eucentric.io.exchange.warp_xml import read_settings
from eucentric.io.mrc import open_mrc
from eucentric.io.mrc_writer import write_mrc
from phantoms.processed import points, processed_series, seen_xy_px

CASES = list(itertools.product((84.7, -95.3), (1, -1), (1, -1)))


def euler(rot_deg: float, tilt_deg: float, psi_deg: float) -> NDArray[np.float64]:
    """Return Warp's `Matrix3.Euler`, acting on xyz columns."""
    (ca, cb, cg), (sa, sb, sg) = (
        np.cos(np.radians([rot_deg, tilt_deg, psi_deg])),
        np.sin(np.radians([rot_deg, tilt_deg, psi_deg])),
    )
    return np.array(
        [
            [cg * cb * ca - sg * sa, cg * cb * sa + sg * ca, -cg * sb],
            [-sg * cb * ca - cg * sa, -sg * cb * sa + cg * ca, sg * sb],
            [sb * ca, sb * sa, cb],
        ]
    )


def rotate_x(angle_deg: float) -> NDArray[np.float64]:
    """Return Warp's `Matrix3.RotateX`."""
    c, s = math.cos(math.radians(angle_deg)), math.sin(math.radians(angle_deg))
    return np.array([[1, 0, 0], [0, c, -s], [0, s, c]])


def warp_sees(path: Path, places_A: NDArray[np.float64]) -> NDArray[np.float64]:
    """Project places (n, 3), xyz in Å from the volume's corner, as Warp: x and y in Å, and defocus in µm."""
    series = warpxmlfile.read(path)
    volume = np.array(series.volume_dimensions_angstrom) / 2
    image = np.array(series.image_dimensions_angstrom) / 2
    level = float(series.attributes["LevelAngleX"])
    inverted = series.attributes["AreAnglesInverted"] == "True"
    seen = []
    for t in range(series.n_tilts):
        angle, axis = float(series.angles[t]), float(series.axis_angle[t])
        centred = places_A - volume
        found = centred @ (euler(0, angle, -axis) @ rotate_x(level)).T
        z = found[:, 2]
        if inverted:
            z = ((centred * (1, 1, -1)) @ (euler(0, -angle, -axis) @ rotate_x(-level)).T)[:, 2]
        offset = np.array([series.axis_offset_x[t], series.axis_offset_y[t]])
        defocus = series.grids["GridCTF"].values[t, 0, 0] + 1e-4 * z
        seen.append(np.column_stack([found[:, :2] + offset + image, defocus]))
    return np.array(seen)


@pytest.mark.parametrize(("axis_deg", "tilt_sign", "hand"), CASES)
def test_warp_sees_places_where_we_do(
    tmp_path: Path, axis_deg: float, tilt_sign: Literal[1, -1], hand: Literal[1, -1]
) -> None:
    one = processed_series(axis_deg=axis_deg, tilt_sign=tilt_sign, hand=hand, x_tilt_deg=2.5)
    write_warp(tmp_path, [one])
    assert one.alignment is not None
    assert one.ctf is not None
    xml = tmp_path / "warp_tiltseries/TS_001.xml"
    particles = starfile.read(tmp_path / "particles_ribosome.star")
    places = particles[["rlnCoordinateX", "rlnCoordinateY", "rlnCoordinateZ"]].to_numpy() * 2.7
    seen = warp_sees(xml, places)
    assert np.abs(seen[:, :, :2] / 2.7 - seen_xy_px(one, points())).max() < 0.01
    for view, tilt, found in zip(one.alignment.tilts, one.ctf.tilts, seen, strict=True):
        z_A = view.sample2image()(points())[:, 0]
        assert found[:, 2] * 1e4 == pytest.approx(tilt.mean_A + hand * z_A, abs=0.1)
    series = warpxmlfile.read(xml)
    assert list(series.use_tilt) == [view.used for view in one.alignment.tilts]
    assert series.dose is not None
    assert series.ctf is not None
    assert list(series.dose) == [tilt.pre_exposure_e_A2 for tilt in one.series.tilts]
    u = 1e4 * (series.grids["GridCTF"].values + series.grids["GridCTFDefocusDelta"].values / 2).ravel()
    assert u == pytest.approx([tilt.defocus_u_A for tilt in one.ctf.tilts], abs=0.05)
    angles = series.grids["GridCTFDefocusAngle"].values.ravel()
    assert angles == pytest.approx([tilt.azimuth_deg for tilt in one.ctf.tilts], abs=1e-4)
    assert float(series.ctf["Cs"]) == 2.7
    assert float(series.ctf["PixelSize"]) == 2.7
    for row, particle in zip(particles.itertuples(), one.particles, strict=True):
        turn = euler(row.rlnAngleRot, row.rlnAngleTilt, row.rlnAnglePsi)
        assert np.abs(turn - particle.reference2sample()).max() < 1e-6
        assert row.rlnMicrographName == "TS_001.tomostar"


def test_a_second_reader_and_the_tomostar_agree(tmp_path: Path) -> None:
    one = processed_series()
    write_warp(tmp_path, [one])
    other = WarpAlignment.from_file(tmp_path / "warp_tiltseries/TS_001.xml")
    assert one.alignment is not None
    assert other.pixel_size_a == 2.7
    assert [entry.tilt_angle for entry in other.entries] == pytest.approx(
        [-view.tilt_deg for view in one.alignment.tilts], abs=1e-6
    )
    assert [entry.tilt_axis_angle for entry in other.entries] == pytest.approx(
        [view.axis_deg for view in one.alignment.tilts], abs=1e-6
    )
    star = starfile.read(tmp_path / "tomostar/TS_001.tomostar")
    assert list(star.wrpAngleTilt) == [-tilt.tilt_deg for tilt in one.series.tilts]
    assert list(star.wrpDose) == [tilt.pre_exposure_e_A2 for tilt in one.series.tilts]
    assert star.wrpMovieName[0] == f"../warp_frameseries/{one.series.tilts[0].movie}"
    # `LoadMeta` splits at line ends and gives up at what is no number.
    text = (tmp_path / "warp_tiltseries/TS_001.xml").read_text()
    assert all(len(part.split("</Angles>")[0].split("\n")) == 11 for part in text.split("<Angles>")[1:])


@pytest.mark.parametrize(("axis_deg", "tilt_sign", "hand"), CASES)
def test_the_record_comes_back(
    tmp_path: Path, axis_deg: float, tilt_sign: Literal[1, -1], hand: Literal[1, -1]
) -> None:
    one = processed_series(axis_deg=axis_deg, tilt_sign=tilt_sign, hand=hand, x_tilt_deg=-1.5)
    write_warp(tmp_path, [one, processed_series(name="TS_002", n=5)])
    found = read_warp(tmp_path)
    assert not found.failures
    assert [series.series.name for series in found.series] == ["TS_001", "TS_002"]
    back = found.series[0]
    assert back.series == one.series
    assert back.used_sections == one.used_sections
    assert np.abs(seen_xy_px(back, points()) - seen_xy_px(one, points())).max() < 1e-3
    assert back.ctf is not None
    assert one.ctf is not None
    assert back.ctf.hand is not None
    assert back.ctf.hand.hand == hand
    assert back.ctf.lens == one.ctf.lens
    for ours, theirs in zip(one.ctf.tilts, back.ctf.tilts, strict=True):
        assert theirs.defocus_u_A == pytest.approx(ours.defocus_u_A, abs=0.05)
        assert theirs.defocus_v_A == pytest.approx(ours.defocus_v_A, abs=0.05)
        assert theirs.azimuth_deg == pytest.approx(ours.azimuth_deg, abs=1e-5)
    for mine, other in zip(one.particles, back.particles, strict=True):
        assert other.position_zyx_A == pytest.approx(mine.position_zyx_A, abs=1e-3)
        assert other.rot_deg == pytest.approx(mine.rot_deg, abs=1e-5)
        assert (other.label, other.half) == (mine.label, mine.half)


def test_a_stack_is_linked_and_found(tmp_path: Path) -> None:
    one = processed_series(shape_yx=(20, 31))
    write_mrc(tmp_path / "s.mrc", np.zeros((11, 20, 31), np.float32), 2.7, kind="stack")
    write_mrc(tmp_path / "v.mrc", np.zeros((61, 102, 95), np.int8), 10.8, kind="volume")
    volumes = dict.fromkeys(("tomogram", "tomogram_even", "tomogram_odd"), tmp_path / "v.mrc")
    one = one.replace(files=SeriesFiles(stack=tmp_path / "s.mrc", even=tmp_path / "s.mrc", **volumes))
    write_warp(tmp_path / "out", [one])
    back = read_warp(tmp_path / "out").series[0]
    assert back.files.stack == tmp_path / "out/warp_tiltseries/tiltstack/TS_001/TS_001.st"
    for half in ("", "even", "odd"):
        volume = tmp_path / "out/warp_tiltseries/reconstruction" / half / "TS_001_10.80Apx.mrc"
        assert getattr(back.files, f"tomogram_{half}".rstrip("_")) == volume
    assert [image and image.parent.name for image in back.files.even_images] == ["even"] * 11
    assert back.volume is not None
    assert one.volume is not None
    assert back.volume.shape_zyx == one.volume.shape_zyx
    # What Warp opens: movies beside the tomostar for their size, and the averages below them.
    movie = tmp_path / "out/tomostar" / starfile.read(tmp_path / "out/tomostar/TS_001.tomostar").wrpMovieName[3]
    for path in (movie, movie.parent / "average" / movie.name):
        assert open_mrc(path).data.shape == (1, 20, 31)
    settings = read_settings(tmp_path / "out", [])
    assert settings is not None
    assert settings.said["DimensionsX"] == "376"
    # One file is enough, by its name.
    for name in ("tomostar/TS_001.tomostar", "warp_tiltseries/TS_001.xml"):
        assert read_warp(tmp_path / "out" / name).series[0].alignment == back.alignment


def test_movement_is_taken_in_and_what_is_local_is_told(tmp_path: Path) -> None:
    one = processed_series(n=5)
    write_warp(tmp_path, [one])
    path = tmp_path / "warp_tiltseries/TS_001.xml"
    nodes = "".join(f'<Node X="{x}" Y="0" Z="{z}" Value="{10 * z + x}" />' for z in range(5) for x in range(2))
    grids = f'<GridMovementX Width="2" Height="1" Depth="5">{nodes}</GridMovementX>'
    grids += '<GridVolumeWarpX Width="1" Height="1" Depth="1" Duration="1"><Node X="0" Y="0" Z="0" W="0" Value="2" />'
    grids += "</GridVolumeWarpX><TiltPS1D>0|1</TiltPS1D>"
    path.write_text(path.read_text().replace("</TiltSeries>", grids + "</TiltSeries>"))
    found = read_warp(tmp_path)
    moved = seen_xy_px(found.series[0], points()) - seen_xy_px(one, points())
    assert moved[..., 0] * 2.7 == pytest.approx(np.broadcast_to(-10.0 * np.arange(5)[:, None] - 0.5, (5, 7)), abs=1e-3)
    told = "\n".join(found.dropped)
    assert "<GridMovementX> is not the same everywhere; up to 0.5 were left out" in told
    assert "<GridVolumeWarpX>, <TiltPS1D>" in told


def test_the_pixel_of_the_settings_comes_before_that_of_the_ctf(tmp_path: Path) -> None:
    one = processed_series(n=5).replace(ctf=None)
    write_warp(tmp_path, [one])
    path = tmp_path / "warp_tiltseries/TS_001.xml"
    path.write_text(path.read_text().replace('"PixelSize" Value="2.7', '"PixelSize" Value="1'))
    back = read_warp(tmp_path).series[0]
    assert back.ctf is None
    assert (back.series.pixel_A, back.series.shape_yx) == (2.7, one.series.shape_yx)
    path.write_text(path.read_text().replace("ImageDimensionsAngstrom", "Unknown"))
    assert "the size and the pixel" in read_warp(tmp_path).failures["TS_001"]


def test_one_bad_series_does_not_stop_the_others(tmp_path: Path) -> None:
    write_warp(tmp_path, [processed_series(name="a", n=5), processed_series(name="b", n=5)])
    (tmp_path / "warp_tiltseries/a.xml").write_text("<TiltSeries><Angles>1\n2")
    (tmp_path / "warp_tiltseries/movie.xml").write_text("<Movie></Movie>")
    found = read_warp(tmp_path)
    assert [one.series.name for one in found.series] == ["b"]
    assert list(found.failures) == ["a"]
    with pytest.raises(InputError, match="a pixel of 3 Å among others"):
        write_warp(tmp_path, [processed_series(), processed_series(pixel_A=3.0)])
    with pytest.raises(InputError, match="no tilt series"):
        read_warp(_empty(tmp_path))


def test_entities_are_refused(tmp_path: Path) -> None:
    bomb = '<!DOCTYPE x [<!ENTITY a "aaaa"><!ENTITY b "&a;&a;">]><TiltSeries><Angles>&b;</Angles></TiltSeries>'
    (tmp_path / "a.xml").write_text(bomb)
    assert "not a file that Warp wrote" in read_warp(tmp_path).failures["a"]


@settings(max_examples=50)
@given(
    data=st.data(), which=st.sampled_from(["warp_tiltseries/a.xml", "tomostar/a.tomostar", "particles_ribosome.star"])
)
def test_no_file_brings_the_reader_down(
    tmp_path_factory: pytest.TempPathFactory, data: st.DataObject, which: str
) -> None:
    folder = tmp_path_factory.mktemp("fuzz")
    write_warp(folder, [processed_series(name="a", n=3)])
    raw = bytearray((folder / which).read_bytes())
    for _ in range(data.draw(st.integers(1, 5))):
        at = data.draw(st.integers(0, len(raw) - 1))
        raw[at : at + data.draw(st.integers(0, 8))] = data.draw(
            st.one_of(st.binary(max_size=8), st.sampled_from([b"nan", b"-", b"1e99", b"<", b"\n", b"999999999", b'"']))
        )
    (folder / which).write_bytes(bytes(raw))
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        with contextlib.suppress(EucentricError):
            read_warp(folder)


def _empty(folder: Path) -> Path:
    (folder / "empty").mkdir()
    return folder / "empty"
