"""Work with known truth: Gaussian blobs, seen analytically, so that no program's own projector made the images."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from eucentric.core import Alignment, TiltAlignment, stream
from eucentric.core.jit import compiled, parallel_range

Doubles = NDArray[np.float64]
Floats = NDArray[np.float32]

TILTS_DEG = tuple(float(tilt) for tilt in range(-60, 61, 3))
PIXEL_A = 6.0
AXIS_DEG = -5.0  # of the series to align, from the image's y axis

_OF_SIZE = 512  # numbers below are for images of this size; fields scale with it, and blobs keep their sizes
_BLOBS, _PER_CLUSTER, _CLUSTER_PX = 60_000, 20, 5.0
_SIGMA_PX, _HEIGHT = (0.9, 2.2), (0.5, 1.5)
_REACH = 4.5  # sigmas: a blob is 4e-5 of its height there
_MAX_SHIFT_PX = 30.0
_ELECTRONS, _CONTRAST = 105.0, 0.08  # a pixel of the untilted view, and rms of it: 2.9 e/Å² at 6 Å
_LOSS = 0.6  # thickness over the mean free path: what passes falls by its exponential with the path


@dataclass(frozen=True)
class Work:
    """A series (n, y, x) float32 and how it was seen; `volume` (z, y, x) is what was seen, where that is asked for."""

    images: Floats
    truth: Alignment
    depth: int
    volume: Floats | None = None


@dataclass(frozen=True)
class _Blobs:
    """Centres zyx in pixels from the specimen's origin, widths in pixels, and heights."""

    centres: Doubles
    sigmas: Doubles
    heights: Doubles


@compiled(parallel=True)
def _add(centres: Doubles, sigmas: Doubles, heights: Doubles, volumes: Floats) -> None:
    """Add to each of `volumes` (n, z, y, x) its blobs at `centres` (n, blobs, 3), in voxels, of `heights` (n, blobs).

    Samples are taken at the voxels' middles. Volumes of one plane take no account of z: they are images.
    """
    n, depth, rows, columns = volumes.shape
    for i in parallel_range(n):
        along_x = np.empty(columns)
        for k in range(len(sigmas)):
            reach = _REACH * sigmas[k]
            narrow = -0.5 / sigmas[k] ** 2
            x0, x1 = max(0, int(np.ceil(centres[i, k, 2] - reach))), min(columns, int(centres[i, k, 2] + reach) + 1)
            y0, y1 = max(0, int(np.ceil(centres[i, k, 1] - reach))), min(rows, int(centres[i, k, 1] + reach) + 1)
            z0, z1 = 0, depth
            if depth > 1:
                z0, z1 = max(0, int(np.ceil(centres[i, k, 0] - reach))), min(depth, int(centres[i, k, 0] + reach) + 1)
            for x in range(x0, x1):
                along_x[x] = np.exp(narrow * (x - centres[i, k, 2]) ** 2)
            for z in range(z0, z1):
                in_plane = heights[i, k] * (np.exp(narrow * (z - centres[i, k, 0]) ** 2) if depth > 1 else 1.0)
                for y in range(y0, y1):
                    height = in_plane * np.exp(narrow * (y - centres[i, k, 1]) ** 2)
                    for x in range(x0, x1):
                        volumes[i, z, y, x] += height * along_x[x]


def reconstruction_work(size: int, seed: int) -> Work:
    """Make 41 views of size² of a volume of size/4 planes, aligned and without noise, each of mean zero."""
    scale = size / _OF_SIZE
    blobs = _blobs(stream(seed, "bench", "reconstruct"), scale, (46, 262, 560))
    truth = _seen_as(size, 0.0, np.zeros((len(TILTS_DEG), 2)))
    depth = size // 4
    volume = np.zeros((1, depth, size, size), np.float32)
    middle = np.array([depth // 2, size // 2, size // 2])
    _add((blobs.centres + middle)[None], blobs.sigmas, blobs.heights[None], volume)
    images = _views(blobs, truth)
    images -= images.mean((1, 2), keepdims=True)
    return Work(images, truth, depth, volume[0])


def alignment_work(size: int, seed: int) -> Work:
    """Make 41 views of size² of a slab, moved by up to 30 pixels at 512, counted at 105 electrons a pixel."""
    scale = size / _OF_SIZE
    random = stream(seed, "bench", "align")
    blobs = _blobs(random, scale, (16, 620, 620))
    shifts_px = random.uniform(-_MAX_SHIFT_PX * scale, _MAX_SHIFT_PX * scale, (len(TILTS_DEG), 2))
    shifts_px[len(TILTS_DEG) // 2] = 0
    truth = _seen_as(size, AXIS_DEG, shifts_px)
    clean = _views(blobs, truth)
    untilted = clean[len(TILTS_DEG) // 2].std()
    images = np.empty_like(clean)
    for image, view, tilt_deg in zip(images, clean, TILTS_DEG, strict=True):
        passing = _ELECTRONS * np.exp(-_LOSS * (1 / np.cos(np.deg2rad(tilt_deg)) - 1))
        contrast = _CONTRAST * (view - view.mean()) / untilted
        image[:] = random.poisson(passing * np.maximum(1 - contrast, 0.02))
    return Work(images, truth, max(8, round(48 * scale)))


def _blobs(random: np.random.Generator, scale: float, half_zyx: tuple[int, int, int]) -> _Blobs:
    """Draw clusters of blobs within a box; as many to the area at every scale."""
    clusters = max(8, round(_BLOBS / _PER_CLUSTER * scale**2))
    half = scale * np.array(half_zyx, dtype=float)
    middles = np.repeat(random.uniform(-half, half, (clusters, 3)), _PER_CLUSTER, 0)
    centres = middles + random.normal(0, _CLUSTER_PX, middles.shape)
    sigmas = random.uniform(*_SIGMA_PX, len(centres))
    return _Blobs(centres, sigmas, random.uniform(*_HEIGHT, len(centres)) / sigmas)


def _seen_as(size: int, axis_deg: float, shifts_px: Doubles) -> Alignment:
    tilts = tuple(
        TiltAlignment(section=i, tilt_deg=tilt, axis_deg=axis_deg, shift_yx_A=(y * PIXEL_A, x * PIXEL_A))
        for i, (tilt, (y, x)) in enumerate(zip(TILTS_DEG, shifts_px.tolist(), strict=True))
    )
    return Alignment(pixel_A=PIXEL_A, shape_yx=(size, size), tilts=tilts)


def _views(blobs: _Blobs, truth: Alignment) -> Floats:
    """Return line integrals (n, y, x) along the beam."""
    rows, columns = truth.shape_yx
    places = np.stack([tilt.sample2image()(blobs.centres * PIXEL_A) / PIXEL_A for tilt in truth.tilts])
    places += np.array([0, rows // 2, columns // 2])
    images = np.zeros((len(places), 1, rows, columns), np.float32)
    heights = np.sqrt(2 * np.pi) * blobs.sigmas * blobs.heights
    _add(places, blobs.sigmas, np.repeat(heights[None], len(places), 0), images)
    return images[:, 0]
