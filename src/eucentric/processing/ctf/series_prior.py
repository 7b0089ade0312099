"""What is expected of defocus over a series, before and besides what each tilt's rings say."""

from dataclasses import dataclass
from typing import Self

import numpy as np
from numpy.typing import NDArray

Array = NDArray[np.float64]

FIRST_WIDTH_A = 600.0
"""What a focusing routine leaves from tilt to tilt, before the series has told."""
_WIDTH_COUNTS = 4.0  # tilts' worth of trust in that
_LEAST_WIDTH_A = 60.0
_STRAY = 0.003  # share of tilts that may be far off the trend,
_STRAY_A = 3000.0  # with tails as of Student's distribution with two degrees of freedom, and this scale
_TRENDS_A = 800.0  # how far slope and bend over the tilts are expected to carry, at the ends
_TUNING = 2.0  # widths beyond which a tilt no longer pulls at the trend with all its weight


@dataclass(frozen=True, eq=False)
class DefocusPrior:
    """Defocus of each tilt: near a trend, but for a few that may be anywhere.

    Attributes
    ----------
    centre_A
        The trend, (tilts,).
    width_A
        Standard deviation about it.
    """

    centre_A: Array
    width_A: float = FIRST_WIDTH_A

    def log_density(self, defocus_A: Array) -> Array:
        """Return the log density at places of a grid, (tilts, grid), up to what all share."""
        near, stray = self._parts(defocus_A)
        return np.asarray(np.log(near + stray))

    def near_share(self, defocus_A: Array) -> Array:
        """Return how likely a tilt with such a defocus is to be one that follows the trend, (tilts, grid)."""
        near, stray = self._parts(defocus_A)
        return np.asarray(near / (near + stray))

    def _parts(self, defocus_A: Array) -> tuple[Array, Array]:
        step = float(np.diff(defocus_A).mean()) if len(defocus_A) > 1 else 1.0
        away = defocus_A[None] - self.centre_A[:, None]
        near = np.exp(-0.5 * (away / self.width_A) ** 2) * step / (self.width_A * np.sqrt(2 * np.pi))
        stray = step / (2 * _STRAY_A) * (1 + (away / _STRAY_A) ** 2) ** -1.5
        return (1 - _STRAY) * near, _STRAY * stray

    def learned(self, means_A: Array, sigma_A: Array, regressors: Array, start_A: Array) -> Self:
        """Return the prior that the tilts' own posteriors suggest.

        Parameters
        ----------
        means_A, sigma_A
            Of each tilt.
        regressors
            Along which a trend may run, (tilts, terms), each from -1 to 1; a constant is added.
        start_A
            What was asked of the microscope; the trend is a departure from it.
        """
        design = np.column_stack([np.ones(len(means_A)), regressors])
        stiff = np.diag([0.0] + [(self.width_A / _TRENDS_A) ** 2] * regressors.shape[1])
        left = means_A - start_A
        robust = np.ones(len(means_A))
        trend = np.full(len(means_A), np.median(left))
        for _ in range(6):
            # A tilt that says nothing follows the trend, and must not hold it where it is.
            robust = 1 / (1 + ((left - trend) / (_TUNING * self.width_A)) ** 2)
            weight = robust * np.clip(1 - (sigma_A / self.width_A) ** 2, 0.02, 1)
            normal = design.T @ (weight[:, None] * design) + stiff
            trend = design @ np.linalg.solve(normal, design.T @ (weight * left))
        spread = (robust * ((left - trend) ** 2 + sigma_A**2)).sum() / max(robust.sum(), 1.0)
        inside = min(spread, (2 * FIRST_WIDTH_A) ** 2)
        n = robust.sum()
        width = np.sqrt((n * inside + _WIDTH_COUNTS * FIRST_WIDTH_A**2) / (n + _WIDTH_COUNTS))
        return type(self)(start_A + trend, max(float(width), _LEAST_WIDTH_A))
