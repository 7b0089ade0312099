"""SIRT and CGLS against dense least squares, and against analytic specimens."""

import itertools

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from pydantic import ValidationError
from scipy.ndimage import gaussian_filter
from torch import Tensor

from eucentric.core import Alignment, InputError
from eucentric.processing.operators import project
from eucentric.processing.reconstruction import ReconstructSettings, reconstruct
from eucentric.processing.reconstruction.iterative import Solution, _path, cgls, sirt
from phantoms import Phantom, density, wandering_alignment
from phantoms import project as seen_by

PIXEL_A = 20.0
SHAPE = (48, 60)
TILTS_RAD = torch.deg2rad(torch.tensor([-60.0, -31.0, 2.0, 28.0, 59.0], dtype=torch.float64))
ENDLESS = ReconstructSettings(method="cgls", iterations=300, least_gain=0.0)


def case(seed: int, rows: int = 2) -> tuple[Tensor, Tensor]:
    noise = torch.Generator().manual_seed(seed)
    views = torch.randn((5, rows, 14), generator=noise)
    weights = torch.rand((5, rows, 14), generator=noise) + 0.2
    weights[:, :, 12:] = 0
    return views, weights


def solve(method: str, views: Tensor, weights: Tensor, options: ReconstructSettings) -> Solution:
    solver = sirt if method == "sirt" else cgls
    return solver(views, TILTS_RAD[: len(views)], weights, (4, 9), options)


def test_cgls_comes_to_the_least_squares_of_a_dense_matrix() -> None:
    views, weights = case(1)
    found = solve("cgls", views, weights, ENDLESS).volume
    path = _path(TILTS_RAD, 14, (4, 9))
    for row in range(2):
        units = torch.eye(36).reshape(36, 4, 1, 9)
        matrix = np.stack([project(unit, TILTS_RAD, 14).numpy().ravel() for unit in units], axis=1)
        root = np.sqrt((weights[:, row : row + 1] / path).numpy().ravel())
        # Of all the solutions, conjugate gradients from zero come to the shortest, as numpy's.
        expected = np.linalg.lstsq(root[:, None] * matrix, root * views[:, row].numpy().ravel(), rcond=1e-5)[0]
        misfit = [
            root * (matrix @ x - views[:, row].numpy().ravel()) for x in (expected, found[:, row].numpy().ravel())
        ]
        assert np.linalg.norm(misfit[1]) == pytest.approx(np.linalg.norm(misfit[0]), rel=1e-4)
        np.testing.assert_allclose(matrix @ found[:, row].numpy().ravel(), matrix @ expected, atol=0.05)


@given(st.integers(0, 1000), st.sampled_from(["sirt", "cgls"]))
@settings(max_examples=20, deadline=None)
def test_the_misfit_never_rises(seed: int, method: str) -> None:
    views, weights = case(seed)
    options = ENDLESS.replace(method=method, iterations=12)
    misfits = solve(method, views, weights, options).misfits
    assert misfits[0] == 1
    assert all(after <= before + 1e-6 for before, after in itertools.pairwise(misfits))
    assert misfits[-1] < 1


def test_sirt_gets_where_cgls_does_but_later() -> None:
    views, weights = case(3)
    best = solve("cgls", views, weights, ENDLESS).misfits[-1]
    few = solve("sirt", views, weights, ENDLESS.replace(method="sirt", iterations=30)).misfits
    many = solve("sirt", views, weights, ENDLESS.replace(method="sirt", iterations=1000)).misfits
    assert few[-1] > many[-1] > best - 1e-6
    assert many[-1] == pytest.approx(best, rel=0.06)


@pytest.mark.parametrize("method", ["sirt", "cgls"])
def test_rounds_end_when_the_residual_stops_falling(method: str) -> None:
    views, weights = case(4)
    impatient = ENDLESS.replace(method=method, least_gain=0.05)
    misfits = solve(method, views, weights, impatient).misfits
    assert 2 < len(misfits) < 60
    assert misfits[-1] >= 0.95 * misfits[-2]
    assert all(after < 0.95 * before for before, after in itertools.pairwise(misfits[:-1]))


@pytest.mark.parametrize(("side", "sign"), [("bright", 1), ("dark", -1)])
def test_density_is_held_on_its_side_of_zero(side: str, sign: int) -> None:
    views, weights = case(5)
    options = ReconstructSettings.model_validate({"method": "sirt", "positivity": side})
    volume = sign * solve("sirt", views, weights, options).volume
    assert float(volume.min()) >= 0
    assert float(volume.max()) > 0


def recorded(phantom: Phantom, alignment: Alignment) -> Tensor:
    images = np.stack([seen_by(phantom, view, alignment.shape_yx, alignment.pixel_A) for view in alignment.tilts])
    return torch.from_numpy(images.astype(np.float32))


def two_blobs() -> Phantom:
    return Phantom(np.array([[100.0, 160.0, -120.0], [-150.0, -200.0, 200.0]]), np.full(2, 50.0), np.array([1.0, 0.7]))


@pytest.mark.parametrize(
    "options", [{"method": "sirt", "positivity": "bright", "iterations": 30}, {"method": "cgls", "iterations": 8}]
)
def test_the_specimen_comes_back_better_than_by_back_projection(options: dict[str, object]) -> None:
    tilts = [float(tilt) for tilt in range(-60, 61, 5)]
    alignment = wandering_alignment(
        tilts, pixel_A=PIXEL_A, shape_yx=SHAPE, axis_deg=20.0, max_shift_fraction=0.03, seed=2
    )
    phantom = two_blobs()
    images = recorded(phantom, alignment)
    plain = ReconstructSettings(thickness_A=32 * PIXEL_A, cutoff=1.0)
    truth = gaussian_filter(density(phantom, (32, *SHAPE), PIXEL_A), 0.5) * PIXEL_A
    missed = []
    for chosen in (plain, ReconstructSettings.model_validate(plain.model_dump() | options)):
        halves = reconstruct(images, alignment, chosen)
        volumes = halves.even.numpy(), halves.odd.numpy()
        assert np.corrcoef(volumes[0].ravel(), volumes[1].ravel())[0, 1] > 0.8
        volume = halves.full().numpy()
        assert np.unravel_index(volume.argmax(), volume.shape) == np.unravel_index(truth.argmax(), truth.shape)
        missed.append(1 - np.corrcoef(volume.ravel(), truth.ravel())[0, 1])
    assert missed[1] < missed[0]


def test_density_itself_comes_back_where_all_angles_are_seen() -> None:
    tilts = [float(tilt) for tilt in range(-90, 90, 6)]
    alignment = wandering_alignment(
        tilts, pixel_A=PIXEL_A, shape_yx=SHAPE, axis_deg=0.0, max_shift_fraction=0.0, seed=0
    )
    phantom = Phantom(np.array([[0.0, 0.0, 0.0]]), np.array([60.0]), np.array([1.0]))
    options = ReconstructSettings(thickness_A=48 * PIXEL_A, method="cgls", iterations=15)
    volume = reconstruct(recorded(phantom, alignment), alignment, options).full().numpy() / PIXEL_A
    truth = density(phantom, volume.shape, PIXEL_A)
    assert volume.max() == pytest.approx(truth.max(), rel=0.03)


def test_what_no_iteration_can_do_is_refused() -> None:
    with pytest.raises(ValidationError, match="belongs to weighted back-projection"):
        ReconstructSettings(method="sirt", weighting="exact")
    for method in ("cgls", "wbp"):
        with pytest.raises(ValidationError, match="held by the method sirt"):
            ReconstructSettings.model_validate({"method": method, "positivity": "dark"})
    alignment = wandering_alignment(
        [-10.0, 0.0, 10.0], pixel_A=PIXEL_A, shape_yx=SHAPE, axis_deg=0.0, max_shift_fraction=0.0, seed=0
    )
    tilted = alignment.replace(tilts=tuple(view.replace(x_tilt_deg=5.0) for view in alignment.tilts))
    with pytest.raises(InputError, match="x-tilt, which SIRT cannot follow"):
        reconstruct(torch.zeros((3, *SHAPE)), tilted, ReconstructSettings(method="sirt"))
