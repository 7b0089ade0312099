"""Random numbers by counter, for compiled loops: number i of a key is the same whoever works it out, and when.

SplitMix64 (Steele, Lea & Flood 2014, 10.1145/2714064.2660195) as a function of key and counter. `core.stream` serves
everything else. Imported by name, as it loads numba.
"""

import hashlib

import numpy as np

from eucentric.core.jit import compiled

_GOLDEN = np.uint64(0x9E3779B97F4A7C15)
_FIRST = np.uint64(0xBF58476D1CE4E5B9)
_SECOND = np.uint64(0x94D049BB133111EB)
_TO_UNIT = 2.0**-53


def stream_key(seed: int, *names: str | int) -> np.uint64:
    """Return the 64-bit key of a seed and a path of names, as `core.stream` names them."""
    path = "\x1f".join([str(seed), *(f"{type(name).__name__}:{name}" for name in names)])
    return np.uint64(int.from_bytes(hashlib.sha256(path.encode()).digest()[16:24], "little"))


@compiled()
def random_bits(key: np.uint64, counter: np.uint64) -> np.uint64:
    """Return the 64 random bits at a place of a key's sequence; both arguments must be uint64."""
    bits = key + (counter + np.uint64(1)) * _GOLDEN
    bits = (bits ^ (bits >> np.uint64(30))) * _FIRST
    bits = (bits ^ (bits >> np.uint64(27))) * _SECOND
    return bits ^ (bits >> np.uint64(31))


@compiled()
def uniform(key: np.uint64, counter: np.uint64) -> float:
    """Return a uniform number in [0, 1), of 53 bits."""
    return float(random_bits(key, counter) >> np.uint64(11)) * _TO_UNIT


@compiled()
def row_key(key: np.uint64, row: int) -> np.uint64:
    """Return the key of one row of an image, so that rows can be drawn in any order and in parallel."""
    return random_bits(key ^ _SECOND, np.uint64(row))
