"""The game of CryoGEN: an energy, learned by a critic, that is low for what could have been measured.

The estimate is a maximum a posteriori one: it explains the other half, turned and hidden (the misfit of `views`), under
a prior whose energy compares what tilts would show of it, turned at random and with noise, to what they did show
elsewhere. Density that was drawn out along the beam is seen for what it is as soon as it is turned: no measured cube
looks so. The critic is trained beside the network, to tell both apart (Arjovsky et al. 2017, arXiv 1701.07875). Its
slope is held: to one everywhere between the two (``map``; Gulrajani et al. 2017, arXiv 1704.00028), or to one at most
(``transport``), which is what the dual of optimal transport asks of a potential (Petzka et al. 2018, arXiv 1709.08894),
and is more stable.

The paper on CryoGEN itself was not to be had when this was written; this is the idea by the name, built from its
description: an energy prior on T(R x) beside the data term of the measured wedge. Uncertainty is measured, not drawn
from an ensemble (see `restoring.sigma`).
"""

from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from eucentric.processing.restoration.blocks import Block, edge_of, soft_edge, somewhere
from eucentric.processing.restoration.network import FOLD, fold
from eucentric.processing.restoration.records import RestoreSettings
from eucentric.processing.restoration.sights import Sight
from eucentric.processing.restoration.spectra import Spectra
from eucentric.processing.restoration.turns import all_turns
from eucentric.processing.restoration.views import Viewing

_STRONG = 4.0  # standard deviations beyond which values are compressed, or gold would be all that the critic sees
_SLOPE = 10.0  # weight of the penalty on the critic's slope
_BEGIN, _FULL = 200, 600  # steps between which the energy comes in: an estimate from nothing has nothing to compare
_CHANNELS = 24
_INSIDE = 0.75  # share of a cube that lies in the tomogram, or its border would tell cubes apart


class Critic(nn.Module):
    """Cubes (n, 1, z, y, x) to energies (n,): the mean over places of what a few strided convolutions see there."""

    def __init__(self, channels: int = _CHANNELS) -> None:
        super().__init__()
        self.layers = nn.Sequential(
            nn.Conv3d(FOLD**3, channels, 3, padding=1),
            nn.LeakyReLU(0.2),
            nn.Conv3d(channels, 2 * channels, 4, stride=2, padding=1),
            nn.LeakyReLU(0.2),
            nn.Conv3d(2 * channels, 3 * channels, 4, stride=2, padding=1),
            nn.LeakyReLU(0.2),
            nn.Conv3d(3 * channels, 1, 3, padding=1),
        )

    def forward(self, cubes: Tensor) -> Tensor:
        """Return the energies; the higher, the less a cube looks measured."""
        places: Tensor = self.layers(fold(cubes))
        return places.mean(dim=(1, 2, 3, 4))


class Game:
    """The critic, how it learns, and what it says of an estimate."""

    def __init__(self, settings: RestoreSettings, cube_px: int, device: torch.device) -> None:
        self._settings = settings
        self._critic = Critic().to(device)
        self._optimiser = torch.optim.Adam(self._critic.parameters(), settings.rate, betas=(0.0, 0.9))
        self._turns = all_turns()
        self._edge = soft_edge(cube_px, device)
        self._step = 0

    def energy(self, answer: Tensor, block: Block, viewing: Viewing, random: np.random.Generator) -> Tensor:
        """Return the energy of an estimate, to be added to its misfit, after the critic has learned from it.

        Parameters
        ----------
        answer
            (n, n, n) of the network, over the strength of the specimen.
        block, viewing
            That the answer is about; other cubes of the block are what was measured.
        random
            Chooses the turn, the noise and what is compared.
        """
        self._step += 1
        turn = self._turns[int(random.integers(len(self._turns)))]
        side = answer.shape[0]
        half = block.halves[self._step % 2]
        sight = (viewing.sights.even, viewing.sights.odd)[self._step % 2]
        noise = block.noise(half, random)[somewhere(block.inside, side, _INSIDE, random)]
        seen = torch.fft.irfftn(sight.transfer * torch.fft.rfftn(turn.of(answer) * half.strength), answer.shape)
        spectra = viewing.seeing.spectra
        made = self._shown(seen + noise, sight, spectra)
        measured = self._shown(half.values[somewhere(block.inside, side, _INSIDE, random)], sight, spectra)
        self._learn(made.detach(), measured, float(random.random()))
        share = min(1.0, max(0.0, (self._step - _BEGIN) / (_FULL - _BEGIN)))
        energy: Tensor = self._settings.prior * share * self._critic(made)[0]
        return energy

    def _shown(self, cube: Tensor, sight: Sight, spectra: Spectra) -> Tensor:
        """Return the inner part of a cube (1, 1, m, m, m) as the critic sees it: the specimen over the noise."""
        told, noise = spectra.told(sight), spectra.noise_of(sight)
        filter_ = torch.sqrt(told / (sight.transfer**2 * told + noise))
        usual = torch.sqrt((filter_**2 * noise * sight.coverage).mean())
        filtered = torch.fft.irfftn(torch.fft.rfftn(cube * self._edge) * (filter_ / usual), cube.shape)
        inner = filtered[(slice(edge_of(len(cube)), -edge_of(len(cube))),) * 3]
        return _STRONG * torch.asinh(inner / _STRONG)[None, None]

    def _learn(self, made: Tensor, measured: Tensor, share: float) -> None:
        between = torch.lerp(made, measured, share).requires_grad_()
        (slope,) = torch.autograd.grad(self._critic(between).sum(), between, create_graph=True)
        # In units of the root mean square over voxels: an energy differs by no more than its cubes do.
        steepness = slope.square().sum().sqrt() * between.numel() ** 0.5 - 1
        if self._settings.form == "transport":
            steepness = steepness.clamp(min=0)
        loss = self._critic(measured)[0] - self._critic(made)[0] + _SLOPE * steepness**2
        self._optimiser.zero_grad()
        loss.backward()
        self._optimiser.step()

    def state(self) -> dict[str, Any]:
        """Return what going on needs."""
        critic = {name: value.detach().to("cpu", copy=True) for name, value in self._critic.state_dict().items()}
        return {"critic": critic, "optimiser": self._optimiser.state_dict(), "step": self._step}

    def load(self, state: dict[str, Any]) -> None:
        """Go on from there."""
        self._critic.load_state_dict(state["critic"])
        self._optimiser.load_state_dict(state["optimiser"])
        self._step = state["step"]
