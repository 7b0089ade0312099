"""What a tomogram holds of its specimen, against the spread of a point by our own reconstruction."""

from dataclasses import replace

import numpy as np
import pytest
import torch

from eucentric.core import Alignment, TiltAlignment
from eucentric.processing.reconstruction import Halves, ReconstructSettings, reconstruct
from eucentric.processing.restoration import HalfTomograms, split_views, transfer
from eucentric.processing.restoration.spectra import radius
from eucentric.processing.restoration.transfer import grain, share_in_field

SIDE = 48
WIDE = 3 * SIDE
TILTS_DEG = [float(a) for a in range(-60, 61, 3)]


def point_spread(tilts_deg: list[float]) -> Halves:
    """Reconstruct a point in the middle from its views, in a field that shows no border."""
    images = torch.zeros(len(tilts_deg), WIDE, WIDE)
    images[:, WIDE // 2, WIDE // 2] = 1
    return of_views(images, tilts_deg)


def of_views(images: torch.Tensor, tilts_deg: list[float]) -> Halves:
    views = tuple(TiltAlignment(section=i, tilt_deg=a, axis_deg=0.0) for i, a in enumerate(tilts_deg))
    settings = ReconstructSettings(thickness_A=float(SIDE), size_yx=(SIDE, SIDE), cutoff=1.0, falloff=0.0)
    return reconstruct(images, Alignment(pixel_A=1.0, shape_yx=(WIDE, WIDE), tilts=views), settings)


def frequency() -> np.ndarray:
    axes = np.meshgrid(*[np.fft.fftfreq(SIDE)] * 2, np.fft.rfftfreq(SIDE), indexing="ij")
    return np.asarray(np.sqrt(sum(a**2 for a in axes)))


@pytest.mark.parametrize("of", ["all", "even", "odd"])
def test_it_is_the_spectrum_of_a_reconstructed_point(of: str) -> None:
    halves, counts = point_spread(TILTS_DEG), None
    if of != "all":
        counts = pair_of(halves).counts[of == "odd"]
    spread = {"all": halves.full(), "even": halves.even, "odd": halves.odd}[of]
    measured = np.fft.rfftn(np.fft.ifftshift(spread.numpy())).real
    expected = transfer((SIDE,) * 3, 1.0, TILTS_DEG, counts=counts).numpy()
    k = frequency()
    band = (k > 0.03) & (k < 0.3)  # interpolation of the back-projection takes from what is finer
    assert np.corrcoef(measured[band], expected[band])[0, 1] > (0.95 if of == "all" else 0.92)
    for low, high in ((0.03, 0.1), (0.1, 0.2), (0.2, 0.3)):
        shell = (k > low) & (k < high)
        assert measured[shell].mean() == pytest.approx(expected[shell].mean(), rel=0.08 if of == "all" else 0.12)


@pytest.mark.parametrize("depth", [12, 48, 96])
def test_a_view_has_as_much_from_beyond_the_field_as_its_rays_pass_there(depth: int) -> None:
    """Half of it, since views cancel some: counted out on rays, each as often as voxels of the field lie on it."""
    for tilt_deg in (0.0, 20.0, 60.0):
        tilt = np.deg2rad(tilt_deg)
        z = (np.arange(400) + 0.5) / 400 * depth - depth / 2
        across = np.linspace(-1, 1, 801) * (SIDE + depth)
        within = (np.abs(across[:, None] - z * np.sin(tilt)) < SIDE / 2 * np.cos(tilt)).mean(axis=1)
        beyond = (within * (1 - within)).sum() / (within**2).sum()
        share = share_in_field((1, 1, 1), [tilt_deg], (depth, SIDE))
        assert float(share) == pytest.approx(1 / (1 + beyond / 2), abs=0.01)


def test_no_share_is_taken_where_nothing_was_measured_or_the_field_is_wide() -> None:
    share = share_in_field((SIDE,) * 3, TILTS_DEG, (SIDE, SIDE))
    seen = transfer((SIDE,) * 3, 1.0, TILTS_DEG)
    assert torch.equal(share[seen == 0], torch.ones(int((seen == 0).sum())))
    assert float(share.min()) < 0.75
    assert float(share_in_field((SIDE,) * 3, TILTS_DEG, (SIDE, 100 * SIDE)).min()) > 0.99


def pair_of(halves: Halves) -> HalfTomograms:
    """Return halves of tilts, with what is known of them."""
    even_views = tuple(range(0, len(TILTS_DEG), 2))
    return HalfTomograms("noise", halves.even.numpy(), halves.odd.numpy(), 1.0, tuple(TILTS_DEG), None, even_views)


@pytest.fixture(scope="module")
def noise() -> Halves:
    drawn = np.random.default_rng(1).standard_normal((len(TILTS_DEG), WIDE, WIDE), dtype=np.float32)
    return of_views(torch.from_numpy(drawn), TILTS_DEG)


def test_grain_is_where_reconstructed_noise_lies(noise: Halves) -> None:
    k, window = frequency(), np.hanning(SIDE)
    soft = window[:, None, None] * window[:, None] * window
    for half, counts in zip((noise.even, noise.odd), pair_of(noise).counts, strict=True):
        power = np.abs(np.fft.rfftn(half.numpy() * soft)) ** 2
        expected = grain((SIDE,) * 3, TILTS_DEG, counts=counts).numpy()
        band = (k > 0.05) & (k < 0.3)
        by_cell = [values.mean(axis=1) for values in (power * band, expected * band)]  # alike for all rows
        assert np.corrcoef(by_cell[0].ravel(), by_cell[1].ravel())[0, 1] > 0.85
        foreign = band & (expected < 0.1 * expected[band].mean())
        assert power[foreign].mean() < 0.35 * power[band].mean()


def test_grain_is_per_voxel_whatever_the_block() -> None:
    counts = [2.0 if view % 2 == 0 else 0.0 for view in range(len(TILTS_DEG))]
    whole = [grain((side,) * 3, TILTS_DEG, counts=counts) for side in (48, 96)]
    seen = [transfer((side,) * 3, 1.0, TILTS_DEG, counts=counts) for side in (48, 96)]
    for low, high in ((0.1, 0.2), (0.2, 0.4)):
        small, large = (
            float((one * (through > 0))[(k > low) & (k < high)].mean())
            for one, through, k in zip(whole, seen, (radius(48), radius(96)), strict=True)
        )
        assert small == pytest.approx(large, rel=0.15)


def test_halves_of_tilts_are_told_by_where_their_noise_lies(noise: Halves) -> None:
    pair = pair_of(noise)
    assert split_views(replace(pair, even_views=None)) == pair.even_views
    swapped = replace(pair, even=pair.odd, odd=pair.even, even_views=None)
    assert split_views(swapped) == tuple(range(1, len(TILTS_DEG), 2))
    shuffled = np.random.default_rng(2).permutation(len(TILTS_DEG))  # a list need not be sorted
    listed = replace(pair, tilts_deg=tuple(TILTS_DEG[i] for i in shuffled), even_views=None)
    assert split_views(listed) == tuple(i for i, view in enumerate(shuffled) if view % 2 == 0)


def test_halves_of_frames_are_not_taken_for_halves_of_tilts(noise: Halves) -> None:
    full, random = noise.full().numpy(), np.random.default_rng(3)
    even, odd = (full + random.normal(0, 0.3 * full.std(), full.shape).astype(np.float32) for _ in range(2))
    assert split_views(HalfTomograms("frames", even, odd, 1.0, tuple(TILTS_DEG))) is None


def test_nothing_is_seen_beyond_the_last_tilt() -> None:
    seen = transfer((SIDE,) * 3, 10.0, TILTS_DEG)
    kz, kx = torch.fft.fftfreq(SIDE)[:, None], torch.fft.rfftfreq(SIDE)
    steep = torch.atan2(kz.abs(), kx) > np.deg2rad(70)
    far = torch.hypot(kz, kx) > 0.15
    assert float(seen.permute(1, 0, 2)[:, steep & far].max()) == 0
    assert float(seen.permute(1, 0, 2)[:, (~steep) & (torch.atan2(kz.abs(), kx) < np.deg2rad(58)) & far].min()) > 0


def test_where_planes_overlap_all_is_seen() -> None:
    seen = transfer((SIDE,) * 3, 10.0, TILTS_DEG)
    low = seen[:4, :, 1:4]
    assert float(low[:1].mean()) == pytest.approx(1.0, abs=0.05)
    assert float(seen[0, 0, 0]) == pytest.approx(1.0, abs=1e-5)


def test_what_a_view_lets_through_multiplies_it() -> None:
    whole = transfer((32,) * 3, 10.0, TILTS_DEG)
    half = transfer((32,) * 3, 10.0, TILTS_DEG, lambda k: torch.full((len(TILTS_DEG), len(k)), 0.5))
    torch.testing.assert_close(half, whole / 2)
    one = transfer((32,) * 3, 10.0, TILTS_DEG, lambda k: (torch.tensor(TILTS_DEG) == 0)[:, None] * torch.ones(len(k)))
    kz = torch.fft.fftfreq(32)
    assert float(one[kz.abs() > 1 / 32 + 1e-6].abs().max()) == 0  # only the plane of the untilted view is left


def test_the_order_of_tilts_does_not_matter() -> None:
    torch.testing.assert_close(
        transfer((32,) * 3, 10.0, TILTS_DEG), transfer((32,) * 3, 10.0, [*TILTS_DEG[20:], *TILTS_DEG[:20][::-1]])
    )


def test_gains_of_another_series_are_refused() -> None:
    with pytest.raises(ValueError, match="41 views"):
        transfer((32,) * 3, 10.0, TILTS_DEG, lambda k: torch.ones(3, len(k)))
