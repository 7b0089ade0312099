"""`restore`: a tomogram by a trained model, held to what was measured, with how sure it is."""

import numpy as np
import torch
from torch import Tensor

from eucentric.core import SILENT, InputError, Reporter
from eucentric.processing.restoration.blocks import (
    Block,
    Seeing,
    blended,
    corners_of,
    cut,
    inverse,
    look_at,
    mean_around,
    parts,
)
from eucentric.processing.restoration.checking import check_halves
from eucentric.processing.restoration.model import answers, network
from eucentric.processing.restoration.records import HalfTomograms, Restored, Trained
from eucentric.processing.restoration.spectra import TICKS, radius, shells, whole_mean
from eucentric.processing.restoration.training import unseen_part

_SEEN, _NOT_SEEN = 0.5, 0.01
_ACTIVITY_PX = 5  # thrice, over which error is tied to how much structure there is
_VOXELS_ALIKE = 1.05
_COARSE_CELLS = 6.0  # of a block's spectrum, from its middle, below which data are heeded less
_LEAST_TRANSFER = 0.03  # below which a coefficient is moved less than the data say: it would be mostly noise


def restore(
    pair: HalfTomograms,
    trained: Trained,
    *,
    device: torch.device | None = None,
    reporter: Reporter = SILENT,
) -> Restored:
    """Restore a tomogram, which need not be one that the model learned from.

    Parameters
    ----------
    pair
        Its halves, and how they were seen.
    trained
        The model.
    device
        Where to compute; the CPU if absent.
    reporter
        Where progress goes.

    Raises
    ------
    InputError
        If the halves cannot be restored (see `check_halves`), or their voxels are not those that the model knows.
    """
    check_halves(pair)
    ratio = pair.voxel_A / trained.voxel_A
    if not 1 / _VOXELS_ALIKE < ratio < _VOXELS_ALIKE:
        raise InputError(
            f"{pair.name}: its voxels of {pair.voxel_A:.2f} Å are not those of {trained.voxel_A:.2f} Å that the model "
            "was trained on.",
            "Use another binning, or train a model on this tomogram.",
        )
    device = device or torch.device("cpu")
    unet = network(trained.settings.channels, device, trained.weights).eval()
    seeing = look_at(pair, device)
    names = ("full", "even", "odd", "sigma")
    sums = {name: np.zeros(pair.shape, np.float32) for name in names}
    total = np.zeros(pair.shape, np.float32)
    corners = corners_of(pair.shape, seeing.side)
    for corner in reporter.each(corners, "Restoring"):
        block = cut(seeing, corner)
        found = _restore_block(block, *answers(unet, block))
        there, here = parts(pair.shape, corner, seeing.side)
        weight = blended(pair.shape, corner, seeing.side, device)
        total[there] += weight[here].cpu().numpy()
        for name, values in zip(names, found, strict=True):
            sums[name][there] += (values * weight)[here].cpu().numpy()
    for name, volume in sums.items():
        volume /= total
        volume *= seeing.scale
        if name != "sigma":
            volume += seeing.mean
    return Restored(**sums, voxel_A=pair.voxel_A, unseen=unseen_part(pair.shape, trained.settings.held_out))


def _restore_block(block: Block, even: Tensor, odd: Tensor) -> tuple[Tensor, Tensor, Tensor, Tensor]:
    """Return the block held to the data, both answers, and the standard deviation of the first one's error."""
    full = held_to_data(block, (even + odd) / 2)
    return full, even, odd, sigma(block, full, (even, odd), error_power(block, even, odd))


def error_power(block: Block, even: Tensor, odd: Tensor) -> Tensor:
    """Return the power of an answer's error in coefficients of the specimen that were measured, on the half spectrum.

    What either answer leaves of the other half is noise of a known power, and the answer's error under the transfer.
    What came into view from beyond the field is in both, and adds what it hides of the specimen.
    """
    seeing = block.seeing
    counts = (block.evenness * block.inside).sqrt()  # or gold's error would pass for that of all
    power = torch.zeros_like(seeing.sights.both.transfer)
    for answer, target in zip((even, odd), reversed(block.halves), strict=True):
        left = torch.fft.rfftn(target.left_by(answer) * counts).abs() ** 2
        seen = target.sight.coverage > _SEEN
        excess = _by_shell(left - block.noise_power(counts, target.sight), seeing, seen) / counts.square().sum()
        power += excess / _by_shell(target.sight.transfer**2, seeing, seen).clamp(min=_LEAST_TRANSFER**2) / 2
    specimen, share = seeing.spectra.on(seeing.side)[0], seeing.sights.both.share
    return torch.minimum(power.clamp(min=0) + (1 - share) * specimen, specimen)


def held_to_data(block: Block, answer: Tensor) -> Tensor:
    """Return an answer moved towards the data, no further than to where it departs from them by their noise.

    Each shell of measured coefficients is moved by the share that leaves as much as noise would (the discrepancy
    principle; Morozov 1966): what explains the data is not moved at all. Coarse shells are moved less: what comes into
    view from beyond the field as the stage tilts, and what backgrounds leave, is the same in both halves and not true.
    """
    seeing, sight = block.seeing, block.seeing.sights.both
    transfer = sight.transfer
    counts = (block.evenness * block.inside).sqrt()
    spectrum = torch.fft.rfftn(answer)
    left = torch.fft.rfftn((block.even + block.odd) / 2) - transfer * spectrum
    remains, noise = (
        _by_shell(power, seeing, sight.coverage > _SEEN)
        for power in (torch.fft.rfftn(inverse(left) * counts).abs() ** 2, block.noise_power(counts, sight, 2))
    )
    share = 1 - torch.sqrt((noise / remains.clamp(min=1e-30)).clamp(max=1))
    cells = radius(seeing.side, transfer.device) * seeing.side
    share = share * (cells / _COARSE_CELLS).clamp(max=1) ** 2
    return inverse(spectrum + share * left * transfer / (transfer**2 + _LEAST_TRANSFER**2))


def sigma(block: Block, full: Tensor, halves: tuple[Tensor, Tensor], measured: Tensor) -> Tensor:
    """Return the standard deviation of each voxel's error.

    How much error there is in all follows from spectra: of measured coefficients, the power `measured` (see
    `error_power`); of those that no tilt saw, what an estimate lacks of the power that is to be expected there (the
    law of total variance, for the mean of what could be). Where it lies follows from what either answer leaves of the
    other half, which grows with the structure around a voxel. A small tomogram that was long learned from is known too
    well by the network: then it is too small.
    """
    seeing, share = block.seeing, block.seeing.sights.both.coverage
    lacking = (seeing.spectra.unseen_on(seeing.side) - torch.fft.rfftn(full).abs() ** 2 / full.numel()).clamp(min=0)
    power = share * measured + (1 - share) * _by_shell(lacking, seeing, share < _NOT_SEEN)
    variance = float(whole_mean(power))
    return torch.sqrt(variance * _where(block, halves))


def _by_shell(power: Tensor, seeing: Seeing, of: Tensor) -> Tensor:
    """Return the mean over each shell, of the cells that are meant."""
    shell = shells(seeing.side, power.device)
    sums, cells = (
        torch.zeros(TICKS, device=power.device).index_add_(0, shell.flatten(), values.flatten())
        for values in (power * of, of.float())
    )
    return (sums / cells.clamp(min=1))[shell]


def _where(block: Block, halves: tuple[Tensor, Tensor]) -> Tensor:
    """Return the share of the error's variance at each voxel, of mean one inside the tomogram."""
    left = -block.noise_square
    for answer, target in zip(halves, reversed(block.halves), strict=True):
        left += target.left_by(answer).square() / 2
    mean = (halves[0] + halves[1]) / 2
    activity = _around((mean - mean.mean()).square())
    inside = block.inside > 0
    x, y = activity[inside].double(), left[inside].double()
    # Weighted by what is expected of a squared residual's scatter, or a few grains of gold would set the line.
    weight = 1 / (1 + x / x.median().clamp(min=1e-12)) ** 2
    xx, x1, w1 = (weight * x * x).sum(), (weight * x).sum(), weight.sum()
    xy, y1 = (weight * x * y).sum(), (weight * y).sum()
    fixed = xx * w1 - x1**2
    slope = float(((w1 * xy - x1 * y1) / fixed).clamp(min=0)) if float(fixed) > 0 else 0.0
    base = max(float((y1 - slope * x1) / w1), 0.05 * float((y1 / w1).abs()), 1e-12)
    shares = base + slope * activity
    return shares / shares[inside].mean()


def _around(values: Tensor) -> Tensor:
    """Return the mean over the surroundings of each voxel, without the corners that a cube would have."""
    for _ in range(3):
        values = mean_around(values, _ACTIVITY_PX)
    return values
