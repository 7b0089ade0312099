"""Transforms that are kept from one pass over a series to the next."""

from collections.abc import Iterator
from functools import partial

import numpy as np
import pytest
import torch
from motion_cases import PIXEL_A, movie

from eucentric.core import InputError
from eucentric.processing.motion import FrameTransform, KeptTransforms, estimate_series, sum_movie
from eucentric.processing.motion.transforms import transformed

DRIFT_A = np.outer(np.arange(4), (1.5, -0.8))
ONE_BYTES = 4 * 65 * 33 * 8  # of the four transforms of a movie of 65 x 65 pixels


class Movies:
    """Three small movies that count how often each was read."""

    def __init__(self) -> None:
        self.frames = [movie(DRIFT_A, size=65, seed=seed) for seed in range(3)]
        self.read = [0, 0, 0]

    def of(self, which: int) -> Iterator[torch.Tensor]:
        self.read[which] += 1
        yield from self.frames[which]


@pytest.mark.parametrize(("room", "read"), [(10 * ONE_BYTES, [1, 1, 1]), (2 * ONE_BYTES, [1, 1, 2]), (0, [2, 2, 2])])
def test_movies_are_read_once_where_there_is_room_and_nothing_else_changes(room: int, read: list[int]) -> None:
    movies, kept = Movies(), KeptTransforms(room)
    readers = [kept.of(which, partial(movies.of, which)) for which in range(3)]
    tracks = estimate_series(readers, PIXEL_A).tracks
    plainly = estimate_series([partial(iter, one) for one in movies.frames], PIXEL_A).tracks
    assert tracks == plainly
    for track, reader, frames in zip(tracks, readers, movies.frames, strict=True):
        assert track is not None
        once, anew = (sum_movie(given, track, PIXEL_A) for given in (reader(), frames))
        assert torch.equal(once.weighted, anew.weighted)
    assert movies.read == read


def test_what_was_given_again_makes_room_for_others() -> None:
    movies, kept = Movies(), KeptTransforms(ONE_BYTES)
    for which in (0, 0, 1, 1, 0, 0):
        assert len(list(kept.of(which, partial(movies.of, which))())) == 4
    assert movies.read == [2, 1, 0]


def test_a_movie_that_breaks_off_is_not_kept() -> None:
    good = movie(DRIFT_A, size=65)

    def broken() -> Iterator[torch.Tensor]:
        yield good[0]
        raise InputError("This movie breaks off.")

    kept = KeptTransforms()
    for _ in range(2):
        with pytest.raises(InputError, match="breaks off"):
            list(kept.of(0, broken)())
    assert len(list(kept.of(0, lambda: good)())) == 4


def test_a_transform_is_left_as_it_is() -> None:
    one = transformed(torch.ones(6, 5))
    assert isinstance(one, FrameTransform)
    assert one.shape_yx == (6, 5)
    assert transformed(one) is one
