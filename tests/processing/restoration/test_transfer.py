"""What a tomogram holds of its specimen, against the spread of a point by our own reconstruction."""

import numpy as np
import pytest
import torch

from eucentric.core import Alignment, TiltAlignment
from eucentric.processing.reconstruction import ReconstructSettings, reconstruct
from eucentric.processing.restoration import transfer

SIDE = 48
TILTS_DEG = [float(a) for a in range(-60, 61, 3)]


def point_spread(tilts_deg: list[float], side: int = SIDE) -> torch.Tensor:
    """Reconstruct a point in the middle from its views, in a field that shows no border."""
    wide = 3 * side
    images = torch.zeros(len(tilts_deg), wide, wide)
    images[:, wide // 2, wide // 2] = 1
    views = tuple(TiltAlignment(section=i, tilt_deg=a, axis_deg=0.0) for i, a in enumerate(tilts_deg))
    settings = ReconstructSettings(thickness_A=float(side), size_yx=(side, side), cutoff=1.0, falloff=0.0)
    return reconstruct(images, Alignment(pixel_A=1.0, shape_yx=(wide, wide), tilts=views), settings).full()


def test_it_is_the_spectrum_of_a_reconstructed_point() -> None:
    spread = np.fft.ifftshift(point_spread(TILTS_DEG).numpy())
    measured = np.fft.rfftn(spread).real
    expected = transfer((SIDE,) * 3, 1.0, TILTS_DEG).numpy()
    k = np.sqrt(sum(a**2 for a in np.meshgrid(*[np.fft.fftfreq(SIDE)] * 2, np.fft.rfftfreq(SIDE), indexing="ij")))
    band = (k > 0.03) & (k < 0.3)  # interpolation of the back-projection takes from what is finer
    assert np.corrcoef(measured[band], expected[band])[0, 1] > 0.95
    for low, high in ((0.03, 0.1), (0.1, 0.2), (0.2, 0.3)):
        shell = (k > low) & (k < high)
        assert measured[shell].mean() == pytest.approx(expected[shell].mean(), rel=0.08)


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
