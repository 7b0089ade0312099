"""Gain references: what turns the counts of each pixel of a camera into those of an even one."""

from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from eucentric.core import FormatError, InputError
from eucentric.io import _tiff_pages as pages
from eucentric.io._text import size_of
from eucentric.io.mrc import open_mrc

MRC_SUFFIXES = (".mrc", ".mrcs")
EER_GAIN = ".gain"
TIFF_SUFFIXES = (".tif", ".tiff", EER_GAIN)
"""Those of TIFF; the last is that of Thermo Fisher's cameras."""


def read_gain(path: Path) -> NDArray[np.float32]:
    """Read a gain reference.

    Parameters
    ----------
    path
        MRC of one section, or TIFF of one page: ``.tif``, ``.tiff``, ``.gain``.

    Returns
    -------
    numpy.ndarray
        (y, x), rows upward as those of movies. Pixels of gain zero are defective. Whether counts are to be multiplied
        or divided by it, and how it lies against them, the file does not say: see `processing.gain`.

    Raises
    ------
    InputError
        If there is no such file, it cannot be opened, or its suffix is none of these.
    FormatError
        If it cannot be read, holds more than one image, or values that are no gain: negative, not finite, all zero.
    """
    path = Path(path)
    suffix = path.suffix.lower()
    if suffix in MRC_SUFFIXES:
        image = open_mrc(path)
        if len(image.data) != 1:
            raise FormatError(f"{path}: it has {len(image.data)} sections, a gain reference one.", "Name another file.")
        gain = np.array(image.data[0], dtype=np.float32)
    elif suffix in TIFF_SUFFIXES:
        size_of(path, "a gain reference")
        with pages.opened_tiff(path) as (tiff, n, _), pages.named(path, "not a readable gain reference"):
            if n != 1:
                raise ValueError(f"it has {n} pages")
            page = np.asarray(tiff.pages[0].asarray())
            if page.ndim != 2:
                raise ValueError(f"its page is {page.shape}")
            # That of an EER camera lies as its movies do, whose rows are not turned over: see `io.eer`.
            gain = np.ascontiguousarray(page if suffix == EER_GAIN else page[::-1], dtype=np.float32)
    else:
        known = ", ".join((*MRC_SUFFIXES, *TIFF_SUFFIXES))
        raise InputError(f"{path}: {suffix or 'no suffix'} is not that of a gain reference.", f"Use one of {known}.")
    _check(path, gain)
    return gain


def _check(path: Path, gain: NDArray[np.float32]) -> None:
    fix = "Name the gain reference of this camera."
    if not np.isfinite(gain).all():
        raise FormatError(f"{path}: {int((~np.isfinite(gain)).sum())} of its pixels are not finite.", fix)
    if (gain < 0).any():
        raise FormatError(f"{path}: {int((gain < 0).sum())} of its pixels are negative.", fix)
    if not gain.any():
        raise FormatError(f"{path}: all its pixels are zero.", fix)
