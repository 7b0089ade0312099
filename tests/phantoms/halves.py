"""Half tomograms of round things, by the transfer of a tilt range and with white noise."""

from dataclasses import dataclass, replace

import numpy as np
import torch
from numpy.typing import NDArray

from eucentric.processing.restoration import HalfTomograms, transfer
from eucentric.processing.restoration.transfer import grain

Floats = NDArray[np.float32]
TILTS_DEG = tuple(float(a) for a in range(-60, 61, 3))


@dataclass(frozen=True)
class Halves:
    """The pair, and what is true of it."""

    pair: HalfTomograms
    truth: Floats
    noise: float


def round_things(side: int, seed: int, count: int = 40) -> Floats:
    """Return soft balls and shells at random places, which are wrapped around at borders; of mean 0, variance 1."""
    random = np.random.default_rng(seed)
    grid = np.arange(side)
    volume = np.zeros((side,) * 3)
    for _ in range(count):
        centre, radius = random.uniform(0, side, 3), random.uniform(2.0, 5.0)
        z, y, x = (np.square((grid - c + side / 2) % side - side / 2) for c in centre)
        away = np.sqrt(z[:, None, None] + y[:, None] + x)
        filled = random.random() < 0.5
        volume += np.clip(radius - away, 0, 1) if filled else np.clip(1.5 - np.abs(away - radius - 1), 0, 1)
    volume -= volume.mean()
    return np.asarray(volume / volume.std(), dtype=np.float32)


def seen_halves(truth: Floats, noise: float, seed: int, tilts_deg: tuple[float, ...] = TILTS_DEG) -> Halves:
    """Return what tilts show of a cube: its transfer, and noise of this standard deviation where they measured."""
    random = np.random.default_rng(seed)
    through = transfer(truth.shape, 10.0, tilts_deg).clamp(max=1)
    clean = torch.fft.rfftn(torch.from_numpy(truth)) * through
    halves = []
    for _ in range(2):
        grain = torch.from_numpy(random.normal(0, noise, truth.shape).astype(np.float32))
        seen = clean + torch.fft.rfftn(grain) * (through > 0.01)
        halves.append(torch.fft.irfftn(seen, truth.shape).numpy())
    return Halves(HalfTomograms("phantom", halves[0], halves[1], 10.0, tilts_deg), truth, noise)


def seen_halves_of_tilts(truth: Floats, noise: float, seed: int, tilts_deg: tuple[float, ...] = TILTS_DEG) -> Halves:
    """Return what every other tilt shows of a cube, and noise on the planes of its own views alone."""
    random = np.random.default_rng(seed)
    even_views = tuple(range(0, len(tilts_deg), 2))
    pair = HalfTomograms("phantom", truth, truth, 10.0, tilts_deg, None, even_views)
    spectrum, halves = torch.fft.rfftn(torch.from_numpy(truth)), []
    for counts in pair.counts:
        through = transfer(truth.shape, 10.0, tilts_deg, counts=counts)
        white = torch.from_numpy(random.normal(0, noise, truth.shape).astype(np.float32))
        grains = grain(truth.shape, tilts_deg, counts=counts).sqrt() * (through > 0)
        halves.append(torch.fft.irfftn(through * spectrum + grains * torch.fft.rfftn(white), truth.shape).numpy())
    return Halves(replace(pair, even=halves[0], odd=halves[1]), truth, noise)


def correlation(a: Floats, b: Floats, cells: NDArray[np.bool_]) -> float:
    """Return the correlation of two volumes over some cells of their half spectra."""
    one, two = np.fft.rfftn(a)[cells], np.fft.rfftn(b)[cells]
    return float((one * two.conj()).real.sum() / np.sqrt((np.abs(one) ** 2).sum() * (np.abs(two) ** 2).sum()))
