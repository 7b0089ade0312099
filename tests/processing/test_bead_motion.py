"""Local motion from beads, judged at other places than theirs: what an alignment is for is between the beads."""

from dataclasses import dataclass

import numpy as np
import pytest
from bundle_cases import PIXEL_A, SHAPE_YX, make_case
from numpy.typing import NDArray

from eucentric.core import Alignment, LocalMotion
from eucentric.core.local_motion import powers
from eucentric.processing.alignment.beads import BundleAdjustment, BundleSettings, Tracks, adjust_bundle
from eucentric.processing.alignment.beads.motion import motion_of_beads

Array = NDArray[np.float64]
TILTS_DEG = np.arange(-60.0, 61.0, 6.0)
# From one end to the other: in a dose-symmetric series the specimen has come to rest before it is tilted enough for
# doming to be seen, and 80 Å of it move what views see by 1 Å.
EXPOSURES_e_A2: Array = 3.0 * np.arange(len(TILTS_DEG), dtype=np.float64) + 1.5
NOISE_PX = 0.1  # what shifts miss by noise is then far below the motion; at 0.3 px it is a third of what there is


@dataclass(frozen=True)
class Seen:
    """Tracks of beads, fitted, and what the views really see."""

    bundle: BundleAdjustment
    truth: Alignment

    @property
    def rigid(self) -> Alignment:
        return self.bundle.alignment(PIXEL_A)


def doming(height_A: float, decay_e_A2: float) -> LocalMotion:
    """Return a dome that rises over the field; the law that is fitted has a decay of 20 e/Å²."""
    coefficients = np.zeros((3, len(powers(2)), 1))
    for power in ((2, 0), (0, 2)):
        coefficients[0, powers(2).index(power), 0] = -height_A
    return LocalMotion(
        degree=2,
        radius_A=0.5 * min(SHAPE_YX) * PIXEL_A,
        decays_e_A2=(decay_e_A2,),
        exposures_e_A2=tuple(EXPOSURES_e_A2.tolist()),
        coefficients_A=tuple(tuple(tuple(power) for power in axis) for axis in coefficients.tolist()),
    )


def seen_px(alignment: Alignment, places_A: Array) -> Array:
    """Return where places (b, 3), moving with the specimen, are seen from the images' middles: (b, views, 2)."""
    out = []
    for view in alignment.tilts:
        moved = places_A.copy()
        if alignment.local is not None:
            moved += alignment.local.displacement_zyx_A(places_A[:, 1:], view.section)
        out.append(view.sample2image()(moved)[:, 1:] / alignment.pixel_A)
    return np.stack(out, axis=1)


def fitted(beads: int, height_A: float, seed: int, decay_e_A2: float = 20.0) -> Seen:
    case = make_case(beads=beads, tilts_deg=TILTS_DEG, seed=seed)
    truth = case.truth.replace(local=doming(height_A, decay_e_A2))
    places = seen_px(truth, case.beads_zyx_px * PIXEL_A)
    places += np.random.default_rng(seed + 1000).normal(0, NOISE_PX, places.shape)
    bead, view = np.indices(places.shape[:2])
    tracks = Tracks.of(bead.ravel(), view.ravel(), places.reshape(-1, 2) + np.array(SHAPE_YX) // 2)
    return Seen(adjust_bundle(tracks, TILTS_DEG.tolist(), SHAPE_YX, BundleSettings(axis_deg=-12.0)), truth)


def missed_A(alignment: Alignment, truth: Alignment) -> float:
    """Return the rms (Å) by which an alignment misses what the truth sees of other places than beads.

    Each is given the place in the specimen that fits it best, as the truth's frame is not the alignment's.
    """
    random = np.random.default_rng(77)
    others_A = random.uniform(-1, 1, (40, 3)) * [300, 1500, 1100]
    wanted = seen_px(truth, others_A) * PIXEL_A
    views = np.array([view.sample2image().linear[1:] for view in alignment.tilts]).reshape(-1, 3)
    found = others_A.copy()
    for _ in range(4):
        off = wanted - seen_px(alignment, found) * PIXEL_A
        found += np.linalg.lstsq(views, off.reshape(len(found), -1).T, rcond=None)[0].T
    off = wanted - seen_px(alignment, found) * PIXEL_A
    return float(np.sqrt(2 * np.mean(np.square(off))))


@pytest.mark.parametrize("seed", [0, 1, 2])
def test_doming_of_80_A_is_taken_out_between_the_beads(seed: int) -> None:
    seen = fitted(24, 80.0, seed)
    moving = motion_of_beads(seen.bundle, seen.rigid, EXPOSURES_e_A2)
    assert moving is not None
    before = missed_A(seen.rigid, seen.truth)
    assert before > 2.0  # most of what a dome moves is taken for other heights, and is none of it lost
    assert missed_A(moving, seen.truth) < 0.4 * before


@pytest.mark.parametrize("decay_e_A2", [12.0, 30.0])
def test_a_specimen_that_comes_to_rest_sooner_or_later_is_mended_too(decay_e_A2: float) -> None:
    seen = fitted(24, 80.0, 0, decay_e_A2)
    moving = motion_of_beads(seen.bundle, seen.rigid, EXPOSURES_e_A2)
    assert moving is not None
    assert missed_A(moving, seen.truth) < 0.6 * missed_A(seen.rigid, seen.truth)


@pytest.mark.parametrize("seed", range(5))
def test_noise_alone_is_no_motion(seed: int) -> None:
    seen = fitted(24, 0.0, seed)
    assert motion_of_beads(seen.bundle, seen.rigid, EXPOSURES_e_A2) is None


def test_five_beads_tell_no_field() -> None:
    seen = fitted(5, 80.0, 0)
    assert motion_of_beads(seen.bundle, seen.rigid, EXPOSURES_e_A2) is None


def test_the_motion_found_is_of_the_series_and_leaves_all_but_shifts() -> None:
    seen = fitted(24, 80.0, 3)
    moving = motion_of_beads(seen.bundle, seen.rigid, EXPOSURES_e_A2)
    assert moving is not None
    assert moving.local is not None
    assert moving.local.exposures_e_A2 == tuple(EXPOSURES_e_A2)
    same = [view.replace(shift_yx_A=(0.0, 0.0)) for view in moving.tilts]
    assert same == [view.replace(shift_yx_A=(0.0, 0.0)) for view in seen.rigid.tilts]
    again = motion_of_beads(seen.bundle, seen.rigid, EXPOSURES_e_A2)
    assert again == moving
