"""The model of the stage, held against stages whose errors are known: the twin's, and points that are turned by hand.

Tolerances say what was measured over many more draws than are made here, with room for a half more at most.
"""

import math
from collections.abc import Mapping, Sequence

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from eucentric.acquisition.model import Side, StageModel
from eucentric.core.frames import rotation_about_y
from eucentric.design import TRACKING, DoseSymmetric, Place, Targets
from eucentric.twin.mechanics import PERFECT, REALISTIC, Mechanics, StageErrors

Array = NDArray[np.float64]

TILTS_DEG = DoseSymmetric(min_deg=-60.0, max_deg=60.0).angles_deg()
PLACES = {TRACKING: (0.0, 40_000.0, 1000.0), "near": (0.0, -30_000.0, 20_000.0), "far": (300.0, 10_000.0, -25_000.0)}
LOOK_A = 5.0  # error of a sighting
FOCUS_A = 50.0  # error of a measured height
EXACT_A = 10.0  # the miss that a model of a stage without misses grants
DRIFT_A = 15.0  # between two exposures, as the model has it
DIGITS_A = 1e-6

laws = settings(max_examples=40)
series = settings(max_examples=100)  # each of them a whole tilt series
angles = st.floats(-65, 65)
heights = st.floats(-20_000, 20_000)
places_zyx_A = st.tuples(st.floats(-2000, 2000), st.floats(-60_000, 60_000), st.floats(-60_000, 60_000))

stages = st.builds(
    StageErrors,
    eucentric_z_A=st.floats(-30_000, 30_000),
    axis_offset_x_A=st.floats(-15_000, 15_000),
    cross_axis_A=st.floats(-1500, 1500),
)
"""Errors up to one standard deviation of what the model expects, and no misses."""

planes = st.tuples(*(st.floats(-1000, 1000) for _ in PLACES))
"""By how much each place lies higher than the plane says."""


class Specimen:
    """Places on a stage with errors, centred and in focus when they were picked.

    `raised_A` is how much higher each place lies than was believed: it was seen where it was picked all the same.
    """

    def __init__(
        self,
        errors: StageErrors,
        raised_A: Sequence[float] = (0.0, 0.0, 0.0),
        *,
        picked_deg: float = 0.0,
        seed: int = 0,
        places: Mapping[str, Sequence[float]] | None = None,
    ) -> None:
        self._stage = Mechanics(errors, seed)
        self._draw = np.random.default_rng(seed)
        self._drifted_yx_A = np.zeros(2)
        believed = places or PLACES
        turn = rotation_about_y(picked_deg)
        self._true = {}
        for (name, place), raised in zip(believed.items(), raised_A, strict=True):
            z, y, x = turn @ np.array(place)
            lifted = z + raised / math.cos(math.radians(picked_deg))  # along the beam; x and y stay as they were seen
            self._true[name] = turn.T @ np.array([lifted, y, x])
        self.go(picked_deg)
        self._centred_yx_A = self._stage.offset_zyx_A(0.0)[1:]

    def go(self, tilt_deg: float) -> None:
        self._stage.tilt_to(tilt_deg, 0.0)

    def drift(self) -> None:
        """Let the specimen drift as far as the model expects between two exposures."""
        self._drifted_yx_A = self._drifted_yx_A + DRIFT_A * self._draw.standard_normal(2)

    def zyx_A(self, name: str) -> Array:
        """Give height and place of a place, as they are."""
        offset: Array = self._stage.offset_zyx_A(0.0, self._true[name])
        offset[1:] += self._drifted_yx_A - self._centred_yx_A
        return offset

    def seen_yx_A(self, name: str, sigma_A: float = 0.0) -> tuple[float, float]:
        y, x = self.zyx_A(name)[1:] + sigma_A * self._draw.standard_normal(2)
        return float(y), float(x)

    def height_A(self, name: str, sigma_A: float = 0.0) -> float:
        return float(self.zyx_A(name)[0] + sigma_A * self._draw.standard_normal())


def model(
    stage_error_A: float = 1000.0, picked_deg: float = 0.0, places: Mapping[str, Sequence[float]] | None = None
) -> StageModel:
    known = {name: np.array(place) for name, place in (places or PLACES).items()}
    return StageModel(known, picked_deg=picked_deg, stage_error_A=stage_error_A)


def side_of(tilt_deg: float, start_deg: float = 0.0) -> Side:
    if tilt_deg == start_deg:
        return "start"
    return "up" if tilt_deg > start_deg else "down"


def off_A(learned: StageModel, specimen: Specimen, name: str) -> Array:
    """Give how far a prediction is from the truth, zyx."""
    predicted = learned.predict(name)
    return np.array([predicted.height_A, *predicted.yx_A]) - specimen.zyx_A(name)


def follow(
    learned: StageModel, specimen: Specimen, tilts_deg: Sequence[float], names: Sequence[str] = tuple(PLACES)
) -> Array:
    """Track, focus, and look at places, tilt by tilt; give how far each was predicted off before: (tilt, name, zyx)."""
    errors = []
    for tilt_deg in tilts_deg:
        specimen.go(tilt_deg)
        learned.at(tilt_deg, side_of(tilt_deg, tilts_deg[0]))
        of_tilt = []
        for name in names:
            of_tilt.append(off_A(learned, specimen, name))
            assert learned.saw(name, specimen.seen_yx_A(name), LOOK_A).accepted
            if name == TRACKING:
                assert learned.focused(name, specimen.height_A(name), FOCUS_A).accepted
        errors.append(of_tilt)
    return np.array(errors)


# --- geometry


@laws
@given(places_zyx_A, angles, st.floats(-30, 30))
def test_before_anything_is_measured_a_place_is_where_geometry_has_it(
    place: tuple[float, float, float], tilt_deg: float, picked_deg: float
) -> None:
    untaught = model(picked_deg=picked_deg, places={"place": place})
    untaught.at(tilt_deg, "up")
    predicted = untaught.predict("place")
    turned = rotation_about_y(tilt_deg) @ np.array(place)
    np.testing.assert_allclose([predicted.height_A, *predicted.yx_A], turned, atol=DIGITS_A)


@laws
@given(st.floats(-30, 30))
def test_where_it_was_picked_a_place_is_known_but_for_the_misses_of_two_moves(picked_deg: float) -> None:
    """That of the pick (1.5 times, as it is generous) and that of coming back; height and axis play no part there."""
    untaught = model(stage_error_A=200.0, picked_deg=picked_deg)
    untaught.at(picked_deg, "start")
    for name in PLACES:
        assert untaught.predict(name).sigma_yx_A == pytest.approx([200 * math.hypot(1.5, 1.0)] * 2, abs=1e-6)


@pytest.mark.parametrize(("pre_tilt_deg", "picked_deg"), [(0.0, 0.0), (12.0, 0.0), (12.0, 12.0), (-9.0, 8.0)])
def test_places_of_a_tilted_plane_are_predicted_where_they_were_picked_and_level_when_it_lies_flat(
    pre_tilt_deg: float, picked_deg: float
) -> None:
    picked = {"left": Place(y_A=5000.0, x_A=-40_000.0), "right": Place(y_A=-60_000.0, x_A=50_000.0)}
    targets = Targets.model_validate({"targets": [{"name": "TS_1"}], "tilt_deg": picked_deg})
    places = {name: targets.on_specimen_zyx_A(place, pre_tilt_deg) for name, place in picked.items()}
    untaught = StageModel(places, picked_deg=picked_deg, stage_error_A=1000.0)
    untaught.at(picked_deg, "start")
    for name, place in picked.items():
        assert untaught.predict(name).yx_A == pytest.approx((place.y_A, place.x_A), abs=DIGITS_A)
    untaught.at(pre_tilt_deg, "up")
    assert untaught.predict("left").height_A == pytest.approx(0.0, abs=DIGITS_A)
    assert untaught.predict("right").height_A == pytest.approx(0.0, abs=DIGITS_A)


# --- convergence


@series
@given(stages, planes, st.floats(-9, 9))
def test_a_stage_without_misses_is_known_within_a_few_tilts(
    errors: StageErrors, raised_A: tuple[float, ...], picked_deg: float
) -> None:
    tilts_deg = [picked_deg + tilt_deg for tilt_deg in TILTS_DEG]
    specimen = Specimen(errors, raised_A, picked_deg=picked_deg)
    learned = model(EXACT_A, picked_deg)
    error_A = np.abs(follow(learned, specimen, tilts_deg))
    print("CONV", error_A[5:, :, 1:].max(), error_A[9:, :, 1:].max(), error_A[5:, :, 0].max(), error_A[9:, :, 0].max(), error_A[3:5].max((0,1)))


@series
@given(stages, planes, st.floats(-9, 9))
def test_b(
    errors: StageErrors, raised_A: tuple[float, ...], picked_deg: float
) -> None:
    tilts_deg = [picked_deg + tilt_deg for tilt_deg in TILTS_DEG]
    specimen = Specimen(errors, raised_A, picked_deg=picked_deg)
    learned = model(1000., picked_deg)
    error_A = np.abs(follow(learned, specimen, tilts_deg))
    print("BONV", error_A[1:, :, 1:].max((0,2)), error_A[9:, :, 1:].max((0,2)), error_A[5:, :, 0].max(), error_A[9:, :, 0].max())

