"""The transforms of frames: each is needed twice, once to see how the specimen moved, and once to sum it."""

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass

from torch import Tensor

from eucentric.processing.operators import transform

_ROOM_BYTES = 1 << 30


@dataclass(frozen=True, eq=False)
class FrameTransform:
    """The transform of a frame.

    Attributes
    ----------
    values
        (y, x // 2 + 1) complex64; not to be written into.
    shape_yx
        Of the frame.
    """

    values: Tensor
    shape_yx: tuple[int, int]


Frame = Tensor | FrameTransform
"""A frame, (y, x) float32, gain corrected, on any device; or its transform, where it is at hand."""

Frames = Callable[[], Iterable[Frame]]
"""Gives the frames of one exposure, anew at each call."""


def transformed(frame: Frame) -> FrameTransform:
    """Return the transform of a frame."""
    if isinstance(frame, FrameTransform):
        return frame
    return FrameTransform(transform(frame), (int(frame.shape[0]), int(frame.shape[1])))


class KeptTransforms:
    """Keeps the transforms of the movies of a series, as long as there is room, until they are asked for again.

    Small series are so read and transformed once where they would be twice; of large ones, the first movies are.

    Parameters
    ----------
    room_bytes
        That may be taken.
    """

    def __init__(self, room_bytes: int = _ROOM_BYTES) -> None:
        self._room = room_bytes
        self._kept: dict[int, list[FrameTransform]] = {}

    def of(self, movie: int, frames: Frames) -> Frames:
        """Return what gives the transforms of a movie's frames: those that were kept (until now), or else new ones.

        Parameters
        ----------
        movie
            Its number: which one it is.
        frames
            Reads its frames.
        """
        return lambda: self._give(movie, frames)

    def _give(self, movie: int, frames: Frames) -> Iterator[FrameTransform]:
        kept = self._kept.pop(movie, None)
        if kept is not None:
            self._room += sum(_bytes(one) for one in kept)
            yield from kept
            return
        keeping: list[FrameTransform] | None = []
        taken = 0
        for frame in frames():
            one = transformed(frame)
            taken += _bytes(one)
            if taken > self._room:
                keeping = None
            if keeping is not None:
                keeping.append(one)
            yield one
        if keeping:  # only of movies that were read to their end
            self._room -= taken
            self._kept[movie] = keeping


def _bytes(one: FrameTransform) -> int:
    return one.values.numel() * one.values.element_size()
