"""Volumes and stacks of a session, read in place and in part, while another process may be writing new ones.

A file is read with `os.preadv`, not through a memory map: where a program cuts a file short in its place, a map ends
the process that looks at it, and reading ends in an error.
"""

import os
import threading
import warnings
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal, Protocol, TypeVar

import numpy as np
import zarr
from numpy.typing import NDArray

from eucentric.core import EucentricError, FormatError, FormatWarning, InputError
from eucentric.io import open_mrc
from eucentric.io.ome_zarr import Zyx, read_ome_zarr

T = TypeVar("T")

Axis = Literal[0, 1, 2]
"""The axis of (z, y, x) that slices lie across: XY slices across z, XZ across y, YZ across x."""

ZARR_BYTES = 256 << 20
"""Of a run of slices as thick as a chunk, which Zarr unpacks whole; the finest level that keeps to it is shown."""

_MOST_OPEN = 64
_RUN_BYTES = 64 << 20  # of rows or columns read together
_PASS_BYTES = 1 << 20  # read at once where few columns of all rows are wanted: stays in a processor's cache


class ChangedError(EucentricError):
    """A file was written anew while it was read."""


class Source(Protocol):
    """Where voxels come from."""

    dtype: np.dtype[Any]

    @property
    def grain(self) -> tuple[int, int, int]:
        """How many slices across each axis cost no more than one: 1 where each is read by itself."""

    def read(self, axis: Axis, first: int, last: int) -> NDArray[Any]:
        """Return the slices [first, last) across an axis, shape (slices, the other axes in the order of z, y, x)."""


@dataclass(frozen=True)
class Volume:
    """A volume, or a stack whose sections are its slices across z.

    Attributes
    ----------
    path
        The file or folder.
    stamp
        Another for every other content; it tells nothing else.
    shape_zyx
        Voxels.
    voxel_zyx_A
        Their size; None where the file does not say.
    first_zyx_A
        Where the first voxel lies from the volume's centre, the voxel ``n // 2`` of the finest level; in voxels where
        their size is not known.
    binned
        How many voxels of the finest level lie along one of these.
    source
        Where voxels come from.
    """

    path: Path
    stamp: str
    shape_zyx: tuple[int, int, int]
    voxel_zyx_A: Zyx | None
    first_zyx_A: Zyx
    binned: int
    source: Source

    def read(self, axis: Axis, first: int, last: int) -> NDArray[Any]:
        """Return the slices [first, last) across an axis, shape (slices, the other axes in the order of z, y, x).

        Raises
        ------
        ChangedError
            If the file was replaced or cut short since it was opened.
        """
        try:
            slices = self.source.read(axis, first, last)
        except (OSError, EOFError, ValueError, RuntimeError) as error:
            raise self._changed() from error
        if stamp_of(self.path) != self.stamp:
            raise self._changed()
        return slices

    def _changed(self) -> ChangedError:
        return ChangedError(f"{self.path.name} was written anew while it was read.", "Ask again.")


class Volumes:
    """The volumes that were opened, opened again where their file has changed."""

    def __init__(self) -> None:
        self._open: dict[Path, Volume] = {}
        self._lock = threading.Lock()

    def open(self, path: Path) -> Volume:
        """Return the volume of an MRC file or an OME-Zarr folder.

        Raises
        ------
        InputError
            If there is no such file, or it cannot be opened.
        FormatError
            If it is no volume, or is not all there yet.
        """
        stamp = stamp_of(path)
        with self._lock:
            volume = self._open.pop(path, None)
            if volume is None or volume.stamp != stamp:
                volume = _open_zarr(path, stamp) if path.suffix == ".zarr" else _open_mrc(path, stamp)
            self._open[path] = volume  # the last of the dictionary is the latest used
            while len(self._open) > _MOST_OPEN:
                del self._open[next(iter(self._open))]
        return volume


def stamp_of(path: Path) -> str:
    """Return what changes when a file or Zarr folder is written anew.

    Raises
    ------
    InputError
        If it is not there, or not all of it.
    """
    try:
        found = (path / "zarr.json" if path.suffix == ".zarr" else path).stat()
    except OSError as error:
        raise InputError(f"{path.name} is not there.", "It may be on its way to be replaced: ask again.") from error
    return f"{found.st_ino:x}-{found.st_size:x}-{found.st_mtime_ns:x}"


class _Mrc:
    """Sections of an MRC file."""

    def __init__(self, path: Path, offset: int, dtype: np.dtype[Any], shape: tuple[int, int, int]) -> None:
        self.dtype = dtype
        self._path, self._offset, self._shape = path, offset, shape

    @property
    def grain(self) -> tuple[int, int, int]:
        """Some rows cost little more than one, and some columns as much as all: what little memory holds."""
        nz, ny, nx = self._shape
        most_y, most_x = (_RUN_BYTES // (self.dtype.itemsize * nz * n) for n in (nx, ny))
        return (1, max(1, min(16, most_y)), max(1, min(64, most_x)))

    def read(self, axis: Axis, first: int, last: int) -> NDArray[Any]:
        """Read whole sections, rows of all sections, or columns of all rows."""
        nz, ny, nx = self._shape
        row_bytes, n = nx * self.dtype.itemsize, last - first
        shape = ((n, ny, nx), (nz, n, nx), (n, nz * ny))[axis]
        voxels: NDArray[Any] = np.empty(shape, self.dtype)
        with self._path.open("rb") as file:
            if axis == 0:
                _fill(file.fileno(), voxels, self._offset + first * ny * row_bytes)
                return voxels
            if axis == 1:
                for z in range(nz):
                    _fill(file.fileno(), voxels[z], self._offset + (z * ny + first) * row_bytes)
                return np.moveaxis(voxels, 1, 0)
            self._columns(file.fileno(), voxels, first, last)
        return voxels.reshape(n, nz, ny)

    def _columns(self, file: int, columns: NDArray[Any], first: int, last: int) -> None:
        """Pass over all rows, and lay their columns (n, nz ny) so that each is a slice without gaps."""
        nx, rows_in_all = self._shape[2], columns.shape[1]
        rows = np.empty((max(1, _PASS_BYTES // (nx * self.dtype.itemsize)), nx), self.dtype)
        for row in range(0, rows_in_all, len(rows)):
            part = rows[: rows_in_all - row]
            _fill(file, part, self._offset + row * nx * self.dtype.itemsize)
            columns[:, row : row + len(part)] = part[:, first:last].T


def _fill(file: int, voxels: NDArray[Any], offset: int) -> None:
    """Fill a contiguous array from a place in a file."""
    wanted = voxels.view(np.uint8).reshape(-1)
    while wanted.size:
        got = os.preadv(file, [wanted.data], offset)
        if not got:
            raise EOFError
        wanted, offset = wanted[got:], offset + got


class _Zarr:
    """One level of an OME-Zarr pyramid."""

    def __init__(self, array: "zarr.Array[Any]") -> None:
        self.dtype = np.dtype(array.dtype)
        self._array = array

    @property
    def grain(self) -> tuple[int, int, int]:
        """Chunks are unpacked whole."""
        z, y, x = self._array.chunks
        return (z, y, x)

    def read(self, axis: Axis, first: int, last: int) -> NDArray[Any]:
        """Read the chunks that hold these voxels."""
        index: list[slice] = [slice(None)] * 3
        index[axis] = slice(first, last)
        return np.moveaxis(np.asarray(self._array[tuple(index)]), axis, 0)


def _open_mrc(path: Path, stamp: str) -> Volume:
    image = _quietly(lambda: open_mrc(path))
    data = image.data
    if not isinstance(data, np.memmap):
        raise FormatError(f"{path.name} cannot be read in part.", "Write it again as MRC.")
    z, y, x = data.shape
    shape, voxel_A = (int(z), int(y), int(x)), image.pixel_A
    voxel = (voxel_A, voxel_A, voxel_A) if voxel_A else None
    first = _from_centre(shape, (0, 0, 0), voxel or (1, 1, 1))
    return Volume(path, stamp, shape, voxel, first, 1, _Mrc(path, data.offset, data.dtype, shape))


def _open_zarr(path: Path, stamp: str) -> Volume:
    image = _quietly(lambda: read_ome_zarr(path))
    fits = [level for level, array in enumerate(image.levels) if _thickest_bytes(array) <= ZARR_BYTES]
    if not fits:
        raise FormatError(f"{path.name} has no level that can be shown.", "Write it with a pyramid of levels.")
    array, voxel, start = image.levels[fits[0]], image.voxels_zyx_A[fits[0]], image.starts_zyx_A[fits[0]]
    z, y, x = array.shape
    first = _from_centre(image.levels[0].shape, start, image.voxels_zyx_A[0])
    binned = round(max(voxel) / max(image.voxels_zyx_A[0]))
    return Volume(path, stamp, (z, y, x), voxel, first, binned, _Zarr(array))


def _thickest_bytes(array: "zarr.Array[Any]") -> int:
    """Return the bytes of the largest run of slices that is one chunk thick."""
    thick = max(min(chunk, n) / n for chunk, n in zip(array.chunks, array.shape, strict=True))
    return int(thick * array.size * array.dtype.itemsize)


def _from_centre(shape: tuple[int, ...], start_A: Zyx, voxel_A: Zyx) -> Zyx:
    z, y, x = (s - n // 2 * v for n, s, v in zip(shape, start_A, voxel_A, strict=True))
    return z, y, x


def _quietly(opened: Callable[[], T]) -> T:
    """Open a file without its warnings, which were told when it was processed."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", FormatWarning)
        return opened()
