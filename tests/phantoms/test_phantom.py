import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray
from scipy.spatial.transform import Rotation

from eucentric.core import Alignment, TiltAlignment
from phantoms import Phantom, chiral_phantom, density, project

SHAPE, PIXEL_A = (48, 56), 10.0
LOST = 3e-4  # of a blob's mass lies beyond four sigmas, where it is cut off

near = st.floats(-60, 60)
points = st.tuples(near, near, near)
views = st.builds(
    TiltAlignment,
    section=st.just(0),
    tilt_deg=st.floats(-75, 75),
    x_tilt_deg=st.floats(-10, 10),
    axis_deg=st.floats(-180, 180),
    shift_yx_A=st.tuples(near, near),
    magnification=st.floats(0.9, 1.1),
)
laws = settings(max_examples=30, deadline=None, derandomize=True)
FLAT = TiltAlignment(section=0, tilt_deg=0, axis_deg=0)
TURNED = TiltAlignment(section=0, tilt_deg=37, x_tilt_deg=4, axis_deg=-86, shift_yx_A=(23.0, -31.0), magnification=1.04)


def some_blobs(n: int = 20) -> Phantom:
    draw = np.random.default_rng(8)
    return Phantom(draw.uniform(-70, 70, (n, 3)), draw.uniform(4, 25, n), draw.uniform(-0.5, 1.5, n))


def formula(phantom: Phantom, places_A: NDArray[np.float64]) -> NDArray[np.float64]:
    """The sum of Gaussians at places (..., 3), written down once more."""
    values = np.zeros(places_A.shape[:-1])
    for centre, sigma, height in zip(phantom.positions_A, phantom.sigma_A, phantom.amplitude, strict=True):
        values += height * np.exp(-((places_A - centre) ** 2).sum(-1) / (2 * sigma**2))
    return values


@pytest.mark.parametrize("view", [FLAT, TURNED])
@pytest.mark.parametrize("sigma_A", [6.0, 22.0])
def test_a_projection_is_the_line_integral_of_the_density_averaged_over_the_pixel(
    view: TiltAlignment, sigma_A: float
) -> None:
    blob = Phantom([[40.0, -25.0, 33.0]], sigma_A, 0.8)
    image = project(blob, view, SHAPE, PIXEL_A)
    y, x = np.round(view.sample2image()(blob.positions_A[0])[1:] / PIXEL_A).astype(int) + np.array(SHAPE) // 2
    inner = (np.arange(16) + 0.5) / 16 - 0.5
    z = np.arange(-200.0, 200.0, 2.0)
    for row, column in ((y, x), (y + 1, x), (y, x - 1), (y - 1, x + 1)):
        rays = np.stack(
            np.meshgrid(
                z, (row - SHAPE[0] // 2 + inner) * PIXEL_A, (column - SHAPE[1] // 2 + inner) * PIXEL_A, indexing="ij"
            ),
            axis=-1,
        )
        # A step of 2 Å along the beam in the image is 2 / magnification in the specimen.
        integrals = 2 * formula(blob, view.image2sample()(rays)).sum(axis=0) / view.magnification
        assert image[row, column] == pytest.approx(integrals.mean(), rel=1e-3, abs=1e-3 * float(image.max()))


def test_the_density_is_the_formula_averaged_over_the_voxel() -> None:
    phantom = some_blobs()
    centre, voxel_A = (30.0, -10.0, 5.0), 8.0
    volume = density(phantom, (10, 9, 12), voxel_A, centre)
    inner = (np.arange(8) + 0.5) / 8 - 0.5
    for index in ((5, 4, 6), (0, 0, 0), (9, 8, 11), (2, 7, 3)):
        axes = [centre[k] + (index[k] - volume.shape[k] // 2 + inner) * voxel_A for k in range(3)]
        places = np.stack(np.meshgrid(*axes, indexing="ij"), axis=-1)
        assert volume[index] == pytest.approx(formula(phantom, places).mean(), abs=2e-3)


@laws
@given(view=views, point=points)
def test_a_point_lands_where_the_alignment_says(view: TiltAlignment, point: tuple[float, float, float]) -> None:
    image = project(Phantom([point], 6.0, 1.0), view, SHAPE, PIXEL_A).astype(float)
    rows, columns = np.indices(SHAPE)
    found = [((axis - n // 2) * image).sum() / image.sum() for axis, n in ((rows, SHAPE[0]), (columns, SHAPE[1]))]
    np.testing.assert_allclose(np.array(found) * PIXEL_A, view.sample2image()(point)[1:], atol=0.05)


@laws
@given(view=views, scale=st.floats(-3, 3))
def test_projection_and_density_are_linear(view: TiltAlignment, scale: float) -> None:
    a, b = some_blobs(12), Phantom([[1.0, 2.0, 3.0], [-20.0, 40.0, 9.0]], [5.0, 9.0], 1.0)
    scaled = Phantom(b.positions_A, b.sigma_A, scale * b.amplitude)
    both = Phantom.joined([a, scaled])
    images = [project(phantom, view, SHAPE, PIXEL_A) for phantom in (both, a, b)]
    volumes = [density(phantom, (16, 16, 16), PIXEL_A) for phantom in (both, a, b)]
    for sum_of_both, of_a, of_b in (images, volumes):
        np.testing.assert_allclose(sum_of_both, of_a + scale * of_b, atol=2e-4)


def test_the_untilted_projection_is_the_sum_of_the_density_along_z() -> None:
    phantom = some_blobs()
    volume = density(phantom, (60, *SHAPE), PIXEL_A)
    image = project(phantom, FLAT, SHAPE, PIXEL_A)
    np.testing.assert_allclose(image, PIXEL_A * volume.sum(axis=0), atol=2e-4 * np.abs(image).max())


@laws
@given(view=views)
def test_mass_is_kept_in_every_view(view: TiltAlignment) -> None:
    phantom = Phantom(some_blobs().positions_A, 8.0, some_blobs().amplitude)
    seen_A3 = project(phantom, view, SHAPE, PIXEL_A).sum(dtype=float) * (PIXEL_A / view.magnification) ** 2
    assert seen_A3 == pytest.approx(phantom.mass_A3, rel=LOST)


@pytest.mark.parametrize("sigma_A", [0.5, 2.0, 10.0])
def test_mass_is_kept_however_small_a_blob_is_beside_a_voxel(sigma_A: float) -> None:
    blob = Phantom([[3.0, -4.0, 5.0]], sigma_A, 1.0)
    assert density(blob, (16, 16, 16), PIXEL_A).sum(dtype=float) * PIXEL_A**3 == pytest.approx(blob.mass_A3, rel=LOST)


def test_what_is_outside_the_image_adds_nothing_and_what_straddles_its_edge_adds_its_part() -> None:
    wide = project(some_blobs(), FLAT, (48, 48), PIXEL_A)
    np.testing.assert_allclose(project(some_blobs(), FLAT, (8, 6), PIXEL_A), wide[20:28, 21:27], atol=1e-6)
    far = Phantom([[0.0, 0.0, 1e5], [0.0, -1e5, 0.0], [0.0, 1e5, 1e5]], 10.0, 1.0)
    assert not project(far, FLAT, SHAPE, PIXEL_A).any()
    assert not density(far.moved((1e6, 0.0, 0.0)), (8, 8, 8), PIXEL_A).any()


@laws
@given(view=views, by=points)
def test_no_image_can_tell_where_the_origin_is(view: TiltAlignment, by: tuple[float, float, float]) -> None:
    phantom = some_blobs()
    moved = Alignment(pixel_A=PIXEL_A, shape_yx=SHAPE, tilts=(view,)).moved(by).tilts[0]
    back = phantom.moved((-by[0], -by[1], -by[2]))
    image = project(phantom, view, SHAPE, PIXEL_A)
    # A cell at the cut-off may fall on its other side by rounding.
    np.testing.assert_allclose(project(back, moved, SHAPE, PIXEL_A), image, atol=1e-3 * np.abs(image).max())


def test_the_chiral_phantom_cannot_be_turned_into_its_mirror_image() -> None:
    bars_A = chiral_phantom().positions_A.copy()
    for mirror in ((-1, 1, 1), (1, -1, 1), (1, 1, -1), (-1, -1, -1)):
        turn, _ = Rotation.align_vectors(bars_A, bars_A * mirror)
        left_A = turn.apply(bars_A * mirror) - bars_A
        assert np.linalg.norm(left_A, axis=1).max() > 200
    turned_A = Rotation.from_euler("zyx", [20, 50, 80], degrees=True).apply(bars_A)
    turn, _ = Rotation.align_vectors(bars_A, turned_A)
    np.testing.assert_allclose(turn.apply(turned_A), bars_A, atol=1e-6)


def test_only_tilting_the_other_way_hides_a_mirrored_z() -> None:
    bars = chiral_phantom((90.0, 130.0, 180.0), 15.0)
    mirrored = Phantom(bars.positions_A * (-1, 1, 1), bars.sigma_A, bars.amplitude)
    image = project(bars, TURNED.replace(x_tilt_deg=0), SHAPE, PIXEL_A)
    other = project(mirrored, TURNED.replace(x_tilt_deg=0), SHAPE, PIXEL_A)
    hidden = project(mirrored, TURNED.replace(x_tilt_deg=0, tilt_deg=-TURNED.tilt_deg), SHAPE, PIXEL_A)
    np.testing.assert_allclose(hidden, image, atol=1e-3 * image.max())
    assert np.corrcoef(other.ravel(), image.ravel())[0, 1] < 0.95


@pytest.mark.parametrize(
    ("positions", "sigma", "amplitude", "said"),
    [
        ([1.0, 2.0, 3.0], 1.0, 1.0, "shape"),
        ([[1.0, 2.0]], 1.0, 1.0, "shape"),
        ([[1.0, 2.0, 3.0]], [1.0, 2.0], 1.0, "broadcast"),
        ([[1.0, 2.0, np.nan]], 1.0, 1.0, "finite"),
        ([[1.0, 2.0, 3.0]], np.inf, 1.0, "finite"),
        ([[1.0, 2.0, 3.0]], 0.0, 1.0, "above 0"),
    ],
)
def test_what_is_no_phantom_is_refused(positions: object, sigma: object, amplitude: object, said: str) -> None:
    with pytest.raises(ValueError, match=said):
        Phantom(np.array(positions), np.array(sigma), np.array(amplitude))


def test_a_phantom_cannot_be_changed_from_outside() -> None:
    positions = np.zeros((1, 3))
    blob = Phantom(positions, 1.0, 1.0)
    positions[:] = 7
    assert not blob.positions_A.any()
    with pytest.raises(ValueError, match="read-only"):
        blob.amplitude[0] = 2


def test_an_empty_phantom_is_seen_as_nothing() -> None:
    nothing = Phantom.joined([])
    assert len(nothing) == 0
    assert nothing.mass_A3 == 0
    assert not project(nothing, FLAT, SHAPE, PIXEL_A).any()
