"""Whether two half tomograms can be restored at all: said before anything is computed."""

import numpy as np

from eucentric.core import InputError
from eucentric.processing.restoration.records import HalfTomograms

SAME_VOXEL = 0.01
"""How far sizes of voxels may differ, relatively, and be one: headers round their cells."""

_LEAST_PX = 32
_FEWEST_TILTS = 3


def check_halves(pair: HalfTomograms) -> None:
    """Refuse halves that nothing can be learned from.

    Raises
    ------
    InputError
        If the halves differ in size, are too small, hold NaN or infinities, are constant, or are the same; if fewer
        than three tilts are known, or the voxel is not.
    """
    name = pair.name
    if pair.even.ndim != 3 or pair.even.shape != pair.odd.shape:
        raise InputError(
            f"{name}: the halves have {_by(pair.even.shape)} and {_by(pair.odd.shape)} voxels.",
            "Give two volumes of one tomogram, of the same size.",
        )
    if min(pair.shape) < _LEAST_PX:
        raise InputError(
            f"{name}: {_by(pair.shape)} voxels are too few to cut a cube of {_LEAST_PX} from.",
            "Reconstruct with less binning, or a thicker volume.",
        )
    if not 0 < pair.voxel_A < np.inf:
        raise InputError(f"{name}: a voxel of {pair.voxel_A} Å is none.", "Give it with --pixel.")
    if len(pair.tilts_deg) < _FEWEST_TILTS or not np.isfinite(pair.tilts_deg).all():
        raise InputError(
            f"{name}: {len(pair.tilts_deg)} tilt angles do not say what was measured.",
            "Give the angles that both halves were made of, one a line (.tlt).",
        )
    _check_values(pair)


def _check_values(pair: HalfTomograms) -> None:
    """Read both halves once, plane by plane."""
    different = False
    for label, half in (("even", pair.even), ("odd", pair.odd)):
        least, most = np.inf, -np.inf
        for plane in half:
            low, high = float(np.min(plane)), float(np.max(plane))
            if not np.isfinite([low, high]).all():
                raise InputError(
                    f"{pair.name}: the {label} half has voxels that are no numbers (NaN or infinite).",
                    "Reconstruct it again, or mend it.",
                )
            least, most = min(least, low), max(most, high)
        if least == most:
            raise InputError(
                f"{pair.name}: the {label} half is {least:g} everywhere.", "Check how it was reconstructed."
            )
    for even, odd in zip(pair.even, pair.odd, strict=True):
        if not np.array_equal(even, odd):
            different = True
            break
    if not different:
        raise InputError(
            f"{pair.name}: both halves are the same volume; a model would learn to copy its noise.",
            "Give halves of the frames or of the tilts.",
        )


def _by(shape: tuple[int, ...]) -> str:
    return " x ".join(str(n) for n in shape)
