"""Random numbers by counter: known values, even bits, and keys and rows that know nothing of each other."""

import hashlib

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray
from scipy import stats

from eucentric.core.counter import random_bits, row_key, stream_key, uniform
from eucentric.core.jit import compiled

laws = settings(max_examples=50, deadline=None, derandomize=True)
words = st.integers(0, 2**64 - 1)


@compiled()
def fill(key: np.uint64, numbers: NDArray[np.float64]) -> None:
    for i in range(numbers.size):
        numbers[i] = uniform(key, np.uint64(i))


@compiled()
def fill_rows(key: np.uint64, numbers: NDArray[np.float64]) -> None:
    for y in range(numbers.shape[0]):
        fill(row_key(key, y), numbers[y])


def test_the_bits_are_those_of_splitmix64() -> None:
    """The generator's published first outputs from the state 0."""
    known = [0xE220A8397B1DCDAF, 0x6E789E6AA1B965F4, 0x06C45D188009454F]
    assert [int(random_bits(np.uint64(0), np.uint64(i))) for i in range(3)] == known


@laws
@given(words, words)
def test_the_bits_are_a_function_of_key_and_counter_in_whole_numbers(key: int, counter: int) -> None:
    """Against Python's integers: a uint64 that became a float on the way would lose its last bits."""
    most = 2**64 - 1
    bits = (key + (counter + 1) * 0x9E3779B97F4A7C15) & most
    bits = ((bits ^ (bits >> 30)) * 0xBF58476D1CE4E5B9) & most
    bits = ((bits ^ (bits >> 27)) * 0x94D049BB133111EB) & most
    bits ^= bits >> 31
    assert int(random_bits(np.uint64(key), np.uint64(counter))) == bits
    assert uniform(np.uint64(key), np.uint64(counter)) == (bits >> 11) / 2**53


def test_keys_and_rows_are_pinned() -> None:
    """The bytes of a simulated movie rest on these: a change here changes every one of them."""
    digest = hashlib.sha256(b"7\x1fstr:noise\x1fint:3").digest()
    assert int(stream_key(7, "noise", 3)) == int.from_bytes(digest[16:24], "little")
    assert stream_key(7, "noise", 3) != stream_key(7, "noise", "3")
    assert int(row_key(np.uint64(1), 0)) == 0x2398D0BF6E99CC3F
    assert int(row_key(np.uint64(1), 5)) == 0xAAFAC670DD6D1487


@pytest.mark.parametrize("key", [0, 1, 2**64 - 1, int(stream_key(0, "a"))])
def test_numbers_are_even(key: int) -> None:
    numbers = np.empty(200_000)
    fill(np.uint64(key), numbers)
    assert 0 <= numbers.min() < numbers.max() < 1
    # Chance that a fair generator fails: 1e-4 for each, and the keys are fixed.
    assert stats.kstest(numbers, "uniform").pvalue > 1e-4
    last_bits = np.floor(numbers * 2**53).astype(np.uint64) & np.uint64(255)
    assert stats.chisquare(np.bincount(last_bits.astype(int), minlength=256)).pvalue > 1e-4


def test_rows_neighbours_and_near_keys_are_uncorrelated() -> None:
    n, m = 40, 4096
    rows = np.empty((n, m))
    fill_rows(np.uint64(3), rows)
    near = np.empty((n, m))
    for key in range(n):
        fill(np.uint64(row_key(np.uint64(key), 0)), near[key])
    shifted = np.stack([np.roll(rows[0], i) for i in range(n)])
    for numbers in (rows, near, shifted):
        correlation = np.corrcoef(numbers)[np.triu_indices(n, 1)]
        # Of 780 coefficients of independent numbers (standard deviation 1 / sqrt m), none should reach 5 of those.
        assert np.abs(correlation).max() < 5 / np.sqrt(m)
