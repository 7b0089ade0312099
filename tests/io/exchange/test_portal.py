"""The CryoET Data Portal's folders: read back by its own converter, and taken back into the record."""

import contextlib
import itertools
import json
import math
import warnings
from pathlib import Path
from typing import Literal

import numpy as np
import pytest
from cryoet_alignment.io.cryoet_data_portal import Alignment as PortalAlignment
from hypothesis import given, settings
from hypothesis import strategies as st

from eucentric.core import EucentricError, InputError
from eucentric.io.exchange import ProcessedSeries, SeriesFiles, Volume
from eucentric.io.exchange.portal import read_portal, write_portal
from eucentric.io.exchange.portal_json import euler_deg
from eucentric.io.mrc_writer import write_mrc
from eucentric.io.ome_zarr import read_ome_zarr
from phantoms.processed import points, processed_series, seen_xy_px

CASES = list(itertools.product((84.7, -95.3), (1, -1), (1, -1)))


def exported(folder: Path, **changes: object) -> tuple[ProcessedSeries, tuple[str, ...]]:
    one = processed_series(**changes)  # type: ignore[arg-type]
    return one, write_portal(folder, [one]).dropped


@pytest.mark.parametrize(("axis_deg", "tilt_sign", "hand"), CASES)
def test_the_portals_converter_sees_places_where_we_do(
    tmp_path: Path, axis_deg: float, tilt_sign: Literal[1, -1], hand: Literal[1, -1]
) -> None:
    """Its matrix and offsets, and the .xf, .tlt and .xtilt that it makes of them, projected as IMOD does."""
    one, _ = exported(tmp_path, axis_deg=axis_deg, tilt_sign=tilt_sign, hand=hand, x_tilt_deg=2.5)
    theirs = PortalAlignment.from_file(tmp_path / "TS_001/Alignments/100/alignment_metadata.json")
    rows, columns = one.series.shape_yx
    middle = np.array([columns - 1, rows - 1]) / 2
    x, y, z = points()[:, ::-1].T / 2.7
    seen = seen_xy_px(one, points())
    assert [section.z_index for section in theirs.per_section_alignment_parameters] == list(one.used_sections)
    imod = theirs.to_imod((columns, rows, 11), ts_spacing=2.7, basename="a")
    for section in theirs.per_section_alignment_parameters:
        for tilt, alpha, turn, shift in (
            (
                section.tilt_angle,
                section.volume_x_rotation,
                np.array(section.in_plane_rotation),
                np.array([section.x_offset, section.y_offset]),
            ),
            (
                imod.tlt.angles[section.z_index],
                imod.xtilt.angles[section.z_index],
                np.linalg.inv(imod.xf.alignments[section.z_index].rot_matrix()),
                -np.linalg.inv(imod.xf.alignments[section.z_index].rot_matrix())
                @ imod.xf.alignments[section.z_index].shift(),
            ),
        ):
            t, a = math.radians(tilt), math.radians(alpha)
            aligned = np.stack(
                [
                    x * math.cos(t) + (y * math.sin(a) + z * math.cos(a)) * math.sin(t),
                    y * math.cos(a) - z * math.sin(a),
                ]
            )
            where = (turn @ aligned).T + shift + middle
            assert np.abs(where - seen[section.z_index]).max() < 1e-6


@pytest.mark.parametrize(("axis_deg", "tilt_sign", "hand"), CASES)
def test_the_record_comes_back(
    tmp_path: Path, axis_deg: float, tilt_sign: Literal[1, -1], hand: Literal[1, -1]
) -> None:
    one, dropped = exported(tmp_path, axis_deg=axis_deg, tilt_sign=tilt_sign, hand=hand, x_tilt_deg=-1.5)
    assert any("defocus hand" in line for line in dropped)
    found = read_portal(tmp_path)
    assert not found.failures
    back = found.series[0]
    assert back.series.name == "TS_001"
    assert back.series.tilts == one.series.tilts
    assert back.series.voltage_kV == 300
    assert back.series.order_known
    assert back.volume == one.volume
    used = list(one.used_sections)
    assert back.used_sections == one.used_sections
    assert np.abs(seen_xy_px(back, points())[used] - seen_xy_px(one, points())[used]).max() < 1e-6
    assert back.ctf is not None
    assert one.ctf is not None
    assert back.ctf.lens == one.ctf.lens
    for ours, theirs in zip(one.ctf.tilts, back.ctf.tilts, strict=True):
        assert theirs.defocus_u_A == pytest.approx(ours.defocus_u_A)
        assert theirs.azimuth_deg == pytest.approx(ours.azimuth_deg)
        assert (theirs.fit_resolution_A, theirs.score) == (ours.fit_resolution_A, ours.score)
    for mine, particle in zip(one.particles, back.particles, strict=True):
        assert particle.position_zyx_A == pytest.approx(mine.position_zyx_A, abs=1e-6)
        assert particle.reference2sample() == pytest.approx(mine.reference2sample(), abs=1e-9)
        assert particle.label == mine.label


def test_units_are_those_of_the_schema(tmp_path: Path) -> None:
    one, _ = exported(tmp_path)
    metadata = json.loads((tmp_path / "TS_001/TiltSeries/100/tiltseries_metadata.json").read_text())
    assert metadata["acceleration_voltage"] == 300_000
    assert metadata["spherical_aberration_constant"] == 2.7
    assert metadata["total_flux"] == pytest.approx(33)
    assert metadata["tilt_range"] == {"min": -60, "max": 60}
    assert metadata["tilt_step"] == 12
    assert metadata["size"] == {"x": 377, "y": 410, "z": 11}
    assert one.ctf is not None
    section = metadata["per_section_parameter"][3]
    assert section["major_defocus"] == one.ctf.tilts[3].defocus_u_A
    assert section["frame_acquisition_order"] == one.series.tilts[3].order
    frames = json.loads((tmp_path / "TS_001/Frames/frames_metadata.json").read_text())["frames"]
    assert [frame["accumulated_dose"] for frame in frames] == [3.0 * k for k in range(11)]


def test_a_tomogram_is_linked_and_in_ome_zarr(tmp_path: Path) -> None:
    volume = np.random.default_rng(0).normal(size=(12, 20, 16)).astype(np.float32)
    write_mrc(tmp_path / "tomogram.mrc", volume, 10.8, kind="volume")
    one = processed_series().replace(
        volume=Volume(shape_zyx=volume.shape, voxel_A=10.8), files=SeriesFiles(tomogram=tmp_path / "tomogram.mrc")
    )
    write_portal(tmp_path / "out", [one])
    folder = tmp_path / "out/TS_001/Reconstructions/VoxelSpacing10.800/Tomograms/100"
    image = read_ome_zarr(folder / "TS_001.zarr")
    assert image.voxels_zyx_A[0] == pytest.approx((10.8,) * 3)
    assert np.array_equal(np.asarray(image.levels[0][:]), volume)
    assert read_portal(tmp_path / "out").series[0].files.tomogram == folder / "TS_001.mrc"


@settings(max_examples=50, deadline=None)
@given(st.floats(-180, 180), st.floats(0, 180), st.floats(-180, 180))
def test_particles_keep_their_turn(rot: float, tilt: float, psi: float) -> None:
    particle = processed_series().particles[0].replace(rot_deg=rot, tilt_deg=tilt, psi_deg=psi)
    again = dict(zip(("rot_deg", "tilt_deg", "psi_deg"), euler_deg(particle.reference2sample()), strict=True))
    assert particle.replace(**again).reference2sample() == pytest.approx(particle.reference2sample(), abs=1e-6)


def test_nothing_there_is_refused(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"no tiltseries_metadata\.json"):
        read_portal(tmp_path)
    with pytest.raises(InputError, match="no series"):
        write_portal(tmp_path, [])


@settings(max_examples=60, deadline=None)
@given(
    data=st.data(), which=st.sampled_from(["tiltseries_metadata", "alignment_m", "tomogram_m", "frames_m", "ndjson"])
)
def test_no_file_brings_the_reader_down(
    tmp_path_factory: pytest.TempPathFactory, data: st.DataObject, which: str
) -> None:
    folder = tmp_path_factory.mktemp("fuzz")
    write_portal(folder, [processed_series(name="a", n=5)])
    path = next(path for path in folder.rglob("*.*json") if which in path.name)
    raw = bytearray(path.read_bytes())
    for _ in range(data.draw(st.integers(1, 6))):
        at = data.draw(st.integers(0, max(0, len(raw) - 1)))
        raw[at : at + data.draw(st.integers(0, 8))] = data.draw(
            st.one_of(
                st.binary(max_size=8),
                st.sampled_from([b"NaN", b"-", b"1e99", b"null", b'""', b"[", b"1", b"{}", b"true", b"[" * 9999]),
            )
        )
    path.write_bytes(bytes(raw))
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        with contextlib.suppress(EucentricError):
            read_portal(folder)
