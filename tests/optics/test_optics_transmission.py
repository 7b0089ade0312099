import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from eucentric.design import path_A
from eucentric.optics import MEAN_FREE_PATH_A, MEAN_FREE_PATH_RANGE_A, mean_free_path_A, transmission

laws = settings(max_examples=60, deadline=None, derandomize=True)
paths_A = st.floats(0, 20_000)
mean_free_paths_A = st.floats(1000, 5000)


@pytest.mark.parametrize(
    ("thickness_A", "at_0_45_60_70_deg"),
    [(2000.0, (0.525, 0.402, 0.275, 0.152)), (1000.0, (0.724, 0.634, 0.525, 0.389))],
)
def test_what_passes_a_tilted_slab(thickness_A: float, at_0_45_60_70_deg: tuple[float, ...]) -> None:
    share = transmission(path_A(thickness_A, [0, 45, 60, 70]), 3100.0)
    np.testing.assert_allclose(share, at_0_45_60_70_deg, rtol=0, atol=5e-4)


def test_the_default_and_its_published_range() -> None:
    assert (MEAN_FREE_PATH_A, MEAN_FREE_PATH_RANGE_A) == (3150.0, (2110.0, 3950.0))
    assert mean_free_path_A(300.0) == pytest.approx(3150.0, rel=1e-12)
    assert mean_free_path_A(200.0) == pytest.approx(0.83 * 3150.0, rel=1e-12)
    assert mean_free_path_A(200.0, 3950.0) == pytest.approx(0.83 * 3950.0, rel=1e-12)


@laws
@given(st.floats(60, 1000), st.floats(1, 100))
def test_faster_electrons_go_farther(voltage_kV: float, more_kV: float) -> None:
    assert mean_free_path_A(voltage_kV) < mean_free_path_A(voltage_kV + more_kV)


@laws
@given(paths_A, paths_A, mean_free_paths_A)
def test_paths_one_after_the_other_multiply(one_A: float, two_A: float, mean_A: float) -> None:
    both = transmission(one_A, mean_A) * transmission(two_A, mean_A)
    assert transmission(one_A + two_A, mean_A) == pytest.approx(both, rel=1e-9)
    assert 0 < both <= 1
    assert transmission(0.0, mean_A) == 1
