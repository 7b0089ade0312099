"""Cubic blocks of tomograms, with all that is known of how they were seen.

A small tomogram is one block, which is larger where the tomogram is thin; of a large one, several are cut.
"""

import math
from dataclasses import dataclass
from functools import cached_property
from itertools import product

import numpy as np
import torch
from torch import Tensor

from eucentric.processing.restoration.network import MULTIPLE
from eucentric.processing.restoration.records import HalfTomograms
from eucentric.processing.restoration.sights import Sight, Sights, sights_of
from eucentric.processing.restoration.spectra import Spectra, measure, whole_mean

LARGEST = 160
"""Voxels along the side of a block: what a cube of 64 sees, and streaks that run further."""

MARGIN = 16
"""Voxels at a border between blocks where one gives way to the other."""

_SPREAD_PX = 9  # over which the power of what stands out is spread
_STRONG = 10.0  # times the specimen's mean power, beyond which a place counts for less


@dataclass(frozen=True)
class Seeing:
    """How a tomogram sees its specimen: how its blocks and cubes do, and the spectra of specimen and noise.

    Attributes
    ----------
    side
        Of the blocks, voxels.
    sights
        Of its blocks.
    spectra
        In units of the halves over `scale`.
    mean, scale
        Taken off the halves, and divided by: what makes a half's noise of variance one.
    strength
        Standard deviation of the best linear estimate, where nothing stands out.
    """

    pair: HalfTomograms
    side: int
    sights: Sights
    spectra: Spectra
    mean: float
    scale: float
    strength: float

    @property
    def device(self) -> torch.device:
        """Where all of it is."""
        return self.sights.both.transfer.device

    def of_cube(self, side: int) -> Sights:
        """Return how a smaller cube sees the specimen."""
        return sights_of(self.pair, side, self.device)

    @cached_property
    def wieners(self) -> tuple[Tensor, Tensor]:
        """Filters from the spectrum of either half to the best linear estimate of the specimen."""
        return self.spectra.wiener(self.sights.even), self.spectra.wiener(self.sights.odd)


@dataclass(frozen=True)
class Half:
    """One half of a block: its values, how it saw the specimen, and the filter to the best linear estimate of that."""

    values: Tensor
    sight: Sight
    wiener: Tensor
    strength: float

    def left_by(self, answer: Tensor) -> Tensor:
        """Return what an answer for the specimen, in the block's units, leaves of these values."""
        return inverse(self.sight.transfer * torch.fft.rfftn(answer)) - self.values

    @property
    def estimate(self) -> Tensor:
        """The best linear estimate of the specimen, over its strength: what a network is shown."""
        return inverse(self.wiener * torch.fft.rfftn(self.values)) / self.strength


@dataclass(frozen=True)
class Block:
    """A part of a tomogram.

    Attributes
    ----------
    seeing
        Of its tomogram.
    corner
        Its first voxel in the tomogram, which may lie outside.
    even, odd
        (side, side, side), of mean 0 and noise of variance 1; outside of the tomogram 0.
    inside
        1 within the tomogram.
    """

    seeing: Seeing
    corner: tuple[int, int, int]
    even: Tensor
    odd: Tensor
    inside: Tensor

    @property
    def halves(self) -> tuple[Half, Half]:
        """The even and the odd half."""
        sights, strength = self.seeing.sights, self.seeing.strength
        even, odd = self.seeing.wieners
        return Half(self.even, sights.even, even, strength), Half(self.odd, sights.odd, odd, strength)

    def noise_power(self, counts: Tensor, sight: Sight, halves: int = 1) -> Tensor:
        """Return the power of noise in each coefficient of a half, or of the mean of two, times `counts`.

        It is measured where halves differ by noise alone, and else that of the spectra.
        """
        if self.seeing.pair.even_views is None:
            differing: Tensor = torch.fft.rfftn((self.even - self.odd) / math.sqrt(2 * halves) * counts)
            return differing.abs() ** 2
        return self.seeing.spectra.noise_of(sight, halves) * counts.square().sum()

    @property
    def noise_square(self) -> Tensor:
        """The square of a half's noise at each voxel, or where that is not measured, what it is in the mean."""
        if self.seeing.pair.even_views is None:
            return (self.even - self.odd).square() / 2
        return self.inside * float(whole_mean(self.seeing.spectra.noise_of(self.seeing.sights.both)))

    def noise(self, half: Half, random: np.random.Generator) -> Tensor:
        """Return noise such as a half has, and none of its own: from another place of the block, or drawn anew."""
        if self.seeing.pair.even_views is None:
            move = [int(n) for n in random.integers(0, self.even.shape[0], 3)]
            return ((self.even - self.odd) / math.sqrt(2)).roll(move, (0, 1, 2))
        white = random.standard_normal(self.even.shape, dtype=np.float32)
        power = self.seeing.spectra.noise_of(half.sight)
        spectrum = torch.fft.rfftn(torch.from_numpy(white).to(power.device))
        return inverse(spectrum * power.sqrt())

    @cached_property
    def evenness(self) -> Tensor:
        """How much a voxel's residual counts: less where gold or dirt would drown what is around it."""
        seeing = self.seeing
        both = torch.fft.rfftn((self.even + self.odd) / 2)
        return evenness(inverse(seeing.spectra.wiener(seeing.sights.both, 2) * both) / seeing.strength)


def evenness(estimate: Tensor) -> Tensor:
    """Return how much each place of an estimate, over its strength, is to count: 1 but where something stands out."""
    return 1 / (1 + mean_around(estimate.square(), _SPREAD_PX) / _STRONG)


def mean_around(values: Tensor, width: int) -> Tensor:
    """Return the mean over a cube of so many voxels about each, of which those beyond the border do not count."""
    pooled = values[None, None]
    for axis in range(3):  # one after the other: a ninth of the time of all at once, for nine voxels
        kernel, padding = [1, 1, 1], [0, 0, 0]
        kernel[axis], padding[axis] = width, width // 2
        pooled = torch.nn.functional.avg_pool3d(pooled, kernel, 1, padding, count_include_pad=False)
    return pooled[0, 0]


def inverse(half: Tensor) -> Tensor:
    """Return the cube of a half spectrum."""
    cube: Tensor = torch.fft.irfftn(half, (half.shape[0],) * 3)
    return cube


def block_side(pair: HalfTomograms) -> int:
    """Return the side of a tomogram's blocks."""
    return min(LARGEST, MULTIPLE * math.ceil(max(pair.shape) / MULTIPLE))


def look_at(pair: HalfTomograms, device: torch.device, most: int = 8) -> Seeing:
    """Measure how a tomogram sees its specimen, from at most so many blocks."""
    side = block_side(pair)
    sights = sights_of(pair, side, device)
    corners = spaced(corners_of(pair.shape, side), most)
    window = soft_edge(side, device)
    sums = torch.zeros(3, dtype=torch.float64)  # of values, of squares of the difference, and how many of each
    halves = []
    for corner in corners:
        even, odd, inside = _cut(pair, corner, side, 0.0, 1.0, device)
        held = inside > 0
        sums += torch.tensor(
            [
                float((even + odd)[held].double().sum()) / 2,
                float((even - odd)[held].double().square().sum()) / 2,
                float(held.sum()),
            ]
        )
        halves.append((even, odd, inside))
    mean, scale = float(sums[0] / sums[2]), max(math.sqrt(float(sums[1] / sums[2])), 1e-30)
    halves = [((even - mean * inside) / scale, (odd - mean * inside) / scale, inside) for even, odd, inside in halves]
    counting = [window * inside for _, _, inside in halves]
    spectra, strength = _spectra(halves, counting, sights)
    # Again without what stands out, whose power would be taken for that of everything.
    estimates = [inverse(spectra.wiener(sights.both, 2) * torch.fft.rfftn((a + b) / 2)) for a, b, _ in halves]
    counting = [counts * evenness(x / strength).sqrt() for counts, x in zip(counting, estimates, strict=True)]
    spectra, strength = _spectra(halves, counting, sights)
    return Seeing(pair, side, sights, spectra, mean, scale, strength)


def _spectra(
    halves: list[tuple[Tensor, Tensor, Tensor]], counting: list[Tensor], sights: Sights
) -> tuple[Spectra, float]:
    """Return the spectra over what counts, and the usual strength of the best linear estimate."""
    seen = [
        tuple(torch.fft.rfftn(half * counts) / counts.square().mean().sqrt() for half in (even, odd))
        for (even, odd, _), counts in zip(halves, counting, strict=True)
    ]
    spectra = measure([(a, b) for a, b in seen], sights)
    strengths = []
    for a, b in seen:
        estimate = inverse(spectra.wiener(sights.both, 2) * (a + b) / 2)
        usual = 1.4826 * float(estimate.abs().median())
        strengths.append(float(estimate.clamp(-5 * usual, 5 * usual).std()))
    return spectra, max(sum(strengths) / len(strengths), 1e-12)


def cut(seeing: Seeing, corner: tuple[int, int, int]) -> Block:
    """Cut a block from a tomogram."""
    device = seeing.device
    even, odd, inside = _cut(seeing.pair, corner, seeing.side, seeing.mean, seeing.scale, device)
    return Block(seeing, corner, even, odd, inside)


def corners_of(shape: tuple[int, ...], side: int) -> list[tuple[int, int, int]]:
    """Return corners of blocks that cover a volume, overlapping by twice `MARGIN` where there are several."""
    firsts = []
    for n in shape:
        if n <= side:
            firsts.append([-((side - n) // 2)])
        else:
            count = math.ceil((n - 2 * MARGIN) / (side - 2 * MARGIN))
            firsts.append([round(i * (n - side) / (count - 1)) for i in range(count)])
    return [(z, y, x) for z, y, x in product(*firsts)]


def spaced(corners: list[tuple[int, int, int]], most: int) -> list[tuple[int, int, int]]:
    """Return at most so many of them, spread evenly."""
    if len(corners) <= most:
        return corners
    return [corners[round(i * (len(corners) - 1) / (most - 1))] for i in range(most)] if most > 1 else corners[:1]


def parts(shape: tuple[int, ...], corner: tuple[int, ...], side: int) -> tuple[tuple[slice, ...], tuple[slice, ...]]:
    """Return where a block lies in its volume, and that part within the block."""
    ends = [(max(c, 0), min(c + side, n)) for c, n in zip(corner, shape, strict=True)]
    return tuple(slice(*end) for end in ends), tuple(
        slice(a - c, b - c) for (a, b), c in zip(ends, corner, strict=True)
    )


def _cut(
    pair: HalfTomograms, corner: tuple[int, int, int], side: int, mean: float, scale: float, device: torch.device
) -> tuple[Tensor, Tensor, Tensor]:
    there, here = parts(pair.shape, corner, side)
    found = []
    for half in (pair.even, pair.odd):
        block = np.zeros((side,) * 3, np.float32)
        block[here] = (np.asarray(half[there], dtype=np.float32) - np.float32(mean)) / np.float32(scale)
        found.append(torch.from_numpy(block).to(device))
    inside = torch.zeros((side,) * 3, device=device)
    inside[here] = 1
    return found[0], found[1], inside


def edge_of(side: int) -> int:
    """Return how deep the soft edge of a cube is: what lies beyond its faces is in the data near them."""
    return side // 8


def soft_edge(side: int, device: torch.device) -> Tensor:
    """Return a cube of ones that falls to nothing at each face."""
    line, depth = torch.ones(side, device=device), edge_of(side)
    rise = torch.sin((torch.arange(depth, device=device) + 0.5) / depth * (torch.pi / 2)) ** 2
    line[:depth], line[side - depth :] = rise, rise.flip(0)
    return line[:, None, None] * line[:, None] * line


def somewhere(where: Tensor, side: int, least: float, random: np.random.Generator) -> tuple[slice, ...]:
    """Choose the place of a cube in a block, of which more than the share `least` is where `where` is above nothing.

    After twenty tries it may be any.
    """
    for _ in range(20):
        firsts = random.integers(0, where.shape[0] - side + 1, 3)
        place = tuple(slice(int(first), int(first) + side) for first in firsts)
        if float((where[place] > 0).float().mean()) > least:
            break
    return place


def blended(shape: tuple[int, ...], corner: tuple[int, ...], side: int, device: torch.device) -> Tensor:
    """Return the weights of a block where it overlaps others; those of all blocks of `corners_of` add up, unscaled."""
    lines = []
    for c, n in zip(corner, shape, strict=True):
        line = torch.ones(side, device=device)
        rise = (torch.arange(2 * MARGIN, device=device) + 0.5) / (2 * MARGIN)
        if c > 0:
            line[: 2 * MARGIN] = rise
        if c + side < n:
            line[side - 2 * MARGIN :] = rise.flip(0)
        lines.append(line)
    return lines[0][:, None, None] * lines[1][:, None] * lines[2]
