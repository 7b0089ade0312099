from pathlib import Path
from typing import get_args

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from eucentric.core import InputError
from eucentric.detector import Curve, mtf

laws = settings(max_examples=50, deadline=None, derandomize=True)
curves = st.sampled_from(get_args(Curve))


@pytest.mark.parametrize(("curve", "file"), [("k2", "mtf_k2_300kV.star"), ("falcon4", "mtf_falcon4EC_300kV.star")])
def test_it_is_the_measured_curve(curve: Curve, file: str, real_data: Path) -> None:
    """To 0.5 % of the amplitude at zero, which is the roughness of the measured curves."""
    path = real_data / "detector" / file
    if not path.is_file():
        pytest.skip(f"no measured curve at {path}")
    lines = [line.split() for line in path.read_text().splitlines()]
    k, measured = np.array([[float(word) for word in line] for line in lines if line and line[0][0].isdigit()]).T
    inside = k <= 0.5
    assert inside.sum() > 60
    np.testing.assert_allclose(mtf(k[inside], curve), measured[inside], atol=0.005)


@laws
@given(curves, st.floats(0, 0.75), st.floats(0, 0.05))
def test_it_is_even_falls_and_stays_above_zero(curve: Curve, k: float, step: float) -> None:
    assert mtf(k, curve) == mtf(-k, curve)
    assert 0 < mtf(k + step, curve) <= mtf(k, curve) <= 1
    assert mtf(0.0, curve) == 1


@pytest.mark.parametrize("curve", ["k2", "falcon4"])
def test_it_carries_on_above_nyquist_without_a_step_or_kink(curve: Curve) -> None:
    below, at, above = mtf([0.49, 0.5, 0.51], curve)
    # The slope may change by half on the way from measured points to their mean fall.
    assert (at - above) == pytest.approx(below - at, rel=0.5)


def test_an_unknown_curve_is_refused() -> None:
    with pytest.raises(InputError, match="k2 or falcon4"):
        mtf(0.1, "k9")  # type: ignore[arg-type]
