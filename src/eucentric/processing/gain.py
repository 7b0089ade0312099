"""The camera's own pattern: how a gain reference lies against frames, which pixels are defective, and both undone."""

from itertools import product
from typing import Annotated, Literal

import numpy as np
from numpy.typing import NDArray
from pydantic import Field
from scipy.ndimage import median_filter, uniform_filter

from eucentric.core import InputError, Record, stream
from eucentric.core.jit import compiled, parallel_range

Floats = NDArray[np.float32]
Mask = NDArray[np.bool_]

_HIGH_PASS_PX = 9  # what is wider is specimen and beam, what is narrower the camera
_SURE = 6.0  # standard deviations by which an orientation must stand out
_DEFECT = 7.0  # standard deviations of a pixel from those around it: by chance one in 10^12
_LINE = 8.0  # of a whole row's or column's mean
_AROUND_PX = 5
_FEWEST_e = 4.0  # electrons a pixel, below which one that counted nothing may do so by chance
_FARTHEST_PX = 12


class GainOrientation(Record):
    """How a gain reference is turned to lie as the frames do.

    `flipped` turns its rows over (top to bottom) before the `quarter_turns`, which turn as `numpy.rot90` turns arrays.
    `divides`: counts are divided by it, not multiplied.
    """

    quarter_turns: Literal[0, 1, 2, 3] = 0
    flipped: bool = False
    divides: bool = False

    def apply(self, gain: Floats) -> Floats:
        """Return what the frames' counts are multiplied with, (y, x); zero where the reference is."""
        turned = np.rot90(gain[::-1] if self.flipped else gain, self.quarter_turns)
        if self.divides:
            turned = np.divide(1, turned, out=np.zeros(turned.shape, np.float32), where=turned > 0)
        return np.ascontiguousarray(turned, dtype=np.float32)


class GainVerdict(Record):
    """Which orientation the frames speak for.

    Attributes
    ----------
    orientation
        The best.
    scores
        Of every orientation that fits the frames' shape, standard deviations from no likeness; named ``turns`` and,
        where flipped, ``f``: "0", "1f".
    margin
        Standard deviations between the best and the next.
    unsure
        Why it should not be relied on, in words; empty where it can be.
    """

    orientation: GainOrientation
    scores: dict[str, float]
    margin: Annotated[float, Field(ge=0)]
    unsure: str = ""


def find_orientation(mean_counts: Floats, gain: Floats) -> GainVerdict:
    """Find how a gain reference lies against uncorrected frames.

    Parameters
    ----------
    mean_counts
        (y, x), of as many frames as there are, uncorrected.
    gain
        (y, x), as read.

    Raises
    ------
    InputError
        If no way of turning gives it the frames' shape, or the frames hold nothing.
    """
    if not mean_counts.any():
        raise InputError("The frames hold nothing: their gain cannot be found.", "Check the movies.")
    seen, expected = _pattern(mean_counts), _pattern(gain)  # the filter is the same whichever way the gain lies
    scale = float(np.linalg.norm(seen) * np.linalg.norm(expected))
    scores: dict[str, float] = {}
    found: dict[str, GainOrientation] = {}
    for flipped, turns in product((False, True), (0, 1, 2, 3)):
        orientation = GainOrientation(quarter_turns=turns, flipped=flipped)
        turned = orientation.apply(expected)
        if turned.shape != mean_counts.shape:
            continue
        alike = float(np.vdot(seen, turned)) / scale * np.sqrt(seen.size) if scale > 0 else 0.0
        name = f"{turns}{'f' if flipped else ''}"
        # Where a pixel counts too much, a gain that multiplies is small.
        scores[name] = abs(alike)
        found[name] = orientation.replace(divides=alike > 0)
    if not found:
        raise InputError(
            f"The gain reference has {gain.shape} pixels, the frames {mean_counts.shape}: it is not of this camera or "
            "binning.",
            "Give the gain reference of these movies.",
        )
    ranked = sorted(scores, key=lambda name: -scores[name])
    best, margin = ranked[0], scores[ranked[0]] - (scores[ranked[1]] if len(ranked) > 1 else 0.0)
    unsure = ""
    if scores[best] < _SURE:
        unsure = "the frames show nothing of the gain's pattern: they may be corrected already, or the gain is flat"
        as_is = found.get("0")
        return GainVerdict(
            orientation=GainOrientation() if as_is is not None else found[best],
            scores=scores,
            margin=max(margin, 0.0),
            unsure=unsure,
        )
    if margin < _SURE:
        unsure = f"the next orientation ({ranked[1]}) fits nearly as well"
    return GainVerdict(orientation=found[best], scores=scores, margin=margin, unsure=unsure)


def find_defects(total: Floats, gain: Floats | None = None) -> Mask:
    """Find pixels that count what their neighbours do not.

    Parameters
    ----------
    total
        (y, x), electrons of many frames summed, uncorrected.
    gain
        What counts are multiplied with; zero marks a defect.

    Returns
    -------
    numpy.ndarray
        (y, x), true for hot and dead pixels, and for rows and columns that differ from those beside them.
    """
    corrected = total.astype(np.float32) if gain is None else total * gain
    defects: Mask = np.zeros(total.shape, bool) if gain is None else gain <= 0
    if not total.any():
        return defects
    around = median_filter(corrected, _AROUND_PX, mode="mirror")
    # Of Poisson counts this has a variance of 1, whatever their mean: Anscombe 1948, 10.2307/2332343.
    deviation = 2 * (np.sqrt(np.maximum(corrected, 0) + 0.375) - np.sqrt(np.maximum(around, 0) + 0.375))
    spread = max(1.0, 1.4826 * float(np.median(np.abs(deviation))))
    defects |= deviation > _DEFECT * spread
    defects |= (deviation < -_DEFECT * spread) & (around >= _FEWEST_e)
    defects |= (total == 0) & (around >= max(_FEWEST_e, 1.5 * _DEFECT))
    clean = np.where(defects, 0, np.clip(deviation, -_DEFECT, _DEFECT))
    for axis in (0, 1):
        means = clean.mean(axis=1 - axis)
        means = means - median_filter(means, 2 * _AROUND_PX + 1, mode="mirror")
        lines = np.abs(means) > _LINE * max(
            spread / np.sqrt(total.shape[1 - axis]), 1.4826 * float(np.median(np.abs(means)))
        )
        defects |= lines[:, None] if axis == 0 else lines[None, :]
    return defects


class FrameCorrector:
    """Makes corrected frames of raw ones: gain, and a neighbour's value in place of a defective pixel's.

    The neighbour is drawn once, seeded, so that noise stays as strong as elsewhere and the same input gives the same
    output; specimens hardly differ over its distance.

    Parameters
    ----------
    gain
        (y, x), what counts are multiplied with; None if frames are corrected already.
    defects
        (y, x), true where a pixel is not to be believed; None if all are.

    Raises
    ------
    InputError
        If they differ in shape, or so many pixels are defective that some have no good neighbour.
    """

    def __init__(self, gain: Floats | None, defects: Mask | None) -> None:
        if gain is not None and defects is not None and gain.shape != defects.shape:
            raise InputError(f"The gain reference has {gain.shape} pixels, the map of defects {defects.shape}.")
        self._gain = None if gain is None else np.ascontiguousarray(gain, dtype=np.float32)
        masks = [mask for mask in (None if self._gain is None else self._gain <= 0, defects) if mask is not None]
        bad: Mask = np.logical_or.reduce(masks) if masks else np.zeros((0, 0), bool)
        self._shape = bad.shape if masks else None
        self._bad, self._good = _replacements(bad)

    def __call__(self, frame: NDArray[np.generic]) -> Floats:
        """Return a frame (y, x), corrected.

        Raises
        ------
        InputError
            If it has another shape than the gain.
        """
        if self._shape is not None and frame.shape != self._shape:
            raise InputError(
                f"The frame has {frame.shape} pixels, the gain reference {self._shape}.",
                "Give the gain reference of these movies.",
            )
        corrected = np.empty(frame.shape, np.float32)
        if self._gain is None:
            corrected[...] = frame
        else:
            _multiply(frame, self._gain, corrected)
        flat = corrected.reshape(-1)
        flat[self._bad] = flat[self._good]
        return corrected


@compiled(parallel=True)
def _multiply(frame: NDArray[np.generic], gain: Floats, corrected: Floats) -> None:
    for row in parallel_range(frame.shape[0]):
        for column in range(frame.shape[1]):
            corrected[row, column] = np.float32(frame[row, column]) * gain[row, column]


def _replacements(bad: Mask) -> tuple[NDArray[np.intp], NDArray[np.intp]]:
    """Return, for each defective pixel, a good one near by; both as indices into the flattened frame."""
    places = np.argwhere(bad)
    if not len(places):
        return np.zeros(0, np.intp), np.zeros(0, np.intp)
    drawn = stream(0, "defects")
    chosen = np.full((len(places), 2), -1)
    open_ones = np.arange(len(places))
    reach = 1
    while len(open_ones):
        if reach > max(_FARTHEST_PX, max(bad.shape) // 8):
            raise InputError(
                f"{len(places)} of {bad.size} pixels are defective, some without a good one near by.",
                "Check the gain reference.",
            )
        for _ in range(8):  # of some tries at this distance one finds a good pixel, unless there is none
            offsets = drawn.integers(-reach, reach + 1, (len(open_ones), 2))
            tried = places[open_ones] + offsets
            inside = ((tried >= 0) & (tried < bad.shape)).all(axis=1)
            good = np.array(inside, dtype=bool)
            good[inside] = ~bad[tried[inside, 0], tried[inside, 1]]
            chosen[open_ones[good]] = tried[good]
            open_ones = open_ones[~good]
            if not len(open_ones):
                break
        reach += 1
    columns = bad.shape[1]
    return places[:, 0] * columns + places[:, 1], chosen[:, 0] * columns + chosen[:, 1]


def _pattern(image: Floats) -> Floats:
    """Return what of the logarithm of an image is finer than the specimen."""
    positive = image[image > 0]
    logarithm = np.log(np.maximum(image, 0.05 * float(np.median(positive)) if len(positive) else 1.0))
    fine = logarithm - uniform_filter(logarithm, _HIGH_PASS_PX, mode="mirror")
    limit = 6 * 1.4826 * float(np.median(np.abs(fine)))
    return np.clip(fine, -limit, limit).astype(np.float32) if limit > 0 else fine.astype(np.float32)
