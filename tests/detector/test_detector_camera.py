import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pydantic import ValidationError

from eucentric.core import InputError
from eucentric.detector import DETECTORS, EFFECTS, Detector, design_camera

laws = settings(max_examples=40, deadline=None, derandomize=True)


def test_the_ideal_one_is_every_other_without_its_effects() -> None:
    for detector in DETECTORS.values():
        bare = detector.without(*EFFECTS)
        kept = {"name": detector.name, "internal_frames_per_s": detector.internal_frames_per_s}
        assert bare == DETECTORS["ideal"].replace(**kept)


@pytest.mark.parametrize("effect", EFFECTS)
def test_each_effect_is_there_to_be_switched_off(effect: str) -> None:
    for name in ("k2", "falcon4"):
        assert DETECTORS[name].without(effect) != DETECTORS[name]  # type: ignore[arg-type]


def test_an_unknown_effect_is_refused() -> None:
    with pytest.raises(InputError, match='mean "coincidence"'):
        DETECTORS["k2"].without("coincidences")  # type: ignore[arg-type]
    with pytest.raises(ValidationError):
        Detector(name="x", detection=1.1)


@laws
@given(st.sampled_from(sorted(DETECTORS)), st.floats(0, 0.7))
def test_dqe_is_detection_times_mtf_squared(name: str, k: float) -> None:
    detector = DETECTORS[name]
    assert float(detector.dqe(k)) == pytest.approx(detector.detection * float(detector.mtf_at(k)) ** 2)


@pytest.mark.parametrize(("name", "rms"), [("ideal", 1e-12), ("k2", 0.013), ("falcon4", 0.112)])
def test_the_line_of_dqe_is_the_nearest(name: str, rms: float) -> None:
    """`rms` is what the curve's own bend leaves, as the docstring says."""
    detector = DETECTORS[name]
    camera = design_camera(detector, pixel_A=2.5, shape_yx=(100, 200))
    assert (camera.rows, camera.columns, camera.pixel_A) == (100, 200, 2.5)
    along = np.linspace(0, 1, 1001)

    def misfit(zero: float, nyquist: float) -> float:
        return float(np.mean((zero * (1 - along) + nyquist * along - detector.dqe(along / 2)) ** 2))

    best = misfit(camera.dqe_zero, camera.dqe_nyquist)
    assert best <= rms**2
    for zero, nyquist in ((0.01, 0), (-0.01, 0), (0, 0.01), (0, -0.01)):
        ends = camera.dqe_zero + zero, camera.dqe_nyquist + nyquist
        if all(0 <= end <= 1 for end in ends):
            assert misfit(*ends) > best


@laws
@given(st.floats(1e-3, 5.0))
def test_loss_grows_with_rate_from_nothing_by_five_halves(rate: float) -> None:
    detector = Detector(name="x", detection=0.8, internal_frames_per_s=400, coincidence=True)
    rho = 0.8 * rate / 400
    lost = 1 - detector.counted_share(rate) / 0.8
    # The next term of the series in rho is 19/6 rho².
    assert lost == pytest.approx(2.5 * rho, abs=3.2 * rho**2 + 1e-12)
    assert detector.counted_share(rate * 1.1) < detector.counted_share(rate)
    assert detector.without("coincidence").counted_share(rate) == 0.8
