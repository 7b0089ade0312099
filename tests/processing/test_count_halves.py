"""Halves of counts: their noise does not go together, what they show does, and what is not counts is refused."""

from pathlib import Path
from typing import Literal

import numpy as np
import pytest
import torch
from numpy.typing import NDArray
from scipy import ndimage
from torch import Tensor

from eucentric.core import InputError
from eucentric.io import load_series
from eucentric.processing.count_halves import splitting_noise

SIDE = 384


def expected(light: float = 30.0) -> NDArray[np.float64]:
    """A side four times as bright as the other, and waves of 12 pixels with a tenth of the contrast."""
    y, x = np.indices((SIDE, SIDE))
    bright = 1 + 0.6 * np.cos(np.pi * x / SIDE)
    return np.asarray(light * bright * (1 + 0.1 * np.cos(2 * np.pi * (0.6 * x + 0.8 * y) / 12)))


def counted(seed: int, light: float = 30.0) -> Tensor:
    return torch.from_numpy(np.random.default_rng(seed).poisson(expected(light)).astype(np.float32))


def rings(a: Tensor, b: Tensor, low: float, high: float) -> float:
    """Correlation of two images over frequencies (cycles per pixel)."""
    ky, kx = torch.fft.fftfreq(a.shape[0])[:, None], torch.fft.rfftfreq(a.shape[1])[None]
    within = (torch.hypot(ky, kx) > low) & (torch.hypot(ky, kx) <= high)
    one, other = (torch.fft.rfft2(image - image.mean())[within] for image in (a, b))
    return float((one * other.conj()).real.sum() / (one.abs().square().sum() * other.abs().square().sum()).sqrt())


@pytest.mark.parametrize("light", [3.0, 30.0])
def test_noise_of_the_halves_does_not_go_together_where_it_is_bright_or_dark(light: float) -> None:
    images = torch.stack([counted(seed, light) for seed in range(4)])
    noise = splitting_noise(images)
    even, odd = (images + sign * noise - torch.from_numpy(expected(light)).float() for sign in (1, -1))
    for part in (slice(0, 150), slice(-150, None)):
        one, other = even[..., part].flatten(), odd[..., part].flatten()
        shared = float((one * other).mean() / (one.square().mean() * other.square().mean()).sqrt())
        assert abs(shared) < 0.02  # the strength is told from a fifth of the frequencies of a view
        assert float(one.var()) == pytest.approx(2 * float(torch.from_numpy(expected(light))[:, part].mean()), rel=0.03)


def test_halves_show_what_the_image_shows_and_their_mean_is_the_image() -> None:
    image = counted(0)[None]
    noise = splitting_noise(image)
    torch.testing.assert_close(((image + noise) + (image - noise)) / 2, image)
    assert rings((image + noise)[0], (image - noise)[0], 0.075, 0.09) > 0.8  # of the waves
    assert abs(rings((image + noise)[0], (image - noise)[0], 0.3, 0.5)) < 0.03


@pytest.mark.parametrize(("scale", "offset"), [(0.01, 0.0), (3.0, -500.0)])
def test_units_and_offset_of_the_counts_do_not_matter(scale: float, offset: float) -> None:
    image = counted(1)[None]
    torch.testing.assert_close(
        splitting_noise(scale * image + offset) / scale, splitting_noise(image), rtol=0, atol=0.01
    )


def test_the_same_seed_draws_the_same_and_each_view_its_own() -> None:
    images = torch.stack([counted(2), counted(2)])
    one = splitting_noise(images, seed=5)
    assert torch.equal(one, splitting_noise(images, seed=5))
    assert not torch.equal(one, splitting_noise(images, seed=6))
    assert abs(float(torch.corrcoef(one.flatten(1))[0, 1])) < 0.01


def test_a_view_that_is_left_out_has_no_noise() -> None:
    noise = splitting_noise(torch.stack([torch.zeros(SIDE, SIDE), counted(3)]))
    assert not noise[0].any()
    assert noise[1].any()


@pytest.mark.parametrize("order", [1, 3])
def test_views_that_were_shifted_between_pixels_are_refused(order: Literal[1, 3]) -> None:
    moved = ndimage.shift(counted(4).numpy(), (0.3, 0.4), order=order, mode="mirror")
    with pytest.raises(InputError, match="resampled") as raised:
        splitting_noise(torch.from_numpy(moved)[None])
    assert "halves of tilts" in str(raised.value.fix)


def test_a_real_series_is_counts_and_its_halves_agree_on_its_rings(real_data: Path) -> None:
    images = torch.from_numpy(
        np.array(load_series(real_data / "empiar-10499-ts01" / "ts01.mrc").images[::10], dtype=np.float32)
    )
    noise = splitting_noise(images)
    strength = noise.var((1, 2)) / images.mean((1, 2))
    assert float(strength.std() / strength.mean()) < 0.05  # as of counts: a share of the mean, at every tilt
    for image, own in zip(images, noise, strict=True):
        assert rings(image + own, image - own, 0.2, 0.3) > 0.08  # the first ring of its CTF, 50 to 33 Å
        assert abs(rings(image + own, image - own, 0.48, 0.52)) < 0.05  # the zero after it
