"""Where the slab lies that views are predicted from: its middle, the slab elsewhere, and sums over rings."""

import numpy as np
import pytest
import torch
from scipy import ndimage
from torch import Tensor

from eucentric.core.random import stream
from eucentric.processing.alignment import steps
from eucentric.processing.alignment.matcher import Matcher
from eucentric.processing.alignment.rings import Rings
from eucentric.processing.operators import backproject, project

pytestmark = pytest.mark.usefixtures("one_thread")
TILTS_RAD = torch.deg2rad(torch.tensor([-50.0, -31.0, -17.0, 0.0, 13.0, 34.0, 58.0], dtype=torch.float64))
ALL = torch.arange(len(TILTS_RAD))
UNMOVED = torch.zeros((len(TILTS_RAD), 2), dtype=torch.float64)


def blobs(shape: tuple[int, int] = (48, 60), reach: float = 0.2) -> Tensor:
    """Smooth images (7, y, x) that show nothing near their borders."""
    noise = stream(2, "texture").standard_normal((len(TILTS_RAD), *shape))
    y, x = ((np.arange(n) - n // 2) / (reach * n) for n in shape)
    images = ndimage.gaussian_filter(noise, (0, 2, 2)) * np.exp(-0.5 * (y[:, None] ** 2 + x**2))
    return torch.from_numpy((images / images.std()).astype(np.float32))


def predicted(matcher: Matcher, shifts: Tensor = UNMOVED) -> Tensor:
    aligned = matcher.aligned(0.0, shifts, ALL)
    return matcher.predict_from_others(matcher.filtered(aligned), ALL)


@pytest.mark.parametrize("depth", [7, 8])
def test_a_slab_is_as_deep_above_its_middle_as_below(depth: int) -> None:
    """Turned over, it is the same slab: tilts of the other sign predict the same views."""
    matcher = Matcher(blobs())
    one, other = (predicted(matcher.with_slab(tilts, depth)) for tilts in (TILTS_RAD, -TILTS_RAD))
    torch.testing.assert_close(one, other, rtol=0, atol=2e-5 * float(one.abs().max()))


@pytest.mark.parametrize(("height", "across"), [(0.0, 3.0), (2.4, 0.0), (-3.0, -1.6)])
def test_a_slab_elsewhere_predicts_what_views_moved_to_it_do(height: float, across: float) -> None:
    matcher = Matcher(blobs())
    moved_px = height * torch.sin(TILTS_RAD) + across
    shifts = torch.stack([torch.zeros(len(ALL), dtype=torch.float64), moved_px], dim=1)  # content lies at larger x
    expected = predicted(matcher.with_slab(TILTS_RAD, 8), shifts).numpy()

    def alike(found: Tensor) -> list[float]:
        """Return the correlation of each view's prediction, moved as the views were, with the expected one."""
        moved = [ndimage.shift(one, (0, -float(by))) for one, by in zip(found.numpy(), moved_px, strict=True)]
        return [
            float(np.corrcoef(one.ravel(), other.ravel())[0, 1]) for one, other in zip(moved, expected, strict=True)
        ]

    assert min(alike(predicted(matcher.with_slab(TILTS_RAD, 8, height, across)))) > 0.98
    assert min(alike(predicted(matcher.with_slab(TILTS_RAD, 8)))) < 0.95


def test_held_out_views_have_no_part_in_predictions_from_a_slab_elsewhere() -> None:
    matcher = Matcher(blobs()).with_slab(TILTS_RAD, 8, 1.3, -2.2)
    filtered = matcher.filtered(matcher.aligned(0.0, UNMOVED, ALL))
    found = matcher.predict_from_others(filtered, ALL)
    for view in ALL:
        others = ALL[view != ALL]
        expected = matcher.predict(filtered[others], others, view[None])[0]
        torch.testing.assert_close(found[view], expected, rtol=0, atol=1e-5 * float(expected.abs().max()))


def test_agreement_is_the_match_in_place() -> None:
    matcher = Matcher(blobs()).with_slab(TILTS_RAD, 8)
    aligned = matcher.aligned(0.0, UNMOVED, ALL)
    views = predicted(matcher)
    match = matcher.match(views, aligned, 5.0)
    assert matcher.agreement(views, aligned).numpy() == pytest.approx(match.in_place.numpy(), abs=1e-5)


def test_the_origin_seen_across_moves_projections_by_columns() -> None:
    volume = torch.randn((6, 5, 20), generator=torch.Generator().manual_seed(0))
    straight, moved = (project(volume, TILTS_RAD, 61, across_px=by) for by in (0.0, 4.0))
    torch.testing.assert_close(moved[:, :, 4:], straight[:, :, :-4], rtol=1e-4, atol=1e-4)
    back = backproject(moved, TILTS_RAD, (6, 20), across_px=4.0)
    torch.testing.assert_close(back, backproject(straight, TILTS_RAD, (6, 20)), rtol=1e-4, atol=1e-3)


@pytest.mark.parametrize(("still_px", "learn", "rounds"), [(0.0, True, 5), (9.0, True, 3), (9.0, False, 1)])
def test_rounds_end_when_views_stay_where_they_are(
    still_px: float, learn: bool, rounds: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    """But not while weights are still learnt."""
    monkeypatch.setattr(steps, "_STILL_PX", still_px)
    refined = steps.refine(Matcher(blobs()).with_slab(TILTS_RAD, 8), 0.0, UNMOVED, ALL, rounds=5, learn=learn)
    assert len(refined.rounds_rms) == rounds


@pytest.mark.parametrize("shape", [(12, 16), (9, 15)])
def test_sums_over_rings_are_those_over_all_frequencies(shape: tuple[int, int]) -> None:
    noise = torch.Generator().manual_seed(4)
    first, second = (torch.randn((3, *shape), generator=noise) for _ in range(2))
    field = min(shape)
    rings = Rings.of(shape, field, 20, torch.device("cpu"))
    a, b = torch.fft.fft2(first), torch.fft.fft2(second)
    ky, kx = (np.fft.fftfreq(n) for n in shape)
    ring = np.round(np.hypot(ky[:, None], kx) * field).astype(int).reshape(-1)
    product = (a.conj() * b).real.numpy().reshape(3, -1)
    expected = np.array([np.bincount(ring, one, 20) for one in product])
    halves = torch.fft.rfft2(first), torch.fft.rfft2(second)
    np.testing.assert_allclose(rings.sums(*halves).numpy(), expected, atol=1e-4 * np.abs(product).max())
    np.testing.assert_array_equal(rings.count.numpy(), np.bincount(ring, minlength=20))
    gain = torch.rand((3, 20), generator=noise)
    weighted = halves[0].conj() * halves[1] * gain[:, rings.ring.long()]
    torch.testing.assert_close(rings.weighted(*halves, gain), weighted)
