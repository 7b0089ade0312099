"""Spectra of tiles: noise has its variance, planes vanish, tiles lie where they are said to."""

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from eucentric.core import InputError
from eucentric.processing.ctf import tile_spectra
from eucentric.processing.ctf.spectra import field_spectrum


def noise(rows: int, columns: int, seed: int = 0) -> torch.Tensor:
    return torch.randn((rows, columns), generator=torch.Generator().manual_seed(seed))


@pytest.mark.parametrize("shape", [(512, 512), (513, 700), (100, 600), (40, 41)])
def test_white_noise_has_its_variance(shape: tuple[int, int]) -> None:
    power = tile_spectra(3 * noise(*shape), 64).power[:, 8:-8, 4:-1]
    # Half-overlapping tiles, tapered: the scatter of the mean is at most that of half as many independent values.
    assert float(power.mean()) == pytest.approx(9, rel=6 * (power.numel() / 8) ** -0.5)
    whole = field_spectrum(3 * noise(*shape), 0.1)[4:-4, 4:-1]
    assert float(whole.mean()) == pytest.approx(9, rel=6 * (whole.numel() / 2) ** -0.5)


@given(
    shape=st.tuples(st.integers(1, 150), st.integers(1, 150)),
    tile=st.integers(2, 70),
    step=st.one_of(st.none(), st.integers(5, 80)),
)
def test_tiles_cover_the_image_and_say_where_they_are(shape: tuple[int, int], tile: int, step: int | None) -> None:
    spectra = tile_spectra(noise(*shape), tile, step_px=step)
    assert spectra.power.shape == (len(spectra.centres_yx_px), tile, tile // 2 + 1)
    assert bool(torch.isfinite(spectra.power).all())
    for axis, size in enumerate(shape):
        side = min(size, tile)
        starts = np.unique(spectra.centres_yx_px[:, axis]) + size // 2 - side // 2
        assert starts[0] == 0
        assert starts[-1] == size - side
        assert (np.diff(starts) <= (step or max(1, tile // 2))).all()


def test_a_tile_is_the_part_of_the_image_about_its_centre() -> None:
    image = torch.zeros(300, 400)
    image[200:232, 100:132] = noise(32, 32)
    spectra = tile_spectra(image, 32, step_px=4)
    strongest = int(spectra.power.sum(dim=(1, 2)).argmax())
    assert spectra.centres_yx_px[strongest] == pytest.approx((216 - 150, 116 - 200), abs=4)


def test_a_slope_leaves_no_trace() -> None:
    y, x = torch.meshgrid(torch.arange(200.0), torch.arange(300.0), indexing="ij")
    flat = noise(200, 300)
    sloped = flat + 100 + 3 * y - 2 * x
    torch.testing.assert_close(tile_spectra(sloped, 64).power, tile_spectra(flat, 64).power, atol=0.01, rtol=0.01)
    # Over the whole field, one plane is taken out of both.
    torch.testing.assert_close(field_spectrum(sloped, 0.1), field_spectrum(flat, 0.1), atol=0.01, rtol=0.01)


def test_a_wave_is_where_a_real_transform_has_it() -> None:
    wave = torch.cos(2 * torch.pi * (5 * torch.arange(64)[:, None] + 9 * torch.arange(64)[None]) / 64)
    power = tile_spectra(wave, 64).power[0]
    assert divmod(int(power.argmax()), 33) == (5, 9)


def test_what_has_no_tiles_is_refused() -> None:
    with pytest.raises(InputError, match="one image"):
        tile_spectra(torch.zeros(2, 64, 64), 32)
    with pytest.raises(InputError, match="at least two"):
        tile_spectra(torch.zeros(64, 64), 1)
