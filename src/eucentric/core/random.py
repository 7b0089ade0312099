"""Named random streams: a new effect never shifts the draws of another."""

import hashlib

import numpy as np


def stream(seed: int, *names: str | int) -> np.random.Generator:
    """Return the generator that belongs to a seed and a path of names.

    Parameters
    ----------
    seed
        The run's seed.
    *names
        Path of the stream, for example ``stream(0, "noise", tilt)``; a path that differs anywhere gives
        an independent stream, and the same path always gives the same numbers.

    Returns
    -------
    numpy.random.Generator
        A counter-based Philox generator keyed with the SHA-256 of seed and path.
    """
    path = "\x1f".join([str(seed), *(f"{type(name).__name__}:{name}" for name in names)])
    key = np.frombuffer(hashlib.sha256(path.encode()).digest()[:16], dtype=np.uint64)
    return np.random.Generator(np.random.Philox(key=key))
