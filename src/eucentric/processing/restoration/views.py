"""What a network is shown of a block, and what its answer is compared with.

All methods learn from the halves alone: the network sees one, and what it makes of it is passed through the transfer
and compared with the other, whose noise nothing can foretell (Lehtinen et al. 2018, arXiv 1803.04189; for tomograms
cryoCARE, Buchholz et al. 2019, 10.1109/ISBI.2019.8759519). For the missing wedge the block is turned first, so that
what tilts saw of it lies where they see nothing of the specimen, and hidden as the tilts would hide it; the answer is
compared with what was there (IsoNet, Liu et al. 2022, 10.1038/s41467-022-33957-8; DeepDeWedge, Wiedemann & Heckel 2024,
10.1038/s41467-024-51438-y). What turned tilts did not see is filled with the network's own answer of before, and noise.
"""

import math
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from eucentric.processing.restoration.blocks import Block, Half, Seeing, inverse
from eucentric.processing.restoration.sights import Sight
from eucentric.processing.restoration.spectra import whole_mean
from eucentric.processing.restoration.turns import Turn

_FILLING = 2.0  # how much more what was hidden counts than what was only noisy


@dataclass(frozen=True)
class View:
    """A block as it is shown: cubes are cut from it at random.

    Attributes
    ----------
    shown
        (side, side, side): best linear estimate of the specimen, over its strength.
    before
        What the network answered before, in the block's units; nothing if it did not.
    target
        The other half, less what that answer, of the whole block, explains of it; over `weight`, residuals count.
    transfer, filter
        On the half spectrum of a cube: from the specimen to the target, and what residuals are multiplied by.
    noise_loss
        Misfit of an answer without error.
    strength
        Of the specimen.
    """

    shown: Tensor
    before: Tensor
    target: Tensor
    weight: Tensor
    transfer: Tensor
    filter: Tensor
    noise_loss: float
    strength: float


class Viewing:
    """Makes views of the blocks of one tomogram, whose cubes have `cube_px` voxels a side."""

    def __init__(self, seeing: Seeing, cube_px: int) -> None:
        self.seeing = seeing
        self.sights = seeing.of_cube(cube_px)

    def seen(self, block: Block, held_in: Tensor, turn: Turn, *, swap: bool, before: Tensor | None = None) -> View:
        """Return a view of one half beside the other, with all that its tilts saw.

        Parameters
        ----------
        block
            Of the tomogram.
        held_in
            1 where residuals may count.
        turn
            How both are turned: by one of `upright_turns`, or the network learns of wedges that it will not meet.
        swap
            Whether the odd half is shown.
        before
            What the network made of that half before, if it did.
        """
        shown, target, sight = self._halves(block, swap)
        turned = sight.turned(turn)
        return View(
            shown=turn.of(shown.estimate),
            before=torch.zeros_like(block.inside) if before is None else turn.of(before),
            target=turn.of(_left(target, before)),
            weight=turn.of(held_in * block.inside * block.evenness.sqrt()),
            transfer=turned.transfer,
            filter=self.seeing.spectra.error_filter(turned),
            noise_loss=self._noise_loss(sight),
            strength=self.seeing.strength,
        )

    def hidden(
        self,
        block: Block,
        held_in: Tensor,
        turn: Turn,
        random: np.random.Generator,
        *,
        swap: bool,
        before: Tensor | None = None,
    ) -> View:
        """Return a view of one half, turned and hidden as tilts hide, beside the other, turned.

        Parameters
        ----------
        block, held_in, swap, before
            As for `seen`.
        turn
            How it is turned, by any of `all_turns`.
        random
            From where noise is taken.
        """
        shown, target, sight = self._halves(block, swap)
        not_seen = 1 - turn.of_spectrum(shown.sight.coverage)
        spectrum = torch.fft.rfftn(turn.of(shown.values)) + not_seen * torch.fft.rfftn(block.noise(shown, random))
        turned_before = torch.zeros_like(block.inside) if before is None else turn.of(before)
        spectrum += not_seen * shown.sight.transfer * torch.fft.rfftn(turned_before)
        turned = sight.turned(turn)
        hidden = (1 - self.sights.both.coverage) * turned.coverage
        return View(
            shown=inverse(shown.wiener * shown.sight.coverage * spectrum) / shown.strength,
            before=turned_before,
            target=turn.of(_left(target, before)),
            weight=turn.of(held_in * block.inside * block.evenness.sqrt()),
            transfer=turned.transfer,
            filter=self.seeing.spectra.error_filter(turned) * (1 + (math.sqrt(_FILLING) - 1) * hidden),
            noise_loss=self._noise_loss(sight),
            strength=self.seeing.strength,
        )

    def _halves(self, block: Block, swap: bool) -> tuple[Half, Half, Sight]:
        """Return the half that is shown, the one that it is compared with, and how a cube of that one sees."""
        even, odd = block.halves
        return (odd, even, self.sights.even) if swap else (even, odd, self.sights.odd)

    def _noise_loss(self, sight: Sight) -> float:
        spectra = self.seeing.spectra
        return float(whole_mean(spectra.error_filter(sight) ** 2 * spectra.noise_of(sight) * sight.coverage))


def _left(target: Half, before: Tensor | None) -> Tensor:
    return target.values if before is None else -target.left_by(before)


def misfit(answer: Tensor, view: View, place: tuple[slice, ...], edge: Tensor) -> Tensor:
    """Return how badly an answer for a cube explains the target there: the mean square of filtered residuals.

    What lies beyond the cube is in the data too, as streaks of gold are: of that the answer before is believed, and the
    cube's answer explains what it changes of it.

    Parameters
    ----------
    answer
        (n, n, n) of the network.
    view, place
        What it was asked for.
    edge
        Soft edge of the cube: of what lies near its border, it sees a part.
    """
    change = answer * view.strength - view.before[place]
    expected = torch.fft.irfftn(view.transfer * torch.fft.rfftn(change), answer.shape)
    residual = (expected - view.target[place]) * (edge * view.weight[place])
    filtered = torch.fft.rfftn(residual) * view.filter
    return whole_mean(filtered.abs() ** 2) / answer.numel()
