"""Weighted back-projection against analytic specimens."""

import numpy as np
import pytest
import torch
from numpy.typing import NDArray
from scipy.ndimage import gaussian_filter

from eucentric.core import Alignment, InputError, TiltAlignment
from eucentric.processing.operators import HIGHEST
from eucentric.processing.reconstruction import (
    Halves,
    ReconstructSettings,
    reconstruct,
    reconstruct_subvolumes,
    volume_shape,
    weighted_slabs,
)
from eucentric.processing.reconstruction.coverage import Coverage, apply_torch
from eucentric.processing.reconstruction.views import rays_of
from eucentric.processing.reconstruction.weights import view_gains
from phantoms import Phantom, chiral_phantom, density, project, wandering_alignment

PIXEL_A = 20.0
SHAPE = (96, 90)
TILTS_DEG = [float(tilt) for tilt in range(-60, 61, 3)]
FULL_BAND = ReconstructSettings(thickness_A=64 * PIXEL_A, cutoff=1.0)


def recorded(phantom: Phantom, alignment: Alignment) -> torch.Tensor:
    images = np.stack([project(phantom, view, alignment.shape_yx, alignment.pixel_A) for view in alignment.tilts])
    return torch.from_numpy(images.astype(np.float32))


def views(tilts_deg: list[float], axis_deg: float = 0.0, wander: float = 0.0) -> Alignment:
    return wandering_alignment(
        tilts_deg, pixel_A=PIXEL_A, shape_yx=SHAPE, axis_deg=axis_deg, max_shift_fraction=wander, seed=1
    )


def blob(*zyx_A: float, sigma_A: float = 60.0) -> Phantom:
    return Phantom(np.array([zyx_A]), np.array([sigma_A]), np.array([1.0]))


def full(halves: Halves) -> NDArray[np.float32]:
    return halves.full().numpy()


def correlation(a: NDArray[np.float32], b: NDArray[np.float32]) -> float:
    return float(np.corrcoef(a.ravel(), b.ravel())[0, 1])


@pytest.mark.parametrize("axis_deg", [0.0, -30.0, 85.0])
def test_the_hand_of_the_specimen_is_that_of_the_truth(axis_deg: float) -> None:
    phantom = chiral_phantom((300.0, 350.0, 550.0), sigma_A=50.0)
    alignment = views(TILTS_DEG, axis_deg, wander=0.05)
    volume = full(reconstruct(recorded(phantom, alignment), alignment, FULL_BAND))
    truth = gaussian_filter(density(phantom, volume.shape, PIXEL_A), 1)
    right = correlation(volume, truth)
    # The arms start at the origin; voxel n // 2 is the mirror's fixed point once the first plane is left out.
    mirrored = [correlation(np.flip(volume, axis)[1:, 1:, 1:], truth[1:, 1:, 1:]) for axis in range(3)]
    assert right > 0.6
    assert max(mirrored) < 0.75 * right


def test_with_all_angles_the_density_itself_comes_back() -> None:
    alignment = views([float(tilt) for tilt in range(-90, 90, 3)])
    phantom = blob(120.0, -200.0, 160.0)
    volume = full(reconstruct(recorded(phantom, alignment), alignment, FULL_BAND)) / PIXEL_A
    truth = density(phantom, volume.shape, PIXEL_A)
    peak = np.unravel_index(truth.argmax(), truth.shape)
    assert np.unravel_index(volume.argmax(), volume.shape) == peak
    # 3 %: linear interpolation between columns flattens a peak of sigma 3 px by sinc².
    assert volume[peak] == pytest.approx(truth[peak], rel=0.03)


def test_axis_and_shifts_leave_the_volume_as_it_is() -> None:
    phantom = Phantom(
        np.array([[100.0, 200.0, -150.0], [-150.0, -300.0, 200.0]]), np.array([50.0, 60.0]), np.array([1.0, 0.7])
    )
    still, turned = views(TILTS_DEG), views(TILTS_DEG, axis_deg=23.0, wander=0.06)
    one = full(reconstruct(recorded(phantom, still), still, FULL_BAND))
    other = full(reconstruct(recorded(phantom, turned), turned, FULL_BAND))
    middle = np.s_[:, 12:-12, 12:-12]
    assert correlation(one[middle], other[middle]) > 0.99


def test_halves_take_turns_by_angle_and_the_full_volume_is_their_mean() -> None:
    alignment = views(TILTS_DEG)
    images = recorded(blob(0, 0, 0), alignment)
    halves = reconstruct(images, alignment, FULL_BAND)
    torch.testing.assert_close(halves.full(), (halves.even + halves.odd) / 2)
    images[1::2] = 0
    only_even = reconstruct(images, alignment, FULL_BAND)
    assert float(only_even.odd.abs().max()) == 0
    torch.testing.assert_close(only_even.even, halves.even)


def test_views_left_out_are_not_looked_at() -> None:
    alignment = views(TILTS_DEG)
    images = recorded(blob(0, 0, 0), alignment)
    tilts = tuple(view.replace(used=view.section != 7) for view in alignment.tilts)
    images[7] = float("nan")
    volume = reconstruct(images, alignment.replace(tilts=tilts), FULL_BAND).full()
    assert bool(torch.isfinite(volume).all())


def test_a_gap_of_left_out_views_does_not_streak() -> None:
    """Weights by angle must not let the two views beside a wide gap count for all of it."""
    alignment = views(TILTS_DEG)
    images = recorded(blob(0, 0, 0), alignment)
    gap = tuple(view.replace(used=not 5 < view.section < 15) for view in alignment.tilts)
    volume = full(reconstruct(images, alignment.replace(tilts=gap), FULL_BAND))
    whole = full(reconstruct(images, alignment, FULL_BAND))
    assert volume.max() < whole.max()


def test_binned_volumes_are_the_volume_of_fewer_voxels() -> None:
    alignment = views(TILTS_DEG, axis_deg=10.0)
    images = recorded(blob(100.0, 200.0, -160.0, sigma_A=80.0), alignment)
    fine = reconstruct(images, alignment, FULL_BAND)
    coarse = reconstruct(images, alignment, FULL_BAND.replace(binning=2))
    assert coarse.voxel_A == 2 * PIXEL_A
    assert coarse.even.shape == (32, 48, 45)
    place = np.argwhere(full(coarse) == full(coarse).max())[0] - np.array(coarse.even.shape) // 2
    assert place * 40.0 == pytest.approx([100.0, 200.0, -160.0], abs=21.0)
    # Projections are means over pixels, so a voxel twice as large holds twice the path: half the density a pixel.
    assert full(coarse).max() == pytest.approx(2 * full(fine).max(), rel=0.1)


def test_voxels_that_only_some_views_see_are_brought_to_scale() -> None:
    """A row of blobs beyond the field of the untilted view is in sight at high tilt only."""
    alignment = views(TILTS_DEG)
    wide = FULL_BAND.replace(size_yx=(96, 130))
    outer = full(reconstruct(recorded(blob(0, 0, 50 * PIXEL_A), alignment), alignment, wide))
    inner = full(reconstruct(recorded(blob(0, 0, 0), alignment), alignment, wide))
    assert outer[:, :, 110:120].max() > 0.4 * inner.max()


def test_the_shape_follows_the_images_and_the_axis() -> None:
    assert volume_shape(views(TILTS_DEG), FULL_BAND) == (64, 96, 90)
    assert volume_shape(views(TILTS_DEG, axis_deg=85.0), FULL_BAND) == (64, 90, 96)
    assert volume_shape(views(TILTS_DEG), ReconstructSettings(size_yx=(40, 50), binning=2)) == (16, 40, 50)


@pytest.mark.parametrize(
    ("window", "weighting"),
    [
        ("ramp", "uniform"),
        ("shepp-logan", "cosine"),
        ("cosine", "exact"),
        ("hamming", "radial-sirt"),
        ("hann", "uniform"),
    ],
)
def test_every_filter_finds_the_blob(window: str, weighting: str) -> None:
    alignment = views(TILTS_DEG)
    settings = ReconstructSettings.model_validate(
        {"thickness_A": 640.0, "filter": window, "weighting": weighting, "size_yx": (32, 32)}
    )
    volume = full(reconstruct(recorded(blob(0, 0, 0), alignment), alignment, settings))
    assert tuple(map(int, np.unravel_index(volume.argmax(), volume.shape))) == (16, 16, 16)


def test_what_does_not_belong_together_is_refused() -> None:
    alignment = views(TILTS_DEG)
    with pytest.raises(InputError, match="the stack has 3"):
        reconstruct(torch.zeros((3, *SHAPE)), alignment, FULL_BAND)
    images = torch.zeros((len(TILTS_DEG), *SHAPE))
    alone = tuple(view.replace(used=view.section == 3) for view in alignment.tilts)
    with pytest.raises(InputError, match="at least 2"):
        reconstruct(images, alignment.replace(tilts=alone), FULL_BAND)


def test_a_view_is_seen_where_its_alignment_says() -> None:
    """One view alone smears a blob along its own beam, through the blob's place."""
    phantom = blob(0.0, 240.0, -180.0)
    one = TiltAlignment(section=0, tilt_deg=0.0, axis_deg=0.0, shift_yx_A=(100.0, -60.0))
    alignment = Alignment(pixel_A=PIXEL_A, shape_yx=SHAPE, tilts=(one, one.replace(section=1, tilt_deg=0.5)))
    volume = full(reconstruct(recorded(phantom, alignment), alignment, FULL_BAND))
    _, y, x = np.unravel_index(volume.argmax(), volume.shape)
    assert ((y - 48) * PIXEL_A, (x - 45) * PIXEL_A) == (240.0, -180.0)


def test_many_views_at_one_tilt_do_not_empty_the_volume() -> None:
    """Repeated exposures at one angle share its weight; the median increment of such a series is zero."""
    alignment = views([0.0] * 10 + [-30.0, -15.0, 15.0, 30.0])
    volume = full(reconstruct(recorded(blob(0, 0, 0), alignment), alignment, FULL_BAND))
    assert tuple(map(int, np.unravel_index(volume.argmax(), volume.shape)))[1:] == (48, 45)
    assert volume.max() > 0


@pytest.mark.parametrize("x_tilt_deg", [4.0, None])
def test_an_x_tilt_of_all_or_of_each_view_is_followed(x_tilt_deg: float | None) -> None:
    phantom = Phantom(
        np.array([[500.0, 500.0, -150.0], [-500.0, -500.0, 200.0], [450.0, -550.0, 300.0]]),
        np.full(3, 36.0),
        np.ones(3),
    )
    level = views(TILTS_DEG[::2], axis_deg=12.0, wander=0.03)
    each = np.random.default_rng(0).uniform(-4, 4, len(level.tilts)) if x_tilt_deg is None else None
    tilted = level.replace(
        tilts=tuple(
            view.replace(x_tilt_deg=x_tilt_deg if each is None else each[view.section], magnification=1.01)
            for view in level.tilts
        )
    )
    expected = full(reconstruct(recorded(phantom, level), level, FULL_BAND))
    found = full(reconstruct(recorded(phantom, tilted), tilted, FULL_BAND))
    as_if_level = full(reconstruct(recorded(phantom, tilted), level, FULL_BAND))
    missed, missed_if_level = 1 - correlation(found, expected), 1 - correlation(as_if_level, expected)
    assert missed < 0.06  # with an x-tilt of its own each view also sees another plane of the transform
    assert missed < 0.5 * missed_if_level


def test_slabs_are_the_planes_of_the_volume() -> None:
    alignment = views(TILTS_DEG, axis_deg=10.0, wander=0.05)
    images = recorded(blob(100.0, 200.0, -160.0), alignment)
    volume = reconstruct(images, alignment, FULL_BAND)
    mapped = images.numpy()  # an array is read as a tensor is
    for first, slab in weighted_slabs(mapped, alignment, FULL_BAND, planes=24):
        assert len(slab.even) == min(24, 64 - first)
        planes = slice(first, first + len(slab.even))
        torch.testing.assert_close(slab.even, volume.even[planes], rtol=1e-4, atol=1e-4 * float(volume.even.std()))
        torch.testing.assert_close(slab.odd, volume.odd[planes], rtol=1e-4, atol=1e-4 * float(volume.odd.std()))


def ramp_of_one_tilt(weighting: str) -> ReconstructSettings:
    return ReconstructSettings.model_validate({"weighting": weighting, "cutoff": 1.0, "iterations": 1000})


def test_exact_weights_are_the_ramp_where_views_overlap_and_flat_beyond() -> None:
    """For even steps over all angles, bands of views overlap in number 1 / (depth f step): the inverse is the ramp."""
    step, depth = np.deg2rad(1.0), 100
    tilts = torch.arange(-90, 90, dtype=torch.float64) * step
    frequency = torch.linspace(0, HIGHEST, 4097)
    exact = view_gains(tilts, depth, ramp_of_one_tilt("exact"), 4000)[90]
    ramp = view_gains(tilts, depth, ramp_of_one_tilt("uniform"), 4000)[90]
    low = (frequency > 0.03) & (frequency < 0.1)
    torch.testing.assert_close(exact[low], ramp[low], rtol=0.02, atol=0)
    # From 1 / (depth sin step) on no two views overlap, and each is all that is known there.
    alone = view_gains(tilts[::9], depth, ramp_of_one_tilt("exact"), 4000)[10]
    high = (frequency > 1 / (depth * np.sin(9 * step))) & (frequency < 0.5)
    torch.testing.assert_close(alone[high], torch.full_like(alone[high], 1 / depth))


def test_weights_like_sirt_come_to_the_exact_ones_from_low_frequencies_up() -> None:
    tilts = torch.deg2rad(torch.tensor(TILTS_DEG, dtype=torch.float64))
    exact = view_gains(tilts, 64, ramp_of_one_tilt("exact"), 100)[20]
    before = torch.zeros_like(exact)
    for rounds in (1, 5, 50, 1000):
        gain = view_gains(tilts, 64, ramp_of_one_tilt("radial-sirt").replace(iterations=rounds), 100)[20]
        assert bool((gain >= before - 1e-7).all())
        assert bool((gain <= exact + 1e-7).all())
        share = gain / torch.clamp(exact, min=1e-9)
        assert float(share[10]) >= float(share[2000]) - 1e-4
        before = gain
    torch.testing.assert_close(before, exact, rtol=1e-3, atol=1e-6)


@pytest.mark.parametrize("x_tilt_deg", [0.0, 2.0])
def test_a_sub_volume_is_its_piece_of_the_whole(x_tilt_deg: float) -> None:
    alignment = views(TILTS_DEG, axis_deg=10.0, wander=0.05)
    alignment = alignment.replace(tilts=tuple(view.replace(x_tilt_deg=x_tilt_deg) for view in alignment.tilts))
    voxels = [(0, 0, 0), (-10, 12, 20), (15, -31, 30)]  # the last at the border, where only some views see all
    places = [(z * PIXEL_A, y * PIXEL_A, x * PIXEL_A) for z, y, x in voxels]
    images = recorded(Phantom(np.array(places) + 35.0, np.array([50.0, 60.0, 55.0]), np.ones(3)), alignment)
    whole = reconstruct(images, alignment, FULL_BAND)
    found = list(reconstruct_subvolumes(images.numpy(), alignment, places, (16, 20, 18), FULL_BAND))
    assert [sub.centre_zyx_A for sub in found] == places
    for (z, y, x), sub in zip(voxels, found, strict=True):
        box = np.s_[32 + z - 8 : 32 + z + 8, 48 + y - 10 : 48 + y + 10, 45 + x - 9 : 45 + x + 9]
        for half, expected in ((sub.halves.even, whole.even[box]), (sub.halves.odd, whole.odd[box])):
            # Coverage is known on a coarse grid, which lies elsewhere in each volume.
            assert float((half - expected).abs().max()) < 0.05 * float(whole.even.abs().max())
            assert correlation(half.numpy(), expected.numpy()) > (0.995 if x_tilt_deg == 0 else 0.98)


def test_a_place_between_voxels_is_in_the_middle_of_its_sub_volume() -> None:
    alignment = views(TILTS_DEG, axis_deg=85.0)
    place = (107.0, -251.0, 173.0)
    images = recorded(blob(*place, sigma_A=60.0), alignment)
    (sub,) = reconstruct_subvolumes(images, alignment, [place], (16, 16, 16), FULL_BAND)
    middle = sub.halves.full()[5:12, 5:12, 5:12].clamp(min=0).double()
    total = middle.sum()
    for axis in range(3):
        others = [a for a in range(3) if a != axis]
        offset = (middle.sum(others) * (torch.arange(7) - 3)).sum() / total
        assert abs(float(offset)) < 0.1


def test_sub_volumes_come_in_batches_all_the_same(monkeypatch: pytest.MonkeyPatch) -> None:
    alignment = views(TILTS_DEG[::4])
    images = recorded(blob(0, 0, 0), alignment)
    places = [(0.0, 20.0 * i, 0.0) for i in range(5)]
    at_once = list(reconstruct_subvolumes(images, alignment, places, (8, 8, 8), FULL_BAND))
    monkeypatch.setattr("eucentric.processing.reconstruction.subvolumes._PIECES_BYTES", 12_000)
    for one, other in zip(
        at_once, reconstruct_subvolumes(images, alignment, places, (8, 8, 8), FULL_BAND), strict=True
    ):
        assert torch.equal(one.halves.even, other.halves.even)
        assert one.index == other.index


def test_sub_volumes_that_make_no_sense_are_refused() -> None:
    alignment = views(TILTS_DEG)
    images = torch.zeros((len(TILTS_DEG), *SHAPE))
    for places, size, options, said in (
        ([(0.0, 0.0, 0.0)], (4, 8, 8), FULL_BAND, "too small"),
        ([(0.0, 0.0, 0.0), (0.0, float("nan"), 0.0)], (8, 8, 8), FULL_BAND, "Place 2"),
        ([(0.0, 0.0, 0.0)], (8, 8, 8), FULL_BAND.replace(method="sirt"), "SIRT"),
    ):
        with pytest.raises(InputError, match=said):
            list(reconstruct_subvolumes(images, alignment, places, size, options))


def test_both_forms_of_coverage_are_the_same() -> None:
    alignment = views(TILTS_DEG, axis_deg=30.0, wander=0.1)
    images = torch.zeros((len(TILTS_DEG), *SHAPE))
    rays = rays_of(images, alignment, 1)
    coverage = Coverage(rays, [1.0] * len(rays), (21, 96, 101), SHAPE)
    found, other = torch.ones((11, 96, 101)), torch.ones((11, 96, 101))
    coverage.apply(found, 10)
    apply_torch(torch.from_numpy(coverage.scale), 10, other)
    torch.testing.assert_close(found, other, rtol=1e-5, atol=1e-5)
    assert float(found.max()) > 1.3
    assert float(found[5, 48, 50]) == 1
