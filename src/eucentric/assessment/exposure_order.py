"""Whether a series' images fade in the order in which they are said to have been recorded.

What a tilt shows of the specimen fades with the exposure received before, fine detail first; ice does not. With halves
of its frames (even and odd), the signal of a tilt is what the two share: their cross spectrum, free of noise on the
mean. Its course over the tilts is modelled, band by band, as

    A (1 + structure) exp(m (1/cos tilt - 1)) (u + (1 - u) exp(-c E / Ne(k))),

with amplitude A, thickness m, the share u that does not fade, the specimen's sensitivity c, and a structure that
changes smoothly with the tilt (a Gaussian process); all are integrated out. Orders differ by E alone, so their
likelihoods can be compared. Two orders that give every tilt nearly the same exposure cannot be told apart, and are not
compared.
"""

import itertools
import math
from collections.abc import Mapping, Sequence

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy.special import logsumexp

from eucentric.core import Record
from eucentric.optics import critical_exposure_e_A2, surviving_amplitude

Array = NDArray[np.float64]

BAND_EDGES_A = (60.0, 40.0, 30.0, 22.0, 16.0, 12.0)
_SHARPNESS = 2.0  # neighbouring bands share their structure: log-likelihoods are divided by so much
_SENSITIVITIES = (0.6, 1.0, 1.6)  # around Grant & Grigorieff's curve: specimens and microscopes differ
_UNDAMAGED = (0.0, 0.2, 0.5)
_PATHS = (-1.0, 0.0, 1.0, 2.0)  # m: from one that thickness dims to one that shows more as it lies more obliquely
_ROUGHNESS = (0.1, 0.3)  # of the structure, against the signal
_TURN_DEG, _DRIFT_DEG, _DRIFT = 12.0, 60.0, 0.5  # over which it changes; and what changes over the whole range
_ALIKE = 0.9  # correlation of the exposures of two orders that no image tells apart
_DRAWS = 8
_FEWEST_TILTS = 7


class OrderVerdict(Record):
    """How the claimed order compares with those that it may be mistaken for.

    Attributes
    ----------
    rival
        The likeliest of the others, in words; empty where all of them are too like the claimed one.
    log_odds
        Log of how much likelier the claimed order is than that; negative where less. Evidence is halved, since bands
        share their structure.
    expected
        The same as it would come out, in the mean, were the claimed order true and the signal what it is.
    power
        How often it would then come out above `SURE`: what the check is able to tell.
    """

    rival: str = ""
    log_odds: float = 0.0
    expected: float = 0.0
    power: float = 0.0


SURE = 3.0
"""Log odds of twenty to one."""


class HalfSignal(Record):
    """What the halves of one tilt share, in each band, over the square of the mean count; and its error."""

    cross: tuple[float, ...]
    error: tuple[float, ...]


def half_signal(
    even: ArrayLike, odd: ArrayLike, pixel_A: float, *, weighted_e_A2: float = 0.0, voltage_kV: float = 300.0
) -> HalfSignal:
    """Return what two half images (y, x) of one tilt share in the bands between `BAND_EDGES_A`.

    A band beyond the pixels' limit, or of a blank image, has a signal of 0 with an infinite error. Halves that were
    weighted by an exposure (e/Å²) are seen as they were before: their weight follows the claimed order.
    """
    first, second = (np.asarray(half, dtype=np.float32) for half in (even, odd))
    window = np.outer(*(np.hanning(side) for side in first.shape)).astype(np.float32)
    k = np.hypot(np.fft.fftfreq(first.shape[0], pixel_A)[:, None], np.fft.rfftfreq(first.shape[1], pixel_A)[None])
    scale = float(abs(first.mean() * second.mean())) * float((window**2).sum())
    shared = float((window**2).mean() ** 2 / (window**4).mean())
    one, other = (np.fft.rfft2((half - half.mean()) * window) for half in (first, second))
    cross, error = [], []
    for coarse, fine in itertools.pairwise(BAND_EDGES_A):
        band = (k >= 1 / coarse) & (k < 1 / fine)
        n = float(band.sum()) * shared
        if 1 / fine > 0.5 / pixel_A or n < 8 or scale <= 0:
            cross.append(0.0)
            error.append(math.inf)
            continue
        weight = surviving_amplitude(k[band], weighted_e_A2, voltage_kV) ** 2
        product = (one[band] * other[band].conj()).real / weight / scale
        cross.append(float(product.mean()))
        error.append(max(float(product.std()), 1e-30) / math.sqrt(n))
    return HalfSignal(cross=tuple(cross), error=tuple(error))


def rival_orders(tilts_deg: Sequence[float]) -> dict[str, Array]:
    """Return the place in the order, from 0, that each tilt has in the orders that are confused with one another."""
    tilts = np.asarray(tilts_deg, dtype=float)
    side = np.where(tilts >= 0, 0, 1)
    orders = {
        "by rising angle": np.argsort(tilts, kind="stable"),
        "by falling angle": np.argsort(-tilts, kind="stable"),
        "from 0° outwards on both sides in turn": np.lexsort((-tilts, np.abs(tilts))),
        "from 0° to the positive end, then to the negative": np.lexsort((np.abs(tilts), side)),
        "from 0° to the negative end, then to the positive": np.lexsort((np.abs(tilts), -side)),
    }
    return {name: np.argsort(order).astype(float) for name, order in orders.items()}


def judge_order(
    signals: Sequence[HalfSignal],
    tilts_deg: Sequence[float],
    pre_exposures_e_A2: Sequence[float],
    exposures_e_A2: Sequence[float],
    *,
    voltage_kV: float = 300.0,
    seed: int = 0,
) -> OrderVerdict:
    """Compare the claimed order of a series with its rivals.

    Parameters
    ----------
    signals
        Of each tilt.
    tilts_deg
        Of the specimen against the beam.
    pre_exposures_e_A2, exposures_e_A2
        What each tilt had received before, and received, in the claimed order.
    voltage_kV
        Of the beam: how fast signal fades.
    seed
        Of the synthetic series that tell the power.
    """
    exposures = np.asarray(exposures_e_A2, dtype=float)
    claimed = np.asarray(pre_exposures_e_A2, dtype=float) + exposures / 2
    rivals: dict[str, Array] = {}
    for name, place in rival_orders(tilts_deg).items():
        by_order = np.argsort(place)
        before = np.empty(len(exposures))
        before[by_order] = np.cumsum(exposures[by_order]) - exposures[by_order] / 2
        if np.ptp(claimed) > 0 and np.corrcoef(before, claimed)[0, 1] < _ALIKE:
            rivals[name] = before
    seen = [at for at, one in enumerate(signals) if np.isfinite(one.error).any()]  # others are blank
    if not rivals or len(seen) < _FEWEST_TILTS:
        return OrderVerdict()
    claimed, rivals = claimed[seen], {name: before[seen] for name, before in rivals.items()}
    course = _Course([signals[at] for at in seen], np.asarray(tilts_deg, dtype=float)[seen], voltage_kV)
    if not course.bands:
        return OrderVerdict()
    found = _odds(course, course.cross, claimed, rivals)
    worst = min(found, key=found.__getitem__)
    rng = np.random.default_rng(seed)
    drawn = [min(_odds(course, course.drawn(claimed, rng), claimed, rivals).values()) for _ in range(_DRAWS)]
    return OrderVerdict(
        rival=worst,
        log_odds=found[worst],
        expected=float(np.mean(drawn)),
        power=float(np.mean([one >= SURE for one in drawn])),
    )


def _odds(course: "_Course", cross: Array, claimed: Array, rivals: Mapping[str, Array]) -> dict[str, float]:
    own = course.log_likelihood(cross, claimed)
    return {name: own - course.log_likelihood(cross, before) for name, before in rivals.items()}


class _Course:
    """The signal of a series over its tilts, and how likely it is with given exposures."""

    def __init__(self, signals: Sequence[HalfSignal], tilts: Array, voltage_kV: float) -> None:
        cross = np.array([one.cross for one in signals])
        error = np.array([one.error for one in signals])
        seen = np.isfinite(error).all(0)
        # A band that shows nothing in the mean of all tilts tells nothing of their order.
        with np.errstate(divide="ignore", invalid="ignore"):
            seen &= (cross / error**2).sum(0) / np.sqrt((1 / error**2).sum(0)) > 5.0
        self.bands = int(seen.sum())
        self.cross, self.error = cross[:, seen], error[:, seen]
        middles = [math.sqrt(1 / (a * b)) for a, b in itertools.pairwise(BAND_EDGES_A)]
        self._critical = critical_exposure_e_A2(np.array(middles)[seen], voltage_kV)
        self._path = 1 / np.cos(np.radians(tilts)) - 1
        apart = tilts[:, None] - tilts[None]
        turn, drift = np.exp(-0.5 * (apart / _TURN_DEG) ** 2), np.exp(-0.5 * (apart / _DRIFT_DEG) ** 2)
        self._alike = turn + _DRIFT**2 * drift

    def _shapes(self, exposure: Array, sensitivity: float, band: int) -> Array:
        """Return the courses of a band, amplitude apart, (combinations, tilts)."""
        fading = np.exp(-sensitivity * exposure / self._critical[band])
        return np.array(
            [np.exp(m * self._path) * (u + (1 - u) * fading) for u, m in itertools.product(_UNDAMAGED, _PATHS)]
        )

    def log_likelihood(self, cross: Array, exposure: Array) -> float:
        """Return the log of the likelihood of cross spectra (tilts, bands), all else integrated out, sharpened down."""
        by_shared = [
            sum(self._band(cross[:, band], exposure, c, rough, band) for band in range(self.bands))
            for c, rough in itertools.product(_SENSITIVITIES, _ROUGHNESS)
        ]
        return float(logsumexp(by_shared)) / _SHARPNESS

    def _band(self, cross: Array, exposure: Array, sensitivity: float, rough: float, band: int) -> float:
        shapes, noise = self._shapes(exposure, sensitivity, band), self.error[:, band]
        amplitude = np.maximum((shapes / noise**2) @ cross / (shapes**2 / noise**2).sum(1), 1e-30)
        signal = amplitude[:, None] * shapes
        covariance = rough**2 * signal[:, :, None] * signal[:, None] * self._alike + np.diag(noise**2)
        lower = np.linalg.cholesky(covariance)
        white = np.linalg.solve(lower, np.stack([np.broadcast_to(cross, shapes.shape), shapes], axis=-1))
        data, model = white[..., 0], white[..., 1]
        # The amplitude is integrated out, its prior even in its logarithm.
        information = (model**2).sum(1)
        fitted = (data * model).sum(1) / information
        misfit = (data**2).sum(1) - information * fitted**2
        log = -0.5 * misfit - np.log(np.diagonal(lower, axis1=1, axis2=2)).sum(1)
        log -= 0.5 * np.log(information) + np.log(amplitude)
        return float(logsumexp(log))

    def drawn(self, exposure: Array, rng: np.random.Generator) -> Array:
        """Return cross spectra as they might be with these exposures, everything else as these images have it."""
        best = max(
            itertools.product(_SENSITIVITIES, _ROUGHNESS),
            key=lambda pair: sum(
                self._band(self.cross[:, b], exposure, pair[0], pair[1], b) for b in range(self.bands)
            ),
        )
        structure = np.linalg.cholesky(self._alike + 1e-6 * np.eye(len(exposure)))
        made = np.empty_like(self.cross)
        for band in range(self.bands):
            shapes, noise = self._shapes(exposure, best[0], band), self.error[:, band]
            amplitude = (shapes / noise**2) @ self.cross[:, band] / (shapes**2 / noise**2).sum(1)
            off = (((self.cross[:, band] - amplitude[:, None] * shapes) / noise) ** 2).sum(1)
            at = int(np.argmin(off))
            uneven = 1 + best[1] * structure @ rng.normal(size=len(exposure))
            made[:, band] = amplitude[at] * shapes[at] * uneven + noise * rng.normal(size=len(exposure))
        return made
