"""The likelihood of a polar spectrum and its derivatives, bin by bin: what takes the time of a fit."""

import numpy as np
from numpy.typing import NDArray

from eucentric.core.jit import compiled


@compiled()
def accumulate(
    power: NDArray[np.float64],
    count: NDArray[np.float64],
    cos2: NDArray[np.float64],
    sin2: NDArray[np.float64],
    per_mean: NDArray[np.float64],
    per_a: NDArray[np.float64],
    per_b: NDArray[np.float64],
    fixed: NDArray[np.float64],
    ring: NDArray[np.float64],
    turned: NDArray[np.float64],
    depth: NDArray[np.float64],
    depth_slope: NDArray[np.float64],
    ctf: NDArray[np.float64],
) -> tuple[float, NDArray[np.float64], NDArray[np.float64]]:
    """Sum the log-likelihood, and for each ring its derivatives: (rings, 8) and (rings, 8, 8), upper triangle."""
    rings, sectors = power.shape
    gradient = np.zeros((rings, 8))
    fisher = np.zeros((rings, 8, 8))
    d = np.zeros(8)
    total = 0.0
    for i in range(rings):
        q = depth[i]
        for j in range(sectors):
            n = count[i, j]
            if n == 0.0:
                continue
            log_background = ring[i] + turned[i, 0] * cos2[j] + turned[i, 1] * sin2[j]
            chi = per_mean[i, j] * ctf[0] + per_a[i, j] * ctf[1] + per_b[i, j] * ctf[2] + fixed[i, j] + ctf[3]
            c = np.cos(2 * chi)
            s = np.sin(2 * chi)
            modulation = 1.0 - q * c
            ratio = power[i, j] * np.exp(-log_background) / modulation
            total -= n * (log_background + np.log(modulation) + ratio)
            inverse = 1.0 / modulation
            along = 2 * q * s * inverse
            d[0] = 1.0
            d[1] = cos2[j]
            d[2] = sin2[j]
            d[3] = -depth_slope[i] * c * inverse
            d[4] = along * per_mean[i, j]
            d[5] = along * per_a[i, j]
            d[6] = along * per_b[i, j]
            d[7] = along
            pull = n * (ratio - 1.0)
            for a in range(8):
                gradient[i, a] += pull * d[a]
                weighted = n * d[a]
                for b in range(a, 8):
                    fisher[i, a, b] += weighted * d[b]
        for a in range(4, 8):
            for b in range(4, a):
                fisher[i, a, b] = fisher[i, b, a]
    return total, gradient, fisher
