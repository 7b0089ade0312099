"""How places move against each other: what patches say, and the smooth field that all of a series make of it."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from scipy.fft import prev_fast_len

from eucentric.core import InputError
from eucentric.processing.motion.likelihood import evaluate
from eucentric.processing.motion.records import LocalField
from eucentric.processing.motion.spectra import FrameSpectra, stack_spectra
from eucentric.processing.motion.splines import control_places_yx_A, spline_weights
from eucentric.processing.motion.track import STILL, Powers, TrackEvidence

Array = NDArray[np.float64]

_PATCH_A = 700.0  # side of a patch, about: smaller ones hold too little signal at 3 e/Å²
_FEWEST, _MOST = 2, 6  # patches along an axis
_TIMES = 2  # movement in time: even, and settling
_STEPS = 5
_LEAST_PX = 16  # of a patch, on the coarse grid
_TOLD = 0.9  # share of the information that patches use: the rest is fine detail, and slow
_BROAD_A = 8.0  # before patches are laid side by side, each may move so far
_ANYWHERE_A = 30.0  # what all patches share is the track's own, and is left to it
_AMPLITUDES_A = np.array([0.0, 0.25, 0.5, 1.0, 2.0, 4.0, 8.0])
_LENGTHS = (0.35, 0.7, 1.4)  # over which places move alike, in shares of the field
_DOUBT = 0.2  # chance that nothing moves, above which nothing is moved: a field that is not there would blur
_ROUNDS = 30
_STILL_AT_FIRST = 0.5  # share of exposures believed to be without local movement, before any is seen
_FIELD_POINTS = 9  # along an axis, over which a field's mean is taken


@dataclass(frozen=True, eq=False)
class PatchEvidence:
    """What patches of an exposure say of their movement against the whole.

    Attributes
    ----------
    places_yx_A
        (p, 2), centres from that of the image.
    field_yx_A
        Size of the image.
    time
        (frames, times), columns orthogonal, of mean 0 and mean square 1.
    observed_yx_A
        (p, times, 2): amplitude that each patch alone asks for.
    variance_A2
        (p): of each amplitude along one axis; patches overlap, which is allowed for.
    """

    places_yx_A: Array
    field_yx_A: tuple[float, float]
    time: Array
    observed_yx_A: Array
    variance_A2: Array


def weigh_patches(spectra: FrameSpectra, track: TrackEvidence, pixel_A: float) -> PatchEvidence | None:
    """Ask patches how they move against the whole; None where the field or the frames are too few.

    Parameters
    ----------
    spectra
        Of the whole frames.
    track
        Of the whole.
    pixel_A
        Of the frames.
    """
    n, shape_yx = spectra.frames, spectra.shape_yx
    field = (shape_yx[0] * pixel_A, shape_yx[1] * pixel_A)
    along = tuple(int(np.clip(round(2 * side / _PATCH_A) - 1, 1, _MOST)) for side in field)
    if n < 4 or max(along) < _FEWEST or not track.information > 0:
        return None
    part = spectra.cut(track.resolution_with_A(_TOLD))
    frames = part.as_images()
    rows, columns = frames.shape[1:]
    small = (field[0] / rows, field[1] / columns)  # pixels of the coarse frames
    time = _times(n)
    # Even sizes are transformed faster.
    size = tuple(2 * prev_fast_len(m // (g + 1), real=True) for m, g in zip((rows, columns), along, strict=True))
    if min(size) < _LEAST_PX:  # what the frames show is coarser than patches
        return None
    places, observed, variance = [], [], []
    for i in range(along[0]):
        for j in range(along[1]):
            top = round(i * (rows - size[0]) / max(along[0] - 1, 1))
            left = round(j * (columns - size[1]) / max(along[1] - 1, 1))
            patch = frames[:, top : top + size[0], left : left + size[1]]
            found = _weigh_patch(patch, small, track, time)
            if found is None:
                return None
            amplitude, information = found
            places.append(((top + size[0] / 2 - rows / 2) * small[0], (left + size[1] / 2 - columns / 2) * small[1]))
            observed.append(amplitude)
            variance.append(1 / information)
    # Each pixel is counted by so many patches as their areas exceed the field's.
    repeats = len(places) * size[0] * size[1] / (rows * columns)
    return PatchEvidence(np.array(places), field, time, np.array(observed), np.array(variance) * max(1.0, repeats))


def _weigh_patch(
    patch: torch.Tensor, pixel_yx_A: tuple[float, float], track: TrackEvidence, time: Array
) -> tuple[Array, float] | None:
    """Return the amplitudes (times, 2) that a patch asks for, and the information on each, 1/Å²."""
    n, pixel_A = len(patch), pixel_yx_A[0]
    # Pixels are square but for a rounding of the coarse grid, which shifts of some Å do not feel.
    try:
        spectra = stack_spectra(patch, pixel_A)
    except InputError:  # a patch without contents
        return None
    signal = np.interp(spectra.grid.ring_k, track.ring_k, track.powers.signal, right=0.0)
    noise = np.interp(spectra.grid.ring_k, track.ring_k, track.powers.noise)
    # Transforms are not scaled: the scale between patch and whole is that of their powers.
    whole = float(np.sum((n * (signal + noise) * spectra.grid.counts)[1:]))
    own = float(np.sum(spectra.power[1:]))
    if not (own > 0 and whole > 0):
        return None
    powers = Powers(signal * own / whole, noise * own / whole)
    weights, stiff = powers.weights(n), powers.information(spectra.grid, n) * n * n
    if not stiff > 0:
        return None
    amplitude = np.zeros((time.shape[1], 2))
    for _ in range(_STEPS):
        evaluation = evaluate(spectra, weights, track.start_yx_A + time @ amplitude)
        asked = amplitude + time.T @ evaluation.gradient / stiff
        step = (stiff * asked) / (stiff + _BROAD_A**-2) - amplitude
        if np.square(step).mean() * stiff < STILL**2:
            break
        amplitude = amplitude + step
    return asked, stiff


def _times(n: int) -> Array:
    """Return orthogonal polynomials over the frames, without the constant."""
    at = np.linspace(-1, 1, n)
    basis, _ = np.linalg.qr(np.stack([at**power for power in range(_TIMES + 1)], axis=1))
    return np.asarray(basis[:, 1:] * np.sqrt(n))


class LocalPrior:
    """How much, and over what distance, places of a series move against each other: learned from all of it.

    Parameters
    ----------
    evidence
        What the patches of each exposure say; those without may be left out.
    """

    def __init__(self, evidence: Sequence[PatchEvidence]) -> None:
        shares = np.full(len(_AMPLITUDES_A), (1 - _STILL_AT_FIRST) / (len(_AMPLITUDES_A) - 1))
        shares[0] = _STILL_AT_FIRST
        self.length, self.shares = _LENGTHS[1], shares
        best = -np.inf
        for length in _LENGTHS:
            logs = np.array([_log_likelihoods(one, length) for one in evidence])
            learned, total = _mixture(logs, shares)
            if total > best:
                best, self.length, self.shares = total, length, learned

    def field(self, evidence: PatchEvidence) -> LocalField | None:
        """Return the field that the patches of an exposure support, or None if none."""
        logs = _log_likelihoods(evidence, self.length) + np.log(np.maximum(self.shares, 1e-12))
        belief = np.exp(logs - logs.max())
        belief /= belief.sum()
        if belief[0] > _DOUBT:
            return None
        shape = _control_shape(evidence)
        design, relation = _design(evidence, shape, self.length)
        control = np.zeros((evidence.time.shape[1], len(relation), 2))
        for share, amplitude in zip(belief[1:], _AMPLITUDES_A[1:], strict=True):
            prior = amplitude**2 * relation @ design.T
            whole = design @ prior + _ANYWHERE_A**2 + np.diag(evidence.variance_A2)
            for time in range(control.shape[0]):
                control[time] += share * prior @ np.linalg.solve(whole, evidence.observed_yx_A[:, time])
        sides = [np.linspace(-0.5, 0.5, _FIELD_POINTS) * side for side in evidence.field_yx_A]
        grid = np.stack(np.meshgrid(*sides, indexing="ij"), axis=-1).reshape(-1, 2)
        over_field = spline_weights(grid, shape, evidence.field_yx_A).mean(axis=0)
        control -= np.einsum("c,tcd->td", over_field, control)[:, None]
        return LocalField(
            shape_yx=shape,
            field_yx_A=evidence.field_yx_A,
            time=tuple(tuple(float(value) for value in row) for row in evidence.time),
            control_yx_A=tuple(tuple((float(y), float(x)) for y, x in one) for one in control),
        )


def _mixture(logs: Array, start: Array) -> tuple[Array, float]:
    """Return the likeliest shares of each amplitude, held to what was believed, and the logarithm of how likely."""
    shares = start
    if not len(logs):
        return shares, 0.0
    for _ in range(_ROUNDS):
        joint = logs + np.log(np.maximum(shares, 1e-12))
        belief = np.exp(joint - joint.max(axis=1, keepdims=True))
        belief /= belief.sum(axis=1, keepdims=True)
        shares = (belief.sum(axis=0) + start) / (len(logs) + 1)
    joint = logs + np.log(np.maximum(shares, 1e-12))
    return shares, float(np.sum(np.logaddexp.reduce(joint, axis=1)))


def _control_shape(evidence: PatchEvidence) -> tuple[int, int]:
    counts = [len(np.unique(np.round(evidence.places_yx_A[:, axis], 3))) for axis in (0, 1)]
    rows, columns = (int(np.clip(count, 3, 5)) for count in counts)
    return rows, columns


def _design(evidence: PatchEvidence, shape: tuple[int, int], length: float) -> tuple[Array, Array]:
    """Return the weights (patches, controls) and how controls are related, at unit amplitude."""
    design = spline_weights(evidence.places_yx_A, shape, evidence.field_yx_A)
    places = control_places_yx_A(shape, evidence.field_yx_A)
    apart2 = np.sum(np.square(places[:, None] - places[None]), axis=2)
    reach = length * max(evidence.field_yx_A)
    return design, np.exp(-0.5 * apart2 / reach**2)


def _log_likelihoods(evidence: PatchEvidence, length: float) -> Array:
    """Return the logarithm of how likely the patches' movement is at each of the amplitudes."""
    design, relation = _design(evidence, _control_shape(evidence), length)
    related = design @ relation @ design.T
    unrelated = _ANYWHERE_A**2 + np.diag(evidence.variance_A2)
    observed = evidence.observed_yx_A.reshape(len(related), -1)  # (patches, times and axes)
    logs = []
    for amplitude_A in _AMPLITUDES_A:
        lower = np.linalg.cholesky(amplitude_A**2 * related + unrelated)
        white = np.linalg.solve(lower, observed)
        logs.append(-white.shape[1] * np.log(np.diag(lower)).sum() - 0.5 * np.sum(np.square(white)))
    return np.array(logs)
