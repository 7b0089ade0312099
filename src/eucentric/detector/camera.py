"""`Detector`: what kind of counting camera it is, in a few numbers.

Each electron that arrives is detected with probability q, and counted once, in a pixel that is off by a random error
whose distribution has the MTF as its Fourier transform. Hence counts are Poisson numbers with white noise, the signal
alone is shaped by the MTF, and DQE(k) = q MTF(k)². Coincidence comes on top: electrons that fall into the same or
edge-sharing pixels within one of the camera's own short frames are counted as one.
"""

import math
from typing import Annotated, Any, Literal

import numpy as np
from numpy.typing import ArrayLike, NDArray
from pydantic import Field
from scipy.optimize import lsq_linear

from eucentric.core import InputError, Record, did_you_mean
from eucentric.design import Camera
from eucentric.detector.mtf import NYQUIST_PER_PX, Curve, mtf

Effect = Literal["mtf", "detection", "coincidence", "gain", "drift", "defects"]
EFFECTS: dict[Effect, dict[str, Any]] = {
    "mtf": {"mtf": "ideal"},
    "detection": {"detection": 1.0},
    "coincidence": {"coincidence": False},
    "gain": {"gain_rms": 0.0, "gain_drift_rms": 0.0},
    "drift": {"gain_drift_rms": 0.0},
    "defects": {"hot_per_Mpx": 0.0, "dead_per_Mpx": 0.0, "flickering_per_Mpx": 0.0},
}
"""What can be switched off, and the fields that do it."""

PerMpx = Annotated[float, Field(ge=0, le=10_000, allow_inf_nan=False)]


class Detector(Record):
    """A kind of counting camera.

    The numbers of pixels with faults and the spread of their gain are chosen in the order of size that gain
    references and defect lists of such cameras show; nothing here measures them.

    Parameters
    ----------
    name
        What it is called.
    mtf
        The curve of its modulation transfer.
    detection
        Share of the arriving electrons that are detected: the DQE at zero frequency and low dose rate.
    internal_frames_per_s
        How often the chip is read out, which is what coincidence depends on.
    coincidence
        Whether electrons too close in place and time are counted as one.
    gain_rms
        Spread of the pixels' sensitivity about 1, which the gain reference knows.
    gain_drift_rms
        Spread of what has changed since the reference was taken, which no one knows.
    hot_per_Mpx, dead_per_Mpx, flickering_per_Mpx
        Pixels, per million, that count without electrons; that never count; and that are hot in some frames only.
    """

    name: Annotated[str, Field(min_length=1)]
    mtf: Curve = "ideal"
    detection: Annotated[float, Field(gt=0, le=1)] = 1.0
    internal_frames_per_s: Annotated[float, Field(gt=0, le=1e6, allow_inf_nan=False)] = 400.0
    coincidence: bool = False
    gain_rms: Annotated[float, Field(ge=0, le=0.3)] = 0.0
    gain_drift_rms: Annotated[float, Field(ge=0, le=0.3)] = 0.0
    hot_per_Mpx: PerMpx = 0.0
    dead_per_Mpx: PerMpx = 0.0
    flickering_per_Mpx: PerMpx = 0.0

    def mtf_at(self, k_per_px: ArrayLike) -> NDArray[np.float64]:
        """Return the amplitude transferred at frequencies in cycles a pixel."""
        return mtf(k_per_px, self.mtf)

    def dqe(self, k_per_px: ArrayLike) -> NDArray[np.float64]:
        """Return the detective quantum efficiency at low dose rate, at frequencies in cycles a pixel."""
        values: NDArray[np.float64] = self.detection * np.square(self.mtf_at(k_per_px))
        return values

    def counted_share(self, arriving_e_px_per_s: float) -> float:
        """Return the share of the arriving electrons that an evenly lit camera counts.

        With rho electrons detected per pixel and internal frame it is ``q (1 - exp(-rho)) exp(-2 rho) / rho``, near
        ``q (1 - 2.5 rho)``: an electron is counted if it comes first in its pixel, and two neighbours are empty.
        """
        rho = self.detection * arriving_e_px_per_s / self.internal_frames_per_s
        if not self.coincidence or rho == 0:
            return self.detection
        return self.detection * -math.expm1(-rho) * math.exp(-2 * rho) / rho

    def without(self, *effects: Effect) -> "Detector":
        """Return the same camera with `effects`, of `EFFECTS`, switched off.

        Raises
        ------
        InputError
            If there is no such effect.
        """
        changes: dict[str, Any] = {}
        for effect in effects:
            if effect not in EFFECTS:
                known = ", ".join(EFFECTS)
                raise InputError(
                    f"{effect!r} is no effect of a detector.{did_you_mean(effect, EFFECTS)}", f"Use {known}."
                )
            changes |= EFFECTS[effect]
        return self.replace(**changes)


_FAULTS = {"hot_per_Mpx": 4.0, "dead_per_Mpx": 6.0, "flickering_per_Mpx": 3.0}
_GAIN = {"gain_rms": 0.03, "gain_drift_rms": 0.004}

DETECTORS: dict[str, Detector] = {
    "ideal": Detector(name="ideal"),
    # DQE at zero near 0.8 at low dose rate and 300 kV (as recalled from McMullan et al. 2014,
    # 10.1016/j.ultramic.2014.08.002); 400 internal frames a second (as recalled from Li et al. 2013,
    # 10.1038/nmeth.2472).
    "k2": Detector(name="K2", mtf="k2", detection=0.8, internal_frames_per_s=400, coincidence=True, **_GAIN, **_FAULTS),
    # DQE at zero near 0.9 and some 250 internal frames a second, as recalled from its maker's sheets. Those print a
    # DQE at Nyquist far above q MTF² of the measured curve: its noise is not white, as that of this model is.
    "falcon4": Detector(
        name="Falcon 4", mtf="falcon4", detection=0.9, internal_frames_per_s=250, coincidence=True, **_GAIN, **_FAULTS
    ),
}
"""Cameras by name; ``ideal`` counts every electron, once, where it arrives."""


def design_camera(detector: Detector, pixel_A: float, shape_yx: tuple[int, int], *, binning: int = 1) -> Camera:
    """Return the camera that predictions should be made for: the same pixels, and the nearest straight line of DQE.

    The line fits `Detector.dqe` from 0 to Nyquist by least squares, within 0 to 1 at both ends: to 0.013 rms for the
    K2, but to 0.11 only for the Falcon 4, whose curve bends. It holds at low dose rate.

    Parameters
    ----------
    detector
        The camera that is simulated.
    pixel_A
        Size of its pixels at the specimen.
    shape_yx
        Rows and columns.
    binning
        Pixels of the detector along each side of one of the camera's.
    """
    along = np.linspace(0, 1, 257)
    ends = np.stack([1 - along, along], axis=1)
    fit = lsq_linear(ends, detector.dqe(along * NYQUIST_PER_PX / binning), bounds=(0, 1), method="bvls")
    dqe_zero, dqe_nyquist = (float(np.clip(value, 0, 1)) for value in fit.x)
    rows, columns = shape_yx
    return Camera(pixel_A=pixel_A, rows=rows, columns=columns, dqe_zero=dqe_zero, dqe_nyquist=dqe_nyquist)
