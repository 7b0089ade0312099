"""Fourier shell correlation between two volumes of the same thing."""

from typing import Annotated, Any, Literal, Self

import numpy as np
from numpy.typing import NDArray
from pydantic import Field, model_validator
from scipy import fft

from eucentric.core import InputError, Record

HalvesOf = Literal["tilts", "frames", "counts"]
"""What two half tomograms are of: every other tilt, every other frame of each tilt, or half the counts of each tilt."""

BOTH_HALVES: dict[HalvesOf, str] = {
    "tilts": "even and odd tilts",
    "frames": "even and odd frames",
    "counts": "halves of the counts",
}
"""The two, in words."""

LARGEST_BOX_ZYX = (128, 384, 384)
"""The central part that is compared where the volumes are larger: 19 million voxels, some 0.4 GB at work."""

MOST_SHELLS = 96
"""Finer shells than a hundredth of the band show more noise and no more resolution."""


FEWEST_CELLS = 20
"""A correlation over fewer measurements is uncertain by more than 0.2."""


class FSC(Record):
    """Correlation of two volumes over spatial frequency.

    Shell i is centred at `frequency_1_A[i]` and holds `cells[i]` independent real measurements (Fourier cells
    counted with their mates, less what the soft edge ties together). Noise alone scatters about zero by
    `noise_error` at most, and a shell of fewer than `FEWEST_CELLS` is not given.
    """

    frequency_1_A: Annotated[tuple[float, ...], Field(min_length=1)]
    correlation: tuple[float, ...]
    cells: tuple[float, ...]
    pixel_A: Annotated[float, Field(gt=0)]
    box_zyx: tuple[int, int, int]
    tilt_range_deg: tuple[float, float] | None = None

    @model_validator(mode="after")
    def _one_value_per_shell(self) -> Self:
        if not len(self.frequency_1_A) == len(self.correlation) == len(self.cells):
            raise ValueError("frequency, correlation and cells must have one value per shell")
        return self

    @property
    def noise_error(self) -> tuple[float, ...]:
        """Standard error of each shell's correlation where the volumes share nothing."""
        return tuple(1 / float(np.sqrt(n)) for n in self.cells)

    def resolution_A(self, threshold: float = 0.143) -> float | None:
        """Return where the correlation first falls through `threshold`, in Å, interpolated between shells.

        None where it never does: because it stays above up to Nyquist, or because it starts below.
        """
        values = np.asarray(self.correlation)
        below = np.flatnonzero(values < threshold)
        if below.size == 0 or below[0] == 0:
            return None
        last, first = int(below[0]) - 1, int(below[0])
        part = (values[last] - threshold) / (values[last] - values[first])
        frequency = self.frequency_1_A[last] + part * (self.frequency_1_A[first] - self.frequency_1_A[last])
        return float(1 / frequency)


def fourier_shell_correlation(
    a: NDArray[Any],
    b: NDArray[Any],
    pixel_A: float,
    *,
    tilt_range_deg: tuple[float, float] | None = None,
    edge: float = 0.1,
    largest_box_zyx: tuple[int, int, int] = LARGEST_BOX_ZYX,
) -> FSC:
    """Correlate two volumes shell by shell in Fourier space.

    Halves made of the even and the odd *tilts* share neither wedge nor artefacts: each has planes at other
    angles, twice as far apart. Their correlation also carries that different sampling and is a lower bound
    of what halves of the same tilts (of their frames or counts) would show; do not compare the two.

    Parameters
    ----------
    a, b
        Volumes of one shape, (z, y, x), with y the tilt axis. Where larger than `largest_box_zyx`, only the
        box of that size about their centre is read and compared.
    pixel_A
        Pixel size, Å.
    tilt_range_deg
        Lowest and highest tilt, in the sense of `core.Frame.SAMPLE`. If given, only cells that some view
        in between has seen are counted: ``lowest <= atan(kz / kx) <= highest``. The rest is empty or noise.
    edge
        Share of each axis, at either end, over which a raised cosine takes the volume to zero, so that the
        box's faces do not correlate.
    largest_box_zyx
        Largest box to compare.

    Returns
    -------
    FSC
        From the first shell above zero frequency that holds enough cells, to Nyquist.

    Raises
    ------
    InputError
        If the shapes differ, a volume is not 3D, is too small or constant, or the tilt range is empty.

    References
    ----------
    Harauz & van Heel 1986, Optik 73:146; van Heel & Schatz 2005, 10.1016/j.jsb.2005.05.009.
    """
    if a.ndim != 3 or a.shape != b.shape:
        raise InputError(
            f"Volumes of shapes {a.shape} and {b.shape} cannot be correlated.", "Give two volumes of one shape."
        )
    if min(a.shape) < 4:
        raise InputError(f"A volume of shape {a.shape} is too small to be correlated.", "Give at least 4 slices.")
    if tilt_range_deg is not None and tilt_range_deg[0] >= tilt_range_deg[1]:
        raise InputError(f"The tilt range {tilt_range_deg} is empty.", "Give the lowest tilt first.")
    box = _box(a.shape, largest_box_zyx)
    shape = tuple(part.stop - part.start for part in box)
    windows = [_cosine_edge(n, edge) for n in shape]
    one, two = (_spectrum(volume[box], windows) for volume in (a, b))
    return _correlate(one, two, shape, windows, pixel_A, tilt_range_deg)


def _box(shape: tuple[int, ...], largest: tuple[int, int, int]) -> tuple[slice, ...]:
    """Return the central box, whose centre ``n // 2`` is the volume's."""
    sizes = [min(n, most) for n, most in zip(shape, largest, strict=True)]
    return tuple(slice(n // 2 - size // 2, n // 2 - size // 2 + size) for n, size in zip(shape, sizes, strict=True))


def _cosine_edge(n: int, edge: float) -> NDArray[np.float32]:
    """Return a window of ones that falls to zero over `edge` of its length at either end."""
    depth = (np.minimum(np.arange(n), np.arange(n)[::-1]) + 0.5) / max(edge * n, 0.5)
    return (0.5 - 0.5 * np.cos(np.pi * np.minimum(depth, 1))).astype(np.float32)


def _spectrum(part: NDArray[Any], windows: list[NDArray[np.float32]]) -> NDArray[np.complex64]:
    """Return the half spectrum of a volume with its mean taken off and its edges made soft."""
    values = np.array(part, dtype=np.float32)
    values -= values.mean(dtype=np.float64)
    if not values.any():
        raise InputError("A volume is constant: it has no spectrum to correlate.", "Check how it was made.")
    values *= windows[0][:, None, None]
    values *= windows[1][:, None] * windows[2]
    spectrum: NDArray[np.complex64] = fft.rfftn(values, workers=-1, overwrite_x=True)
    return spectrum


def _correlate(
    a: NDArray[np.complex64],
    b: NDArray[np.complex64],
    shape: tuple[int, ...],
    windows: list[NDArray[np.float32]],
    pixel_A: float,
    tilt_range_deg: tuple[float, float] | None,
) -> FSC:
    """Sum cross and power spectra over shells, one z plane at a time so that the memory stays small."""
    kz, ky, kx = fft.fftfreq(shape[0]), fft.fftfreq(shape[1]), fft.rfftfreq(shape[2])
    shells = min(max(shape) // 2, MOST_SHELLS)
    mates = np.where((kx == 0) | (kx == 0.5), 1.0, 2.0) * np.ones((ky.size, 1))  # a real volume's other half
    in_plane = ky[:, None] ** 2 + kx**2
    sums = np.zeros((4, shells + 1))  # cross, power of a, power of b, cells; the last shell is beyond Nyquist
    for z in range(shape[0]):
        radius = np.sqrt(in_plane + kz[z] ** 2) * 2 * shells
        shell = np.minimum(np.floor(radius).astype(np.intp), shells)
        shell[radius == shells] = shells - 1  # exactly Nyquist belongs to the band
        seen = _seen(kz[z], kx, tilt_range_deg)
        shell = shell[:, seen].ravel()
        weight = mates[:, seen].ravel()
        one, two = a[z][:, seen].ravel(), b[z][:, seen].ravel()
        terms = ((one * two.conj()).real, np.abs(one) ** 2, np.abs(two) ** 2, np.ones(1, dtype=np.float32))
        for total, term in zip(sums, terms, strict=True):
            total += np.bincount(shell, weights=weight * term, minlength=shells + 1)
    cross, power_a, power_b, cells = sums[:, :shells]
    cells = cells * _independent_share(windows)
    enough = np.flatnonzero((cells >= FEWEST_CELLS) & (power_a > 0) & (power_b > 0))
    if enough.size == 0:
        raise InputError("No Fourier shell has enough cells for a correlation.", "Give larger volumes or more tilts.")
    return FSC(
        frequency_1_A=tuple(((enough + 0.5) / (2 * shells * pixel_A)).tolist()),
        correlation=tuple((cross[enough] / np.sqrt(power_a[enough] * power_b[enough])).tolist()),
        cells=tuple(cells[enough].tolist()),
        pixel_A=pixel_A,
        box_zyx=(shape[0], shape[1], shape[2]),
        tilt_range_deg=tilt_range_deg,
    )


def _seen(kz: float, kx: NDArray[np.float64], tilt_range_deg: tuple[float, float] | None) -> NDArray[np.bool_]:
    """Say which columns kx >= 0 of a z plane lie in the sampled wedge; the tilt axis itself is always seen."""
    if tilt_range_deg is None:
        return np.ones(kx.shape, dtype=np.bool_)
    angle_deg = np.rad2deg(np.arctan2(kz, kx))
    return (angle_deg >= tilt_range_deg[0]) & (angle_deg <= tilt_range_deg[1])


def _independent_share(windows: list[NDArray[np.float32]]) -> float:
    """Return the share of cells that are independent under the window: (sum w²)² / (n sum w⁴), by axis."""
    return float(np.prod([np.sum(w**2) ** 2 / (w.size * np.sum(w**4)) for w in windows]))
