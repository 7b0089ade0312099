import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray
from scipy import ndimage
from torch import Tensor

from eucentric.core import TiltAlignment
from eucentric.processing.alignment.matcher import turn_matrix
from eucentric.processing.operators import _resampler_torch, resample, spline_coefficients

IDENTITY = np.array([[1.0, 0.0, 0.0], [0.0, 1.0, 0.0]])
SHAPES = st.tuples(st.integers(4, 24), st.integers(4, 24))


def images(shape: tuple[int, ...], seed: int, smooth: float = 0.0) -> Tensor:
    noise = np.random.default_rng(seed).standard_normal(shape)
    blurred = ndimage.gaussian_filter(noise, (0, smooth, smooth), mode="mirror") if smooth else noise
    return torch.from_numpy(blurred.astype(np.float32))


def maps(*matrices: NDArray[np.float64]) -> Tensor:
    return torch.from_numpy(np.stack(matrices))


@st.composite
def affine(draw: st.DrawFn) -> NDArray[np.float64]:
    turn_deg, scale = draw(st.floats(-180, 180)), draw(st.floats(0.7, 1.4))
    shift = draw(st.tuples(st.floats(-6, 6), st.floats(-6, 6)))
    return np.column_stack([scale * turn_matrix(turn_deg).numpy(), shift])


@given(SHAPES, st.integers(0, 1000))
@settings(max_examples=30, deadline=None)
def test_identity_gives_the_pixels_back_away_from_the_border(shape: tuple[int, int], seed: int) -> None:
    image = images((2, *shape), seed)
    same = resample(spline_coefficients(image), maps(IDENTITY, IDENTITY), shape)
    torch.testing.assert_close(same[:, 1:-1, 1:-1], image[:, 1:-1, 1:-1], rtol=1e-4, atol=1e-4)


@given(st.integers(-5, 5), st.integers(-5, 5), SHAPES, SHAPES)
@settings(max_examples=40, deadline=None)
def test_whole_shifts_move_pixels_between_the_centres(
    y: int, x: int, shape: tuple[int, int], new_shape: tuple[int, int]
) -> None:
    image = images((1, *shape), 5)
    moved = resample(spline_coefficients(image), maps(np.column_stack([np.eye(2), (y, x)])), new_shape)[0]
    for row in range(new_shape[0]):
        for column in range(new_shape[1]):
            from_row = row - new_shape[0] // 2 + y + shape[0] // 2
            from_column = column - new_shape[1] // 2 + x + shape[1] // 2
            if 1 <= from_row < shape[0] - 1 and 1 <= from_column < shape[1] - 1:
                assert float(moved[row, column]) == pytest.approx(float(image[0, from_row, from_column]), abs=1e-4)
            elif not (0 <= from_row < shape[0] and 0 <= from_column < shape[1]):
                assert float(moved[row, column]) == 0


@pytest.mark.parametrize(
    ("ky", "kx", "kept"), [(0.3, -0.35, 1.0), (0.0, 0.45, 1.0), (0.4, 0.35, 0.0), (-0.45, 0.4, 0.0)]
)
def test_corners_of_the_transform_are_left_out_of_images_to_be_turned(ky: float, kx: float, kept: float) -> None:
    """Turned by 45°, (0.4, 0.35) cycles per pixel are 0.53 along one axis, which pixels take for 0.47."""
    y, x = torch.meshgrid(torch.arange(20), torch.arange(40), indexing="ij")
    wave = torch.cos(2 * torch.pi * (ky * y + kx * x))[None]
    same = spline_coefficients(wave, to_be_turned=True)
    torch.testing.assert_close(same, kept * spline_coefficients(wave), rtol=0, atol=1e-4)


@given(affine(), st.integers(0, 1000))
@settings(max_examples=30, deadline=None)
def test_scipy_agrees_in_the_interior(matrix: NDArray[np.float64], seed: int) -> None:
    image = images((1, 40, 45), seed)
    ours = resample(spline_coefficients(image), maps(matrix), (33, 30))[0].numpy()
    linear = matrix[:, :2]
    offset = matrix @ (-16, -15, 1) + (20, 22)
    theirs = ndimage.affine_transform(
        image[0].double().numpy(), linear, offset, output_shape=(33, 30), order=3, mode="mirror"
    )
    new = np.mgrid[:33, :30].reshape(2, -1)
    y, x = (linear @ new + offset[:, None]).reshape(2, 33, 30)
    # The two differ in how a border goes on; the pole is -0.268, and 0.268**8 is 3e-5.
    inside = (y >= 8) & (y <= 31) & (x >= 8) & (x <= 36)
    np.testing.assert_allclose(ours[inside], theirs[inside], atol=5e-4)


@given(st.lists(affine(), min_size=1, max_size=3), SHAPES, SHAPES, st.sampled_from((0.0, 0.7, 5.0, 60.0)))
@settings(max_examples=60, deadline=None)
def test_cpu_and_gpu_forms_agree(
    matrices: list[NDArray[np.float64]], shape: tuple[int, int], new_shape: tuple[int, int], margin: float
) -> None:
    coefficients = spline_coefficients(images((len(matrices), *shape), 9))
    ours = resample(coefficients, maps(*matrices), new_shape, margin_px=margin)
    other = torch.full_like(ours, torch.nan)
    _resampler_torch.resample(coefficients, np.stack(matrices), margin, other)
    # Without a margin the image ends at a step, and rounding decides for places exactly on it.
    close = torch.isclose(ours, other, rtol=1e-4, atol=1e-4)
    if margin:
        assert close.all()
    else:
        assert (close | (ours == 0) | (other == 0)).all()
        assert close.double().mean() > 0.9


@given(st.floats(-180, 180), st.floats(-180, 180))
@settings(max_examples=20, deadline=None)
def test_turning_twice_is_turning_by_the_sum(first_deg: float, second_deg: float) -> None:
    image = images((1, 61, 61), 2, smooth=2.5)
    image /= image.std()

    def turned(what: Tensor, angle_deg: float) -> Tensor:
        matrix = np.column_stack([turn_matrix(angle_deg).numpy(), (0.0, 0.0)])
        return resample(spline_coefficients(what), maps(matrix), (61, 61), margin_px=20)

    twice, once = turned(turned(image, first_deg), second_deg), turned(image, first_deg + second_deg)
    y, x = np.mgrid[-30:31, -30:31]
    assert float((twice - once)[0][torch.from_numpy(np.hypot(y, x) < 20)].abs().max()) < 0.02


def test_beyond_the_border_the_mirror_image_fades() -> None:
    image = images((1, 20, 24), 4, smooth=1.5) + 10
    wide = resample(spline_coefficients(image), maps(IDENTITY), (60, 24), margin_px=8.0)[0]
    start = 30 - 10
    inside = slice(2, -2)
    for beyond in range(1, 20):
        gain = 0.5 + 0.5 * np.cos(np.pi * (beyond - 0.5) / 8) if beyond < 8.5 else 0.0
        expected = gain * image[0, beyond, inside] if beyond < 20 else torch.zeros(20)
        torch.testing.assert_close(wide[start - beyond, inside], expected, rtol=0.03, atol=1e-3)


@pytest.mark.parametrize("n", [15, 16])
def test_a_single_row_or_column_is_resampled_too(n: int) -> None:
    image = images((1, 1, n), 3)
    same = resample(spline_coefficients(image), maps(IDENTITY), (1, n))
    torch.testing.assert_close(same[..., 1:-1], image[..., 1:-1], rtol=1e-4, atol=1e-4)


@given(st.floats(-400, 400))
def test_the_turn_to_the_tilt_axis_has_the_sign_of_the_frames(axis_deg: float) -> None:
    in_plane = TiltAlignment(section=0, tilt_deg=0.0, axis_deg=axis_deg).sample2image().linear[1:, 1:]
    np.testing.assert_allclose(turn_matrix(axis_deg).numpy(), in_plane, atol=1e-12)


@pytest.mark.parametrize("axis_deg", [0.0, 30.0, -84.0, 170.0])
def test_an_aligned_image_shows_a_specimen_point_where_the_specimen_has_it(axis_deg: float) -> None:
    shift, place = (3.2, -4.6), (6.0, 5.0)
    _, y, x = TiltAlignment(section=0, tilt_deg=0.0, axis_deg=axis_deg, shift_yx_A=shift).sample2image()((0, *place))
    rows, columns = np.mgrid[-30:30, -28:29]
    image = np.exp(-((rows - y) ** 2 + (columns - x) ** 2) / (2 * 2.0**2))[None].astype(np.float32)
    matrix = np.column_stack([turn_matrix(axis_deg).numpy(), shift])
    aligned = resample(spline_coefficients(torch.from_numpy(image)), maps(matrix), (51, 50))[0].double().numpy()
    centroid = ndimage.center_of_mass(aligned)
    assert np.subtract(centroid, (25, 25)) == pytest.approx(place, abs=0.01)
