"""CETS datasets: projected by the coordinates that they state, and taken back into the record."""

import contextlib
import itertools
import json
import warnings
from pathlib import Path
from typing import Literal

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from eucentric.core import EucentricError, InputError
from eucentric.io.exchange.cets import read_cets, write_cets
from phantoms.processed import points, processed_series, seen_xy_px

CASES = list(itertools.product((84.7, -95.3), (1, -1), (1, -1)))


@pytest.mark.parametrize(("axis_deg", "tilt_sign", "hand"), CASES)
def test_what_it_states_projects_places_where_we_do(
    tmp_path: Path, axis_deg: float, tilt_sign: Literal[1, -1], hand: Literal[1, -1]
) -> None:
    """Through the named coordinate systems alone: voxels to Å, to the specimen, and back into each image's pixels."""
    one = processed_series(axis_deg=axis_deg, tilt_sign=tilt_sign, hand=hand, x_tilt_deg=2.5)
    (path,) = write_cets(tmp_path, [one]).files
    region = json.loads(path.read_text())["regions"][0]
    images = {image["id"]: image for image in region["tilt_series"][0]["images"]}
    scale, to_specimen = region["tomograms"][0]["coordinate_transformations"]
    voxels = np.array(region["annotations"][0]["origin3D"])
    specimen = voxels * scale["scale"] + to_specimen["translation"]
    assert specimen == pytest.approx(points()[:, ::-1], abs=1e-9)
    seen = seen_xy_px(one, points())
    projections = region["alignments"][0]["projection_alignments"]
    assert [images[view["tilt_image_id"]]["section"] for view in projections] == list(one.used_sections)
    for view in projections:
        image = images[view["tilt_image_id"]]
        translation, affine = view["sequence"]
        in_image = np.linalg.solve(affine["affine"], specimen.T).T - translation["translation"]
        where = in_image[:, :2] / image["coordinate_transformations"][0]["scale"]
        assert np.abs(where - seen[image["section"]]).max() < 1e-6
        assert image["ctf_metadata"]["defocus_handedness"] == hand


@pytest.mark.parametrize(("axis_deg", "tilt_sign", "hand"), CASES)
def test_the_record_comes_back(
    tmp_path: Path, axis_deg: float, tilt_sign: Literal[1, -1], hand: Literal[1, -1]
) -> None:
    one = processed_series(axis_deg=axis_deg, tilt_sign=tilt_sign, hand=hand, x_tilt_deg=-1.5)
    dropped = "\n".join(write_cets(tmp_path, [one]).dropped)
    for what in ("last image is lost", "left out", "lens", "half sets"):
        assert what in dropped
    found = read_cets(tmp_path)
    assert not found.failures
    back = found.series[0]
    assert back.series.shape_yx == one.series.shape_yx
    for ours, theirs in zip(one.series.tilts, back.series.tilts, strict=True):
        assert (theirs.order, theirs.tilt_deg, theirs.movie) == (ours.order, ours.tilt_deg, ours.movie)
        assert theirs.pre_exposure_e_A2 == ours.pre_exposure_e_A2
        assert theirs.exposure_e_A2 == (None if ours.order == 10 else 3.0)
    assert back.volume == one.volume
    used = list(one.used_sections)
    assert back.used_sections == one.used_sections
    assert np.abs(seen_xy_px(back, points())[used] - seen_xy_px(one, points())[used]).max() < 1e-6
    assert back.ctf is not None
    assert one.ctf is not None
    assert back.ctf.hand is not None
    assert back.ctf.hand.hand == hand
    for mine, theirs_ in zip(one.ctf.tilts, back.ctf.tilts, strict=True):
        assert (theirs_.defocus_u_A, theirs_.defocus_v_A) == (mine.defocus_u_A, mine.defocus_v_A)
        assert theirs_.azimuth_deg == mine.azimuth_deg
    for particle, again in zip(one.particles, back.particles, strict=True):
        assert again.position_zyx_A == pytest.approx(particle.position_zyx_A, abs=1e-6)
        assert again.reference2sample() == pytest.approx(particle.reference2sample(), abs=1e-9)


def test_nothing_there_is_refused(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"no \.cets\.json"):
        read_cets(tmp_path)
    with pytest.raises(InputError, match="no series"):
        write_cets(tmp_path, [])
    (tmp_path / "a.cets.json").write_text("{}")
    assert "no region" in read_cets(tmp_path).failures["a"]


@settings(max_examples=60, deadline=None)
@given(data=st.data())
def test_no_file_brings_the_reader_down(tmp_path_factory: pytest.TempPathFactory, data: st.DataObject) -> None:
    folder = tmp_path_factory.mktemp("fuzz")
    (path,) = write_cets(folder, [processed_series(name="a", n=3)]).files
    raw = bytearray(path.read_bytes())
    for _ in range(data.draw(st.integers(1, 6))):
        at = data.draw(st.integers(0, max(0, len(raw) - 1)))
        raw[at : at + data.draw(st.integers(0, 8))] = data.draw(
            st.one_of(
                st.binary(max_size=8),
                st.sampled_from([b"NaN", b"-", b"1e99", b"null", b'""', b"[", b"1", b"{}", b"true"]),
            )
        )
    path.write_bytes(bytes(raw))
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        with contextlib.suppress(EucentricError):
            read_cets(folder)
