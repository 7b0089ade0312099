"""The doorway to numba: a compiled function does what its Python text says, alone and on several threads."""

import numpy as np
import pytest
from numpy.typing import NDArray

from eucentric.core import stream
from eucentric.core.jit import compiled, parallel_range


def sums_of_rows(image: NDArray[np.float64], sums: NDArray[np.float64]) -> None:
    for row in parallel_range(image.shape[0]):
        total = 0.0
        for column in range(image.shape[1]):
            total += image[row, column]
        sums[row] = total


@pytest.mark.parametrize("parallel", [False, True])
def test_compiled_code_agrees_with_numpy(parallel: bool) -> None:
    image = stream(0, "image").standard_normal((37, 101))
    sums = np.zeros(37)
    compiled(parallel=parallel)(sums_of_rows)(image, sums)
    # fastmath may add in another order: 101 roundings of values up to about 3 x 101.
    np.testing.assert_allclose(sums, image.sum(axis=1), atol=101 * 300 * np.finfo(float).eps)


def test_a_compiled_function_keeps_its_name_and_documentation() -> None:
    @compiled()
    def twice(x: float) -> float:
        """Double it."""
        return 2 * x

    assert twice(1.5) == 3.0
    assert (twice.__name__, twice.__doc__) == ("twice", "Double it.")
