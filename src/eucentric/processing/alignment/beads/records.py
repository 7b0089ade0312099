"""What a bundle adjustment is told, and what it finds."""

from dataclasses import dataclass
from typing import Annotated

import numpy as np
from numpy.typing import NDArray
from pydantic import Field

from eucentric.core import Alignment, Degrees, Record, TiltAlignment
from eucentric.processing.alignment.beads.model import (
    AXIS,
    LOG_MAG,
    PARAMETERS,
    SKEW,
    STRETCH,
    TILT,
    X_TILT,
    Freedom,
    X,
    Y,
    differentiate,
    see,
)
from eucentric.processing.alignment.beads.tracks import Tracks

Array = NDArray[np.float64]

_RIGID_STEPS = 5


class BundleSettings(Record):
    """Settings of a bundle adjustment.

    `freedom` is what may vary from view to view; `axis_deg` the tilt axis to begin with (IMOD's angle), searched for
    within ±90° if absent; `fewest_views` how many views a bead must be seen in.
    """

    freedom: Freedom = Freedom()
    axis_deg: Annotated[Degrees, Field(ge=-360, le=360)] | None = None
    fewest_views: Annotated[int, Field(ge=2)] = 3


@dataclass(frozen=True)
class BundleAdjustment:
    """Views and beads that explain tracks, each with its standard error.

    Views (n of them) have parameters in the columns of `beads.model`: shift yx (px, from the image's centre
    `shape // 2`), tilt, x-tilt and axis (rad), the logarithm of the magnification, stretch and skew; `view_errors` are
    their standard errors, infinite where a view has no observation and stands between its neighbours. Beads (b) have
    numbers, places zyx (px, from the specimen's origin, NaN where rejected before any fit), errors, the mean residual
    of the observations used, and the reason why they were rejected, or "". Observations follow `tracks` (m):
    residuals yx (px, seen minus predicted; NaN of beads without a place) and the reason why each was not used, or "".
    `sigma_px` is the noise along one axis; `mean_residual_px` the mean length of the residuals used, and
    `mean_residual_all_px` that of all observations of beads with a place. `left_out` says why views are left out,
    `doubts` what is wrong with views that are not, `held` what no data can tell.
    """

    tracks: Tracks
    shape_yx: tuple[int, int]
    freedom: Freedom
    views: Array
    view_errors: Array
    bead_numbers: NDArray[np.int64]
    beads_zyx_px: Array
    bead_errors_px: Array
    bead_residuals_px: Array
    bead_reasons: tuple[str, ...]
    residuals_yx_px: Array
    observation_reasons: tuple[str, ...]
    sigma_px: float
    mean_residual_px: float
    mean_residual_all_px: float
    degrees_of_freedom: int
    left_out: dict[int, str]
    doubts: dict[int, str]
    held: tuple[str, ...]

    @property
    def used(self) -> NDArray[np.bool_]:
        """Which observations were used, (m,)."""
        return np.array([not reason for reason in self.observation_reasons], dtype=bool)

    def rigid(self) -> tuple[Array, float]:
        """Return the views (n, 8) without stretch and skew that see the beads most alike, and the rms (px) between.

        Tilt, x-tilt, axis, magnification and shift of each view take up what they can.
        """
        beads = self.beads_zyx_px[np.isfinite(self.beads_zyx_px[:, 0])]
        if not self.views[:, [STRETCH, SKEW]].any() or not len(beads):
            return self.views, 0.0
        views, apart = self.views.copy(), []
        views[:, [STRETCH, SKEW]] = 0.0
        for view, whole in zip(views, self.views, strict=True):
            wanted = see(np.broadcast_to(whole, (len(beads), PARAMETERS)), beads)
            for _ in range(_RIGID_STEPS):
                seen, slopes, _ = differentiate(np.broadcast_to(view, (len(beads), PARAMETERS)), beads)
                rows = slopes[:, :, :STRETCH].reshape(-1, STRETCH)
                unit = np.linalg.norm(rows, axis=0)
                # What beads near one plane cannot tell stays as it was.
                view[:STRETCH] += np.linalg.lstsq(rows / unit, (wanted - seen).reshape(-1), rcond=1e-3)[0] / unit
            apart.append(wanted - see(np.broadcast_to(view, (len(beads), PARAMETERS)), beads))
        return views, float(np.sqrt(2 * np.mean(np.square(apart))))

    def alignment(self, pixel_A: float) -> Alignment:
        """Return the views as an alignment, which has no stretch and no skew: see `rigid`."""
        views, _ = self.rigid()
        return Alignment(
            pixel_A=pixel_A,
            shape_yx=self.shape_yx,
            tilts=tuple(
                TiltAlignment(
                    section=section,
                    tilt_deg=float(np.rad2deg(view[TILT])),
                    x_tilt_deg=float(np.rad2deg(view[X_TILT])),
                    axis_deg=float(np.rad2deg(view[AXIS])),
                    shift_yx_A=(float(view[Y] * pixel_A), float(view[X] * pixel_A)),
                    magnification=float(np.exp(view[LOG_MAG])),
                    used=section not in self.left_out,
                    reason=self.left_out.get(section, ""),
                )
                for section, view in enumerate(views)
            ),
        )
