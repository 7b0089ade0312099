"""Tomograms as OME-Zarr 0.5: a pyramid of chunked, compressed levels that viewers open in place.

Each level is the one before it averaged over 2 x 2 x 2 voxels, so that its first voxel lies half a fine voxel further
in; each dataset's translation says so. Positions are those of voxel centres, from the first voxel of the finest level.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import zarr
from numpy.typing import NDArray
from ome_zarr_models.v05.axes import Axis
from ome_zarr_models.v05.image import Image, ImageAttrs
from ome_zarr_models.v05.multiscales import Dataset, Multiscale
from zarr.codecs import BloscCodec
from zarr.errors import BaseZarrError

from eucentric.core import FormatError, InputError, whole_or_nothing
from eucentric.io._text import size_of

_CHUNK = 64  # voxels a side: a quarter of a million values, what a viewer asks for at once
_SHARD = 512  # voxels along y and x in one file, one chunk deep: 64 MB of float32, and few files
_COARSEST = 64  # the pyramid ends at the first level that is no larger along any side
_DTYPES = ("int8", "uint8", "int16", "uint16", "float16", "float32")

Zyx = tuple[float, float, float]


@dataclass(frozen=True)
class OmeZarrImage:
    """An OME-Zarr image: per level, finest first, its array (z, y, x), voxel size, and its first voxel's place (Å)."""

    name: str
    levels: tuple[zarr.Array[Any], ...]
    voxels_zyx_A: tuple[Zyx, ...]
    starts_zyx_A: tuple[Zyx, ...]


def write_ome_zarr(path: Path, data: NDArray[Any], pixel_A: float, *, name: str, levels: int | None = None) -> None:
    """Write `data` of shape (z, y, x) as an OME-Zarr 0.5 folder, 64 slices at a time, whole or not at all.

    Parameters
    ----------
    path
        The folder; one already there is replaced.
    data
        8- or 16-bit integers or float16 or float32; may be a memory map larger than memory.
    pixel_A
        Voxel size (Å).
    name
        What viewers show.
    levels
        Levels of the pyramid; by default until no side is longer than 64 voxels.

    Raises
    ------
    InputError
        If the shape, type, voxel size or number of levels cannot be written.
    OutputError
        If the place cannot be written to, or the disk is full.
    """
    path = Path(path)
    if data.ndim != 3 or 0 in data.shape:
        raise InputError(f"{path}: an OME-Zarr volume has voxels (z, y, x), not {data.shape}.")
    if data.dtype.name not in _DTYPES:
        raise InputError(f"{path}: {data.dtype} is not written.", f"Convert to one of {', '.join(_DTYPES)}.")
    if not (math.isfinite(pixel_A) and pixel_A > 0):
        raise InputError(f"{path}: {pixel_A} Å is no voxel size.")
    if levels is not None and not 1 <= levels <= 16:
        raise InputError(f"{path}: {levels} levels cannot be made.", "Choose 1 to 16.")
    shapes = _pyramid(data.shape, levels)
    with whole_or_nothing(path) as partial:
        group = zarr.open_group(str(partial), mode="w", zarr_format=3, attributes=_attributes(shapes, pixel_A, name))
        pyramid = _Level(group, 0, shapes, data.dtype.newbyteorder("="))
        for first in range(0, len(data), _CHUNK):
            pyramid.write(np.asarray(data[first : first + _CHUNK], pyramid.dtype))
        pyramid.finish()
        Image.from_zarr(group)  # raises if what was written is no OME-Zarr image


def read_ome_zarr(path: Path) -> OmeZarrImage:
    """Open an OME-Zarr 0.5 image with the axes z, y and x in Å (or no unit), without reading its voxels.

    Raises
    ------
    InputError
        If there is no such folder.
    FormatError
        If it is not such an image.
    """
    path = Path(path)
    if not path.is_dir():
        size_of(path, "an OME-Zarr folder")
        raise FormatError(f"{path}: this is a file; an OME-Zarr image is a folder.", "Name the folder.")
    try:
        group = zarr.open_group(str(path), mode="r", zarr_format=3)
        multiscale = Image.from_zarr(group).ome_attributes.multiscales[0]
    except (ValueError, KeyError, TypeError, OSError, BaseZarrError) as error:
        first = str(error).split("\n")[0]
        raise FormatError(f"{path}: not an OME-Zarr 0.5 image ({first}).", "Name another folder.") from error
    axes = [(axis.name, axis.unit) for axis in multiscale.axes]
    if [name for name, _ in axes] != ["z", "y", "x"] or not {unit for _, unit in axes} <= {"angstrom", None}:
        raise FormatError(f"{path}: its axes are {axes}; z, y and x in Å were expected.", "Name another folder.")
    voxels, starts = [], []
    for dataset in multiscale.datasets:
        transforms = {transform.type: transform for transform in dataset.coordinateTransformations}
        voxels.append(_zyx(getattr(transforms["scale"], "scale", ())))
        starts.append(_zyx(getattr(transforms.get("translation"), "translation", (0, 0, 0))))
    arrays = []
    for dataset in multiscale.datasets:
        array = group[dataset.path]
        if not isinstance(array, zarr.Array):
            raise FormatError(f"{path}: its level {dataset.path} is no array.", "Write it again.")
        arrays.append(array)
    return OmeZarrImage(str(multiscale.name or path.stem), tuple(arrays), tuple(voxels), tuple(starts))


def _zyx(values: Sequence[float]) -> Zyx:
    z, y, x = values
    return float(z), float(y), float(x)


def _factors(shape: tuple[int, ...]) -> tuple[int, ...]:
    """Return by how much each axis is binned for the next level; one that has a single voxel stays."""
    return tuple(2 if n > 1 else 1 for n in shape)


def _pyramid(shape: tuple[int, ...], levels: int | None) -> list[tuple[int, ...]]:
    """Return the shape of each level; an odd last plane is left out, so that every voxel averages eight whole ones."""
    shapes = [shape]
    while len(shapes) < levels if levels is not None else max(shapes[-1]) > _COARSEST:
        shapes.append(tuple(n // f for n, f in zip(shapes[-1], _factors(shapes[-1]), strict=True)))
    return shapes


def _attributes(shapes: list[tuple[int, ...]], pixel_A: float, name: str) -> dict[str, Any]:
    scale = np.ones(3)
    datasets = []
    for level, shape in enumerate(shapes):
        translation = pixel_A * (scale - 1) / 2
        datasets.append(
            Dataset.build(path=str(level), scale=(pixel_A * scale).tolist(), translation=translation.tolist())
        )
        scale = scale * _factors(shape)
    multiscale = Multiscale(
        axes=tuple(Axis(name=axis, type="space", unit="angstrom") for axis in "zyx"),
        datasets=tuple(datasets),
        name=name,
        type="mean",
    )
    return {"ome": ImageAttrs(multiscales=[multiscale], version="0.5").model_dump(exclude_none=True)}


class _Level:
    """One level while it is written: hands its slabs on, binned, to the next, which gathers them into its own."""

    def __init__(self, group: zarr.Group, level: int, shapes: list[tuple[int, ...]], dtype: np.dtype[Any]) -> None:
        self.dtype = dtype
        shape = shapes[level]
        chunks = tuple(min(_CHUNK, n) for n in shape)
        across = (_CHUNK, _SHARD, _SHARD)
        shards = tuple(c * math.ceil(min(n, m) / c) for c, n, m in zip(chunks, shape, across, strict=True))
        self._array = group.create_array(
            str(level),
            shape=shape,
            dtype=dtype,
            chunks=chunks,
            shards=shards,
            # Measured on a tomogram: 13 % smaller than raw, and as fast to write and to read as no compression.
            compressors=BloscCodec(cname="zstd", clevel=1, shuffle="bitshuffle", typesize=dtype.itemsize),
            dimension_names=("z", "y", "x"),
        )
        self._factors = _factors(shape)
        self._next = _Level(group, level + 1, shapes, dtype) if level + 1 < len(shapes) else None
        self._gathered: list[NDArray[Any]] = []
        self._done = 0

    def write(self, slab: NDArray[Any]) -> None:
        """Write a slab that is a whole chunk deep, or the last one."""
        self._array[self._done : self._done + len(slab)] = slab
        self._done += len(slab)
        if self._next:
            self._next.gather(_binned(slab, self._factors))

    def gather(self, planes: NDArray[Any]) -> None:
        """Take planes, and write them once they fill a chunk."""
        self._gathered.append(planes)
        if sum(map(len, self._gathered)) >= _CHUNK:
            self._write_gathered()

    def finish(self) -> None:
        """Write what is left, here and below."""
        self._write_gathered()
        if self._next:
            self._next.finish()

    def _write_gathered(self) -> None:
        slab = np.concatenate(self._gathered) if self._gathered else ()
        self._gathered = []
        if len(slab):
            self.write(np.asarray(slab))


def _binned(slab: NDArray[Any], factors: tuple[int, ...]) -> NDArray[Any]:
    """Average over blocks of `factors`; integers are rounded to the nearest."""
    mean = slab.astype(np.float32, copy=False)
    for axis, factor in enumerate(factors):
        if factor == 2:
            even = (slice(None),) * axis + (slice(0, mean.shape[axis] // 2 * 2, 2),)
            odd = (slice(None),) * axis + (slice(1, None, 2),)
            mean = (mean[even] + mean[odd]) * np.float32(0.5)
    return (np.rint(mean) if slab.dtype.kind in "iu" else mean).astype(slab.dtype, copy=False)
