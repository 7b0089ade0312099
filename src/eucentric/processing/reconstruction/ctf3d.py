"""Correction of the CTF in three dimensions: each slab of the specimen from views corrected for its own height.

What lies at height z above the plane that a tilt's CTF was fitted to is seen, at the same place of the image, with
``z / cos(tilt)`` more defocus times the hand (decision 0007). Back-projection from views corrected for the plane alone
blurs it; here the views are corrected for a ladder of heights (Jensen & Kornberg 2000, 10.1016/S0304-3991(00)00005-X;
Turoňová et al. 2017, 10.1016/j.jsb.2017.07.007), and each plane of the volume mixes the two volumes whose heights lie
next to its own, by weights that run linearly and add up to one, so that there are no seams.
"""

import math
from typing import Any, Literal

import numpy as np
import torch
from torch import Tensor

from eucentric.core import SILENT, Alignment, InputError, Reporter
from eucentric.optics import SeriesCTF, wavelength_A
from eucentric.processing.ctf.correct import correct_tilt
from eucentric.processing.operators import zeros
from eucentric.processing.reconstruction.settings import Halves, ReconstructSettings, volume_shape
from eucentric.processing.reconstruction.views import Images
from eucentric.processing.reconstruction.wbp import weighted_slabs

_MOST_SLABS = 200


def slab_thickness_A(finest_A: float, voltage_kV: float) -> float:
    """Return how thick a slab may be for a phase error of a quarter of pi at its detail: d² / (4 lambda)."""
    return finest_A**2 / (4 * wavelength_A(voltage_kV))


def reconstruct_ctf3d(
    images: Images,
    alignment: Alignment,
    settings: ReconstructSettings,
    ctf: SeriesCTF,
    *,
    finest_A: float = 8.0,
    slab_A: float | None = None,
    device: torch.device | None = None,
    reporter: Reporter = SILENT,
) -> Halves:
    """Reconstruct by weighted back-projection from views that no CTF has been taken out of.

    Parameters
    ----------
    images, alignment, settings, device, reporter
        As for `reconstruct`.
    ctf
        Of the series, in the order of the images, with a hand to rely on.
    finest_A
        Detail for which slabs are to be thin enough.
    slab_A
        Thickness of the slabs, in place of what `finest_A` asks for.

    Raises
    ------
    InputError
        As `reconstruct`; and if the CTF is of another series, its hand is not sure, slabs would be too many, or the
        method is not weighted back-projection.
    """
    if len(ctf.tilts) != len(images):
        raise InputError(f"The CTF is of {len(ctf.tilts)} tilts, the stack has {len(images)}.", "Fit this stack's CTF.")
    if ctf.hand is None or not ctf.hand.sure:
        raise InputError(
            "The defocus hand of the series is not known well enough to correct heights.",
            "Correct one defocus for each view (phase-flip).",
        )
    if settings.method != "wbp":
        raise InputError(f"Slabs are not made by {settings.method.upper()}.", "Use weighted back-projection (wbp).")
    thickness_A = slab_A or slab_thickness_A(finest_A, ctf.lens.voltage_kV)
    depth, rows, columns = volume_shape(alignment, settings)
    voxel_A = alignment.pixel_A * settings.binning
    slabs = math.ceil(depth * voxel_A / thickness_A)
    if not 1 <= slabs <= _MOST_SLABS:
        raise InputError(
            f"{slabs} slabs of {thickness_A:.0f} Å are more than are worth while.", "Ask for coarser detail."
        )
    device = device or torch.device("cpu")
    volumes = [zeros((depth, rows, columns), device) for _ in range(2)]
    planes_A = (np.arange(depth) - depth // 2) * voxel_A
    heights_A = planes_A[0] - voxel_A / 2 + (np.arange(slabs) + 0.5) * depth * voxel_A / slabs
    for m, height_A in enumerate(heights_A):
        weights = np.interp(planes_A, heights_A, np.eye(slabs)[m])
        mine = np.flatnonzero(weights)
        corrected = _AtHeight(images, ctf, ctf.hand.hand, float(height_A), device)
        only = (int(mine[0]), int(mine[-1]) + 1)
        parts = weighted_slabs(corrected, alignment, settings, only=only, device=device, reporter=reporter)
        for first, part in parts:
            for z, weight in enumerate(weights[first : first + len(part.even)]):
                volumes[0][first + z].add_(part.even[z], alpha=float(weight))
                volumes[1][first + z].add_(part.odd[z], alpha=float(weight))
    return Halves(volumes[0], volumes[1], voxel_A)


class _AtHeight:
    """The views, each corrected as it is asked for, for what lies at one height of the specimen."""

    def __init__(
        self, images: Images, ctf: SeriesCTF, hand: Literal[1, -1], height_A: float, device: torch.device
    ) -> None:
        self._images, self._ctf, self._hand = images, ctf, hand
        self._height_A, self._device = height_A, device

    @property
    def shape(self) -> tuple[int, ...]:
        return tuple(self._images.shape)

    def __len__(self) -> int:
        return len(self._images)

    def __getitem__(self, section: int, /) -> Any:
        tilt = self._ctf.tilts[section]
        more_A = self._hand * self._height_A / math.cos(math.radians(tilt.tilt_deg))
        at_height = tilt.replace(defocus_u_A=tilt.defocus_u_A + more_A, defocus_v_A=tilt.defocus_v_A + more_A)
        image = self._images[section]
        if not isinstance(image, Tensor):
            image = torch.from_numpy(np.array(image, dtype=np.float32))
        return correct_tilt(
            image.to(self._device),
            self._ctf.pixel_A,
            at_height,
            self._ctf.axis_deg,
            self._hand,
            self._ctf.lens,
            local=True,
        )
