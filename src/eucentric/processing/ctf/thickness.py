"""How thick the specimen is, from where its Thon rings fade and come back reversed.

Points at all heights of a slab of path t blur the rings by ``sin(x)/x`` with ``x = pi lambda k² t``
(Tichelaar, Hagen, Gorelik & van der Lee 2020, 10.1016/j.ultramic.2020.113023). The path grows as 1/cos of the tilt: the
node moves to coarser detail as the specimen is tilted, and that, not the fading, tells it from an envelope.
"""

import numpy as np
from numpy.typing import NDArray

from eucentric.optics import wavelength_A
from eucentric.processing.ctf.series_evidence import SeriesEvidence
from eucentric.processing.ctf.series_fit import SeriesState

Array = NDArray[np.float64]

_RANGE_A = (300.0, 5000.0)
_STEP_A = 20.0
_HATS = 7
_WAYS = np.linspace(0.0, 1.5, 6)  # how fast rings fade with the path, in powers of e for each doubling
_LEAST_GAIN = 6.0  # of the log-likelihood over rings that only fade: one in 400
_SHARPEST = 0.2  # of the thickness: what is known no better than so is not told


def thickness_A(evidence: SeriesEvidence, state: SeriesState, tilts_deg: Array) -> float | None:
    """Return the thickness along the specimen's normal, Å; None where no node is seen."""
    k2 = evidence.grid.k2
    k = np.sqrt(k2)
    place = (k - k[0]) / (k[-1] - k[0]) * (_HATS - 1)
    hats = np.maximum(0, 1 - np.abs(place[:, None] - np.arange(_HATS)))
    rings = evidence.collapsed(state.astigmatism_A, state.hand, state.phase_rad)
    turns = state.posterior @ evidence.turning(state.grid_A).T
    seen = -0.5 * (rings * turns).real
    weight = evidence.weights(state.hand)
    path = 1 / np.cos(np.radians(tilts_deg))
    candidates = np.arange(*_RANGE_A, _STEP_A)

    def gain(blur: Array) -> float:
        best = -np.inf
        for way in _WAYS:
            shape = blur * np.exp(-way * (path - 1))[:, None]
            signal = hats.T @ (shape * seen).sum(0)
            information = hats.T @ ((shape**2 * weight).sum(0)[:, None] * hats)
            information[np.diag_indices(_HATS)] += 1e-6 * np.trace(information) + 1e-9
            best = max(best, 0.5 * float(signal @ np.linalg.solve(information, signal)))
        return best

    wavelength = wavelength_A(evidence.lens.voltage_kV)
    without = gain(np.ones_like(seen))
    gains = np.array([gain(np.sinc(wavelength * k2[None] * (t * path)[:, None])) for t in candidates]) - without
    at = int(np.argmax(gains))
    if gains[at] < _LEAST_GAIN or at in (0, len(candidates) - 1):
        return None
    likely = np.exp(gains - gains[at])
    mean = float((likely * candidates).sum() / likely.sum())
    spread = float(np.sqrt((likely * (candidates - mean) ** 2).sum() / likely.sum()))
    # Of half of the tilts, the node must lie within the detail that was looked at.
    within = wavelength * float(k2[-1]) * mean * float(np.median(path)) > 1
    return mean if within and spread < _SHARPEST * mean else None
