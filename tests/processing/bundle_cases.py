"""Tracks made from known views and beads."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from eucentric.core import Alignment, TiltAlignment
from eucentric.processing.alignment.beads import Tracks

SHAPE_YX = (400, 440)
PIXEL_A = 10.0


@dataclass(frozen=True)
class Case:
    tracks: Tracks
    truth: Alignment
    beads_zyx_px: NDArray[np.float64]

    @property
    def tilts_deg(self) -> list[float]:
        return [tilt.tilt_deg for tilt in self.truth.tilts]


def make_case(
    *,
    beads: int = 12,
    tilts_deg: NDArray[np.float64] | None = None,
    axis_deg: float = -12.0,
    noise_px: float = 0.0,
    seed: int = 0,
    varies: dict[str, NDArray[np.float64]] | None = None,
) -> Case:
    """Make a case through `TiltAlignment`, which the estimator does not use; `varies` are its fields, one a view."""
    random = np.random.default_rng(seed)
    tilts = np.arange(-60.0, 61.0, 6.0) if tilts_deg is None else tilts_deg
    n = len(tilts)
    varies = varies or {}
    shifts = random.normal(0, 8, (n, 2)) * PIXEL_A
    places = np.stack(
        [random.uniform(-30, 30, beads), random.uniform(-150, 150, beads), random.uniform(-90, 90, beads)], axis=1
    )
    views = tuple(
        TiltAlignment(
            section=i,
            tilt_deg=float(tilts[i]),
            axis_deg=axis_deg + float(varies.get("axis_deg", np.zeros(n))[i]),
            x_tilt_deg=float(varies.get("x_tilt_deg", np.zeros(n))[i]),
            magnification=float(varies.get("magnification", np.ones(n))[i]),
            shift_yx_A=(float(shifts[i, 0]), float(shifts[i, 1])),
        )
        for i in range(n)
    )
    seen = np.stack([view.sample2image()(places * PIXEL_A)[:, 1:] / PIXEL_A for view in views], axis=1)
    yx = seen + [SHAPE_YX[0] // 2, SHAPE_YX[1] // 2] + random.normal(0, 1, seen.shape) * noise_px
    bead, view = np.indices((beads, n))
    truth = Alignment(pixel_A=PIXEL_A, shape_yx=SHAPE_YX, tilts=views)
    return Case(Tracks.of(bead.ravel(), view.ravel(), yx.reshape(-1, 2)), truth, places)


def after_similarity(found: NDArray[np.float64], truth: NDArray[np.float64]) -> float:
    """Return the rms distance of positions (b, 3) after the best similarity, without a reflection (Umeyama 1991)."""
    a, b = found - found.mean(axis=0), truth - truth.mean(axis=0)
    u, s, v = np.linalg.svd(a.T @ b)
    s[-1] *= np.sign(np.linalg.det(u @ v))
    u[:, -1] *= np.sign(np.linalg.det(u @ v))
    off = s.sum() / np.square(a).sum() * a @ u @ v - b
    return float(np.sqrt(np.square(off).sum(axis=1).mean()))
