"""Random streams: the same path gives the same numbers, on any machine; another path gives independent ones."""

import hashlib

import numpy as np
from hypothesis import assume, given
from hypothesis import strategies as st

from eucentric.core import stream

seeds = st.integers(0, 2**64)
paths = st.lists(st.text(st.characters(exclude_characters="\x1f", exclude_categories=["Cs"])) | st.integers())


@given(seed=seeds, path=paths)
def test_the_same_path_gives_the_same_numbers(seed: int, path: list[str | int]) -> None:
    np.testing.assert_array_equal(stream(seed, *path).random(4), stream(seed, *path).random(4))


@given(seed=seeds, other_seed=seeds, path=paths, other_path=paths)
def test_another_path_or_seed_gives_other_numbers(
    seed: int, other_seed: int, path: list[str | int], other_path: list[str | int]
) -> None:
    assume((seed, path) != (other_seed, other_path))
    assert (
        stream(seed, *path).integers(2**63, size=2).tolist()
        != stream(other_seed, *other_path).integers(2**63, size=2).tolist()
    )


def test_a_number_and_its_name_are_different_streams() -> None:
    assert stream(0, 1).random() != stream(0, "1").random()


def test_the_numbers_are_those_of_philox_keyed_with_the_path() -> None:
    digest = hashlib.sha256(b"7\x1fstr:noise\x1fint:3").digest()
    key = int.from_bytes(digest[:16], "little")
    expected = np.random.Generator(np.random.Philox(key=key)).standard_normal(5)
    np.testing.assert_array_equal(stream(7, "noise", 3).standard_normal(5), expected)


def test_streams_are_uncorrelated() -> None:
    n, m = 40, 4096
    draws = np.array([stream(0, "noise", tilt).standard_normal(m) for tilt in range(n)])
    correlation = np.corrcoef(draws)[np.triu_indices(n, 1)]
    # Of 780 coefficients of unit-variance noise (standard deviation 1 / sqrt m), none should reach 5 of those.
    assert np.abs(correlation).max() < 5 / np.sqrt(m)
    # and their mean square is 1 / m, itself known to sqrt(2 / 780) = 5 %: four of those.
    np.testing.assert_allclose(np.mean(correlation**2) * m, 1, atol=4 * np.sqrt(2 / correlation.size))
