"""`Sensor`: one camera with its own pixels, and its exposures."""

import math

import numpy as np
from numpy.typing import NDArray

from eucentric.core import InputError, stream
from eucentric.core.counter import stream_key
from eucentric.detector.camera import Detector
from eucentric.detector.counting import COUNTS_MAX, MOST_INTERNAL_FRAMES, count, count_merged
from eucentric.detector.pixels import FLICKERING_ON, Defects, find_defects, pattern

Floats = NDArray[np.float32]
Counts = NDArray[np.uint16]

MOST_E_PX = 60_000.0
"""The most electrons a pixel may expect in a frame: 22 standard deviations below the largest count of 16 bits."""


class Sensor:
    """One camera: a kind of detector, its pixels, and the seed that all of it follows from.

    Every effect draws from streams of its own: with one switched off, the draws of the others stay as they are.

    Parameters
    ----------
    detector
        What kind of camera it is.
    shape_yx
        Rows and columns.
    seed
        Seed of its pixels and of every exposure.

    Attributes
    ----------
    sensitivity
        (y, x) float32: what share of the mean each pixel really counts; mean 1 over those that are not dead, which
        have 0. Read-only.
    gain_reference
        (y, x) float32: what raw counts are multiplied by; mean 1 over pixels that are not dead, which have 0; as
        recalled, RELION takes that as the mark of a pixel to be filled in. Hot ones are not marked, and
        drift is not in it. Read-only.
    defects
        The pixels at fault.

    Raises
    ------
    InputError
        If the shape is empty.
    """

    def __init__(self, detector: Detector, shape_yx: tuple[int, int], seed: int) -> None:
        if min(shape_yx) < 1:
            raise InputError(f"a camera of {shape_yx} pixels records nothing.", "Give it rows and columns.")
        self.detector = detector
        self.shape_yx = shape_yx
        self.seed = seed
        self.defects: Defects = find_defects(detector, shape_yx, seed)
        alive = np.ones(shape_yx, bool)
        alive[tuple(self.defects.dead_yx.T)] = False
        known = pattern(shape_yx, detector.gain_rms, seed, "gain")
        self.sensitivity: Floats = _scaled(known * pattern(shape_yx, detector.gain_drift_rms, seed, "drift"), alive)
        self.gain_reference: Floats = _scaled(np.reciprocal(known), alive)

    def read(self, expected_e_px: Floats, seconds: float, name: str | int, *names: str | int) -> Counts:
        """Return the raw counts of one frame, uint16, without gain correction.

        Parameters
        ----------
        expected_e_px
            (y, x) electrons that arrive in this frame in the mean, already blurred by the MTF
            (`Detector.mtf_at`), not yet thinned by detection. Below 0, where that filter overshoots, none arrive.
        seconds
            How long the frame lasts: coincidence and hot pixels depend on it.
        name, names
            Path of the frame's random streams, such as ``"tilt", 3, "frame", 0``; the same path gives the same counts.

        Raises
        ------
        InputError
            If the time is not above 0, or too long for one frame; or if the image has another shape than the camera, a
            value that is not finite, or one above `MOST_E_PX`.
        """
        image = self._checked(expected_e_px)
        internal_frames = self._internal_frames(seconds)
        path = ("detector", "frame", name, *names)
        counts = np.empty(self.shape_yx, np.uint16)
        key, q = stream_key(self.seed, *path, "electrons"), self.detector.detection
        if self.detector.coincidence:
            frames_key = stream_key(self.seed, *path, "internal frames")
            count_merged(image, self.sensitivity, q, internal_frames, key, frames_key, counts)
        else:
            count(image, self.sensitivity, q, key, counts)
        self._add_faults(counts, seconds, internal_frames, path)
        return counts

    def _internal_frames(self, seconds: float) -> int:
        if not (math.isfinite(seconds) and seconds > 0):
            raise InputError(f"a frame cannot last {seconds} s; nothing was recorded.", "Give a time above 0.")
        internal_frames = max(1, round(seconds * self.detector.internal_frames_per_s))
        if internal_frames > MOST_INTERNAL_FRAMES:
            raise InputError(
                f"a frame of {seconds:g} s would sum {internal_frames} of the camera's own, more than the "
                f"{MOST_INTERNAL_FRAMES} that are simulated; nothing was recorded.",
                "Divide the exposure into more frames.",
            )
        return internal_frames

    def _add_faults(self, counts: Counts, seconds: float, internal_frames: int, path: tuple[str | int, ...]) -> None:
        """Add what hot and flickering pixels count without electrons, and silence dead ones."""
        defects = self.defects
        extra = stream(self.seed, *path, "hot").poisson(defects.hot_per_s * seconds)
        _add(counts, defects.hot_yx, extra, internal_frames)
        flickering = stream(self.seed, *path, "flickering")
        on = flickering.random(len(defects.flickering_yx)) < FLICKERING_ON
        extra = flickering.poisson(defects.flickering_per_s * seconds) * on
        _add(counts, defects.flickering_yx, extra, internal_frames)
        counts[tuple(defects.dead_yx.T)] = 0

    def _checked(self, expected_e_px: Floats) -> Floats:
        image = np.ascontiguousarray(expected_e_px, np.float32)
        if image.shape != self.shape_yx:
            raise InputError(
                f"an image of {image.shape} cannot fall on a camera of {self.shape_yx}; nothing was recorded."
            )
        least, most = float(image.min()), float(image.max())
        if not (math.isfinite(least) and math.isfinite(most)):
            raise InputError("the expected image holds values that are not finite; nothing was recorded.")
        if most > MOST_E_PX:
            raise InputError(
                f"{most:.3g} electrons a pixel are expected in one frame, which 16 bits may not hold; nothing was "
                "recorded.",
                "Divide the exposure into more frames.",
            )
        return image


def _scaled(values: NDArray[np.floating], alive: NDArray[np.bool_]) -> Floats:
    """Return `values` with mean 1 where `alive`, and 0 elsewhere; read-only, as every frame relies on them."""
    mean = values.mean(dtype=np.float64, where=alive) if alive.any() else 1.0
    scaled = np.where(alive, values / np.float32(mean), np.float32(0))
    scaled.flags.writeable = False
    return scaled


def _add(counts: Counts, places_yx: NDArray[np.intp], extra: NDArray[np.integer], most: int) -> None:
    """Add the counts of hot pixels: no more than one in an internal frame, and no more than 16 bits hold."""
    at = tuple(places_yx.T)
    total = counts[at].astype(np.int64) + np.minimum(extra, most)
    counts[at] = np.minimum(total, COUNTS_MAX)
