"""Sums of moved frames: laws, and the truth behind them."""

import numpy as np
import pytest
import torch
from motion_cases import PIXEL_A, blobs, shifted

from eucentric.core import InputError
from eucentric.processing.dose_weighting import accumulated_e_A2, dose_weights
from eucentric.processing.motion import LocalField, MotionTrack, sum_movie

SHIFTS_A = ((0.0, 0.0), (3.1, -1.7), (5.0, 2.4))
EXPOSURES = accumulated_e_A2(60.0, 3.0, 3)


def _track(shifts: tuple[tuple[float, float], ...] = SHIFTS_A, local: LocalField | None = None) -> MotionTrack:
    n = len(shifts)
    return MotionTrack(frames=tuple(range(n)), shifts_yx_A=shifts, sigma_A=(0.1,) * n, local=local)


def _frames(size: int = 96) -> list[torch.Tensor]:
    image = 5 + blobs(size)
    return [torch.from_numpy(shifted(image, np.array(s) / PIXEL_A).astype(np.float32)) for s in SHIFTS_A]


@pytest.mark.parametrize("size", [96, 95])
def test_moved_frames_fall_onto_each_other(size: int) -> None:
    sums = sum_movie(_frames(size), _track(), PIXEL_A)
    even_number = size % 2 == 0  # a lone Nyquist line cannot be moved by parts of a pixel
    np.testing.assert_allclose(sums.weighted, 3 * (5 + blobs(size)), atol=0.1 if even_number else 2e-3)
    np.testing.assert_allclose(sums.unweighted, sums.weighted, atol=1e-4)


def test_halves_are_the_whole() -> None:
    sums = sum_movie(_frames(), _track(), PIXEL_A, accumulated_e_A2=EXPOSURES)
    torch.testing.assert_close(sums.even + sums.odd, sums.weighted)
    assert float(sums.even.mean()) == pytest.approx(10, rel=1e-5)
    assert float(sums.odd.mean()) == pytest.approx(5, rel=1e-5)


def test_each_frame_has_exactly_its_weight() -> None:
    """A single wave in one frame only comes out times the formula."""
    size, waves = 64, 12
    k = waves / (size * PIXEL_A)
    wave = torch.from_numpy(np.cos(2 * np.pi * waves * np.arange(size) / size)[None].repeat(size, 0).astype(np.float32))
    for which in range(3):
        frames = [wave if frame == which else torch.zeros(size, size) for frame in range(3)]
        sums = sum_movie(frames, _track(((0.0, 0.0),) * 3), PIXEL_A, accumulated_e_A2=EXPOSURES)
        expected = np.exp(-EXPOSURES[which] / (2 * (0.245 * k**-1.665 + 2.81)))
        np.testing.assert_allclose(sums.weighted, expected * wave, atol=2e-6)
        mean = np.mean([np.exp(-e / (2 * (0.245 * k**-1.665 + 2.81))) for e in EXPOSURES])
        np.testing.assert_allclose(sums.unweighted, expected / mean * wave, atol=1e-5)


def test_local_movement_is_undone() -> None:
    """Frames warped by a known field, summed with it, are the image; without it they are not."""
    from eucentric.processing.operators import spline_coefficients, warp

    size, step = 192, 32
    field = LocalField(
        shape_yx=(3, 3),
        field_yx_A=(size * PIXEL_A, size * PIXEL_A),
        time=((-1.0,), (0.0,), (1.0,)),
        control_yx_A=(tuple((3.0 * ((c % 3) - 1), 2.0 * ((c // 3) - 1)) for c in range(9)),),
    )
    image = torch.from_numpy(blobs(size).astype(np.float32))
    grid = np.stack(np.meshgrid(*[np.arange(7) * step - size // 2] * 2, indexing="ij"), axis=-1) * PIXEL_A
    frames = []
    for frame in range(3):
        # The value at q is that of the place p with p + d(p) = q; d is so smooth that d(q) serves for d(p).
        back = -field.displacement_yx_A(grid, frame) / PIXEL_A
        frames.append(warp(spline_coefficients(image), back, step))
    still = ((0.0, 0.0),) * 3
    inner = (slice(16, -16), slice(16, -16))
    left = {
        name: float((sum_movie(frames, _track(still, local), PIXEL_A).weighted - 3 * image)[inner].std())
        for name, local in (("global", None), ("local", field))
    }
    assert left["local"] < 0.25 * left["global"]


def test_the_local_way_and_the_plain_one_agree() -> None:
    none = LocalField(shape_yx=(3, 3), field_yx_A=(192.0, 192.0), time=((1.0,),) * 3, control_yx_A=(((0.0, 0.0),) * 9,))
    plain = sum_movie(_frames(), _track(), PIXEL_A, accumulated_e_A2=EXPOSURES)
    local = sum_movie(_frames(), _track(local=none), PIXEL_A, accumulated_e_A2=EXPOSURES)
    for name in ("weighted", "even", "odd", "unweighted"):
        inner = (slice(12, -12), slice(12, -12))  # the plain way is periodic, the local one mirrors
        torch.testing.assert_close(getattr(local, name)[inner], getattr(plain, name)[inner], atol=5e-3, rtol=0)


def test_frames_and_track_must_belong_together() -> None:
    frames = _frames()
    with pytest.raises(InputError, match="track is of 3 frames, and 2 were given"):
        sum_movie(frames[:2], _track(), PIXEL_A)
    with pytest.raises(InputError, match="and more were given"):
        sum_movie([*frames, frames[0]], _track(), PIXEL_A)
    with pytest.raises(InputError, match="2 exposures were given for 3 frames"):
        sum_movie(frames, _track(), PIXEL_A, accumulated_e_A2=(1.0, 2.0))
    with pytest.raises(InputError, match="Frame 1 has"):
        sum_movie([frames[0], frames[0][:50], frames[0]], _track(), PIXEL_A)


def test_weights_of_the_formula() -> None:
    k = np.array([0.0, 0.05, 0.1, 0.25])
    weights = dose_weights(k, (30.0,))[0]
    np.testing.assert_allclose(weights, [1, np.exp(-30 / 77.4), np.exp(-30 / 28.28), np.exp(-30 / 10.548)], rtol=2e-3)
    at_200 = dose_weights(k, (30.0,), 200.0)[0]
    np.testing.assert_allclose(at_200, weights ** (1 / 0.8), rtol=1e-6)
    b_factor = dose_weights(k, (30.0,), model="b-factor")[0]
    np.testing.assert_allclose(b_factor, np.exp(-30 * k**2))
    kept = dose_weights(k, (10.0, 50.0), keep_noise=True)
    np.testing.assert_allclose(np.mean(np.square(kept), axis=0), 1)


def test_exposure_by_the_middle_of_each_frame() -> None:
    assert accumulated_e_A2(10.0, 4.0, 2) == (11.0, 13.0)
    with pytest.raises(InputError, match="cannot be weighed"):
        accumulated_e_A2(-1.0, 4.0, 2)
    with pytest.raises(InputError, match="without frames"):
        accumulated_e_A2(1.0, 4.0, 0)
