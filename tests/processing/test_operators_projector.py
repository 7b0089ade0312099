from typing import NamedTuple

import numba
import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import ndimage
from torch import Tensor

from eucentric.core import TiltAlignment
from eucentric.processing.operators import _projector_torch, backproject, project, reproject
from eucentric.processing.operators.projector import _by_volumes, _rays

ANGLES_DEG = st.one_of(st.sampled_from((0.0, 90.0, -90.0, 45.0, 180.0, 135.0, -100.0)), st.floats(-180, 180))


class Case(NamedTuple):
    volume: Tensor
    projections: Tensor
    tilts_rad: Tensor
    centre_zx_px: tuple[float, float]


@st.composite
def cases(draw: st.DrawFn) -> Case:
    depth, columns, width = draw(st.integers(1, 12)), draw(st.integers(1, 20)), draw(st.integers(2, 20))
    rows = draw(st.sampled_from((1, 3, 16, 17, 35)))  # below, at and beyond the strip that a thread takes
    tilts = draw(st.lists(ANGLES_DEG, min_size=1, max_size=5))
    centre = draw(st.tuples(st.floats(-5, 5), st.floats(-5, 5)))
    noise = torch.Generator().manual_seed(draw(st.integers(0, 2**31)))
    return Case(
        torch.randn((depth, rows, columns), generator=noise),
        torch.randn((len(tilts), rows, width), generator=noise),
        torch.deg2rad(torch.tensor(tilts, dtype=torch.float64)),
        centre,
    )


def dot(a: Tensor, b: Tensor) -> float:
    return float((a.double() * b.double()).sum())


def both(case: Case) -> tuple[Tensor, Tensor]:
    """The projections of the volume and the back-projection of the projections."""
    depth, _, columns = case.volume.shape
    projected = project(case.volume, case.tilts_rad, case.projections.shape[2], centre_zx_px=case.centre_zx_px)
    volume = backproject(case.projections, case.tilts_rad, (depth, columns), centre_zx_px=case.centre_zx_px)
    return projected, volume


@given(cases())
@settings(max_examples=60, deadline=None)
def test_each_is_the_adjoint_of_the_other(case: Case) -> None:
    projected, volume = both(case)
    scale = float(projected.norm() * case.projections.norm()) + float(volume.norm() * case.volume.norm())
    assert abs(dot(projected, case.projections) - dot(case.volume, volume)) <= 1e-6 * scale


@given(cases())
@settings(max_examples=60, deadline=None)
def test_cpu_and_gpu_forms_agree(case: Case) -> None:
    # Off the grid: rounding decides whether a ray that meets the detector's very edge counts.
    z, x = case.centre_zx_px
    case = case._replace(centre_zx_px=(z + 0.1237, x + 0.0719))
    projected, volume = both(case)
    rays = _rays(case.tilts_rad, case.projections.shape[2], case.centre_zx_px)
    other_projected, other_volume = torch.zeros_like(projected), torch.zeros_like(volume)
    _projector_torch.project(case.volume, *rays, other_projected)
    _projector_torch.backproject(case.projections, *rays, other_volume)
    torch.testing.assert_close(projected, other_projected, rtol=1e-5, atol=1e-5 * float(case.volume.abs().max()) * 10)
    torch.testing.assert_close(volume, other_volume, rtol=1e-5, atol=1e-5 * float(case.projections.abs().max()) * 10)


def test_gpu_form_is_the_same_in_slabs(monkeypatch: pytest.MonkeyPatch) -> None:
    noise = torch.Generator().manual_seed(1)
    case = Case(
        torch.randn((7, 4, 9), generator=noise),
        torch.randn((3, 4, 11), generator=noise),
        torch.tensor([-0.7, 0.1, 1.2], dtype=torch.float64),
        (0.3, -0.2),
    )
    projected, volume = both(case)
    rays = _rays(case.tilts_rad, 11, case.centre_zx_px)
    monkeypatch.setattr(_projector_torch, "_SLAB_VALUES", 2 * 4 * 9)
    other_projected, other_volume = torch.zeros_like(projected), torch.zeros_like(volume)
    _projector_torch.project(case.volume, *rays, other_projected)
    _projector_torch.backproject(case.projections, *rays, other_volume)
    torch.testing.assert_close(projected, other_projected, rtol=1e-5, atol=1e-5)
    torch.testing.assert_close(volume, other_volume, rtol=1e-5, atol=1e-5)


@given(cases(), st.booleans(), st.integers(0, 3))
@settings(max_examples=60, deadline=None)
def test_reprojections_are_those_of_the_volume(case: Case, elsewhere: bool, block_views: int) -> None:
    depth, rows, columns = case.volume.shape
    width = case.projections.shape[2]
    at_rad = case.tilts_rad.flip(0)[:3] + 0.1 if elsewhere else None
    block_views = 0 if elsewhere else block_views
    centre, across = case.centre_zx_px, 0.7
    every = case.tilts_rad if at_rad is None else at_rad
    expected = torch.zeros((len(every), rows, width))
    for i, tilt in enumerate(every):
        block = i // block_views if block_views else -1
        others = [k for k in range(len(case.tilts_rad)) if block < 0 or k // block_views != block]
        sources = case.projections[others], case.tilts_rad[others]
        volume = backproject(*sources, (depth, columns), centre_zx_px=centre, across_px=across)
        expected[i] = project(volume, tilt[None], width, centre_zx_px=centre, across_px=across)[0]
    given_all = case.projections, case.tilts_rad, (depth, columns)
    found = reproject(*given_all, at_rad=at_rad, block_views=block_views, centre_zx_px=centre, across_px=across)
    torch.testing.assert_close(found, expected, rtol=1e-5, atol=1e-4)
    by_volumes = _by_volumes(*given_all, at_rad, block_views, centre, across)
    torch.testing.assert_close(by_volumes, expected, rtol=1e-5, atol=1e-4)


def test_reprojections_are_the_same_on_any_number_of_threads() -> None:
    views = torch.randn((7, 100, 40), generator=torch.Generator().manual_seed(0))
    tilts = torch.linspace(-1, 1, 7, dtype=torch.float64)
    most = numba.get_num_threads()
    several = reproject(views, tilts, (9, 60), block_views=3)
    numba.set_num_threads(1)
    try:
        assert torch.equal(reproject(views, tilts, (9, 60), block_views=3), several)
    finally:
        numba.set_num_threads(most)


@given(cases(), st.floats(-3, 3))
@settings(max_examples=30, deadline=None)
def test_both_are_linear(case: Case, factor: float) -> None:
    flipped = case._replace(volume=case.volume.flip(0, 2), projections=case.projections.flip(0, 2))
    mixed = case._replace(
        volume=case.volume + factor * flipped.volume, projections=case.projections + factor * flipped.projections
    )
    for a, b, c in zip(both(case), both(flipped), both(mixed), strict=True):
        torch.testing.assert_close(c, a + factor * b, rtol=1e-4, atol=2e-4)


@given(st.floats(-180, 180), st.integers(-6, 6), st.integers(-6, 6), st.integers(-3, 3))
@settings(max_examples=40, deadline=None)
def test_a_voxel_is_seen_where_the_frames_say(tilt_deg: float, z: int, y: int, x: int) -> None:
    volume = torch.zeros((13, 7, 14))
    volume[6 + z, 3 + y if abs(y) <= 3 else 3, 7 + x] = 2.0
    y = y if abs(y) <= 3 else 0
    projection = project(volume, torch.deg2rad(torch.tensor([tilt_deg], dtype=torch.float64)), 31)[0].double()
    _, y_seen, u_seen = TiltAlignment(section=0, tilt_deg=tilt_deg, axis_deg=0.0).sample2image()((z, y, x))
    assert float(projection.sum()) == pytest.approx(2.0, rel=1e-5)
    rows, columns = torch.meshgrid(torch.arange(7) - 3.0, torch.arange(31) - 15.0, indexing="ij")
    assert float((projection * columns).sum()) / 2 == pytest.approx(u_seen, abs=1e-4)
    assert float((projection * rows).sum()) / 2 == pytest.approx(y_seen, abs=1e-4)


@pytest.mark.parametrize(("columns", "width"), [(9, 9), (10, 10), (8, 13), (13, 8), (12, 7)])
def test_untilted_projection_is_the_sum_along_z(columns: int, width: int) -> None:
    volume = torch.randn((5, 4, columns), generator=torch.Generator().manual_seed(0))
    projection = project(volume, torch.zeros(1, dtype=torch.float64), width)[0]
    sums = volume.sum(0)
    for u in range(width - 1):  # the last column is left out: it has no right neighbour to interpolate with
        x = u - width // 2 + columns // 2
        expected = sums[:, x] if 0 <= x < columns else torch.zeros(4)
        torch.testing.assert_close(projection[:, u], expected, rtol=1e-5, atol=1e-5)


def test_the_side_view_is_the_sum_along_x() -> None:
    volume = torch.randn((7, 4, 5), generator=torch.Generator().manual_seed(0))
    quarter = torch.tensor([np.pi / 2, -np.pi / 2], dtype=torch.float64)
    up, down = project(volume, quarter, 11)
    torch.testing.assert_close(up[:, 2:9], volume.sum(2).T, rtol=1e-5, atol=1e-5)
    torch.testing.assert_close(down[:, 2:9], volume.sum(2).T.flip(1), rtol=1e-5, atol=1e-5)


@given(st.floats(-80, 80), st.integers(-4, 4), st.integers(-4, 4))
@settings(max_examples=20, deadline=None)
def test_a_volume_off_centre_is_a_part_of_the_whole(tilt_deg: float, z: int, x: int) -> None:
    whole = torch.zeros((17, 3, 19))
    part = torch.randn((6, 3, 7), generator=torch.Generator().manual_seed(0))
    top, left = 8 + z - 3, 9 + x - 3
    whole[top : top + 6, :, left : left + 7] = part
    tilt = torch.deg2rad(torch.tensor([tilt_deg], dtype=torch.float64))
    seen = project(part, tilt, 40, centre_zx_px=(z, x))
    torch.testing.assert_close(seen, project(whole, tilt, 40), rtol=1e-4, atol=1e-4)
    views = torch.randn((1, 3, 40), generator=torch.Generator().manual_seed(1))
    cut = backproject(views, tilt, (17, 19))[top : top + 6, :, left : left + 7]
    torch.testing.assert_close(backproject(views, tilt, (6, 7), centre_zx_px=(z, x)), cut, rtol=1e-4, atol=1e-4)


def test_rays_off_the_detector_add_nothing() -> None:
    ones = torch.ones((1, 2, 9))
    spread = backproject(ones, torch.zeros(1, dtype=torch.float64), (3, 31))
    assert spread[..., 11:19].eq(1).all()
    assert spread[..., :11].eq(0).all()
    assert spread[..., 20:].eq(0).all()
    volume = torch.zeros((3, 2, 31))
    volume[..., :11] = 1
    volume[..., 20:] = 1
    assert project(volume, torch.zeros(1, dtype=torch.float64), 9).eq(0).all()


def test_out_is_added_to_in_place() -> None:
    views = torch.randn((4, 5, 12), generator=torch.Generator().manual_seed(0))
    tilts = torch.linspace(-1, 1, 4, dtype=torch.float64)
    out = torch.full((3, 5, 10), 7.0)
    for some in (slice(0, 1), slice(1, 4)):
        assert backproject(views[some], tilts[some], (3, 10), out=out) is out
    torch.testing.assert_close(out - 7, backproject(views, tilts, (3, 10)), rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize(("tilts", "out"), [(3, (4, 5, 6)), (5, (4, 5, 6)), (4, (4, 4, 6)), (4, (3, 5, 6))])
def test_what_does_not_fit_is_refused(tilts: int, out: tuple[int, int, int]) -> None:
    with pytest.raises(ValueError, match="do not fit"):
        backproject(torch.ones((4, 5, 9)), torch.zeros(tilts), (4, 6), out=torch.zeros(out))


def test_reprojections_of_what_does_not_fit_are_refused() -> None:
    with pytest.raises(ValueError, match="do not fit"):
        reproject(torch.ones((4, 5, 9)), torch.zeros(3), (4, 6))
    with pytest.raises(ValueError, match="do not fit"):
        reproject(torch.ones((4, 5, 9)), torch.zeros(4), (4, 6), at_rad=torch.zeros(1), block_views=2)


def test_a_gaussian_blob_projects_to_a_gaussian() -> None:
    sigma, tilts_deg = 2.5, torch.tensor([-70.0, -33.0, 0.0, 20.0, 61.0, 90.0], dtype=torch.float64)
    z, y, x = (torch.arange(n) - n // 2 for n in (41, 21, 44))
    at_z, at_y, at_x = 5.3, -1.0, -6.7
    squares = (z - at_z)[:, None, None] ** 2 + (y - at_y)[None, :, None] ** 2 + (x - at_x)[None, None, :] ** 2
    projections = project(torch.exp(-squares / (2 * sigma**2)), torch.deg2rad(tilts_deg), 51)
    u = torch.arange(51) - 25
    for tilt_rad, projection in zip(torch.deg2rad(tilts_deg), projections, strict=True):
        centre = at_x * torch.cos(tilt_rad) + at_z * torch.sin(tilt_rad)
        # Linear interpolation convolves with a triangle of variance 1/6 at most: this loses up to 2 % of the height.
        r2 = (y - at_y)[:, None] ** 2 + (u - centre)[None, :] ** 2
        expected = sigma * np.sqrt(2 * np.pi) * torch.exp(-r2 / (2 * sigma**2))
        assert float((projection - expected).abs().max()) < 0.03 * float(expected.max())


@pytest.mark.parametrize("tilt_deg", [-50.0, -20.0, 35.0, 65.0])
def test_projection_agrees_with_scipys_turned_volume(tilt_deg: float) -> None:
    noise = np.random.default_rng(3).standard_normal((1, 33, 33))
    plane = ndimage.gaussian_filter(noise, (0, 2.0, 2.0))[0]  # (z, x)
    z, x = np.mgrid[-16:17, -16:17]
    plane *= np.exp(-(np.hypot(z, x) ** 2) / (2 * 5.0**2))
    c, s = np.cos(np.deg2rad(tilt_deg)), np.sin(np.deg2rad(tilt_deg))
    # The specimen's place that comes to (z', x') when z is turned towards x.
    turn = np.array([[c, s], [-s, c]])
    expected, mirrored = (
        ndimage.affine_transform(plane, matrix, (16, 16) - matrix @ (16, 16)).sum(0) for matrix in (turn, turn.T)
    )
    volume = torch.from_numpy(plane.astype(np.float32))[:, None, :]
    tilt = torch.deg2rad(torch.tensor([tilt_deg], dtype=torch.float64))
    projection = project(volume, tilt, 33)[0, 0].numpy()
    assert np.abs(projection - expected).max() < 0.05 * np.abs(expected).max()
    assert np.abs(projection - mirrored).max() > 0.3 * np.abs(expected).max()


@pytest.mark.parametrize(
    ("tilt_deg", "most"), [(0, 1e-5), (20, 0.005), (30, 0.005), (44, 0.01), (45, 0.13), (60, 0.005)]
)
def test_a_uniform_slab_projects_evenly(tilt_deg: float, most: float) -> None:
    # Where all voxels of a diagonal meet a column at one place, at 45 degrees, columns get unequal shares.
    tilt = torch.deg2rad(torch.tensor([tilt_deg], dtype=torch.float64))
    # The outermost columns hold only what lies between columns, not what is half beyond.
    thickness = project(torch.ones((96, 1, 400)), tilt, 81)[0, 0, 1:-2] * float(torch.cos(tilt)) / 96
    assert float((thickness - 1).abs().max()) < most
