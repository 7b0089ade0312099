"""Small half tomograms with a missing wedge and noise of their own, as arrays, as files, and in a session."""

from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray

from eucentric.core import Alignment, TiltAlignment, stream
from eucentric.io import write_alignment, write_mrc
from eucentric.processing.restoration import transfer
from eucentric.session import Session

TILTS_DEG = tuple(float(tilt) for tilt in range(-60, 61, 6))
VOXEL_A = 12.0
SIDE = 32

Volume = NDArray[np.float32]


def halves(seed: int = 0, side: int = SIDE) -> tuple[Volume, Volume]:
    """Return two halves of blobs as tilts to 60° see them, with as much noise in each as signal."""
    random = stream(seed, "test", "halves")
    grid = np.indices((side,) * 3).astype(np.float32)
    density = np.zeros((side,) * 3, np.float32)
    for centre in random.uniform(6, side - 6, (8, 3)):
        density += np.exp(-((grid - centre[:, None, None, None]) ** 2).sum(0) / (2 * 2.5**2))
    through = transfer(density.shape, VOXEL_A, TILTS_DEG)
    seen = torch.fft.irfftn(through * torch.fft.rfftn(torch.from_numpy(density)), density.shape).numpy()
    even, odd = (seen / seen.std() + random.normal(0, 1, seen.shape) for _ in range(2))
    return even.astype(np.float32), odd.astype(np.float32)


def write_pair(folder: Path, seed: int = 0, names: tuple[str, str] = ("even.mrc", "odd.mrc")) -> tuple[Path, Path]:
    """Write two halves, and return their files."""
    folder.mkdir(parents=True, exist_ok=True)
    paths = folder / names[0], folder / names[1]
    for path, half in zip(paths, halves(seed), strict=True):
        write_mrc(path, half, VOXEL_A, kind="volume")
    return paths


def alignment_of(tilts_deg: tuple[float, ...] = TILTS_DEG) -> Alignment:
    """Return an alignment with these views, and one more that is not used."""
    views = [TiltAlignment(section=i, tilt_deg=tilt, axis_deg=0) for i, tilt in enumerate(tilts_deg)]
    views.append(TiltAlignment(section=len(views), tilt_deg=66, axis_deg=0, used=False, reason="dark"))
    return Alignment(pixel_A=VOXEL_A, shape_yx=(SIDE, SIDE), tilts=tuple(views))


def write_session(folder: Path, series: dict[str, int]) -> Path:
    """Make a session whose series have halves of these seeds, and an alignment."""
    with Session.create_or_open(folder) as session:
        for name, seed in series.items():
            results = session.series_folder(name)
            write_pair(results, seed, ("tomogram_even.mrc", "tomogram_odd.mrc"))
            write_alignment(results / "alignment.json", alignment_of())
    return folder
