"""`train`: a model from half tomograms, that can stop at any look and go on from there."""

import copy
import math
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from torch import Tensor

from eucentric.core import SILENT, InputError, Reporter
from eucentric.core.random import stream
from eucentric.processing.restoration.blocks import (
    Block,
    Seeing,
    corners_of,
    cut,
    look_at,
    soft_edge,
    somewhere,
    spaced,
)
from eucentric.processing.restoration.checking import SAME_VOXEL, check_halves
from eucentric.processing.restoration.critic import Game
from eucentric.processing.restoration.model import answers, network, seeded
from eucentric.processing.restoration.records import HalfTomograms, Look, RestoreSettings, Trained
from eucentric.processing.restoration.turns import all_turns, upright_turns
from eucentric.processing.restoration.views import View, Viewing, misfit

_CUBES_PER_VIEW = 8
_NOT_TURNED = 0.5  # share of views, where others are turned: what was measured is learned from them best
_COUNTS = 0.25  # least share of a cube whose residuals count
_MOST_BLOCKS = 4  # of one tomogram: some 16 million voxels, more than training can see often
_WARM_UP = 50  # steps
_MEMORY = 0.995  # share of the mean weights that a step leaves
_SLOWER, _SLOWEST = 4.0, 2  # the rate is divided by so much where looks show no progress; so often, then it ends
_PROGRESS = 1e-4  # share by which a look must be better than the best before
_CLIP = 1.0
_TICKS = 1000  # of the progress bar
_FEWEST_ROWS = 8  # that are held out


@dataclass
class Learned:
    """A block that is learned from, where residuals may count, and what the network made of its halves last."""

    block: Block
    viewing: Viewing
    held_in: Tensor
    held_out: Tensor
    answers: tuple[Tensor, Tensor] | None = None


def train(
    pairs: Sequence[HalfTomograms],
    settings: RestoreSettings,
    *,
    resume: Trained | None = None,
    keep: Callable[[Trained], None] | None = None,
    device: torch.device | None = None,
    reporter: Reporter = SILENT,
) -> Trained:
    """Learn to restore tomograms from their halves.

    Parameters
    ----------
    pairs
        Half tomograms of specimens that look alike, of one voxel size.
    settings
        See `RestoreSettings`.
    resume
        An earlier training of these pairs with these settings, to go on from.
    keep
        Called at each look with the training as it stands, to be kept by who wants to go on from there.
    device
        Where to compute; the CPU if absent.
    reporter
        Where progress goes.

    Returns
    -------
    Trained
        The model, and why training ended.

    Raises
    ------
    InputError
        If a pair cannot be learned from (see `check_halves`), voxels differ, or `resume` is of other settings.
    """
    for pair in pairs:
        check_halves(pair)
    if not pairs:
        raise InputError("No half tomograms were given.")
    sizes = [pair.voxel_A for pair in pairs]
    if max(sizes) > (1 + SAME_VOXEL) * min(sizes):
        raise InputError(
            f"Voxels of {min(sizes):.2f} and {max(sizes):.2f} Å cannot be learned from together.", "Train them apart."
        )
    if resume is not None and resume.settings.replace(minutes=None, most_steps=1) != settings.replace(
        minutes=None, most_steps=1
    ):
        raise InputError("The training to go on from had other settings.", "Use the same ones, or start anew.")
    return _Training(pairs, settings, device or torch.device("cpu"), reporter).run(resume, keep)


class _Training:
    def __init__(
        self, pairs: Sequence[HalfTomograms], settings: RestoreSettings, device: torch.device, reporter: Reporter
    ) -> None:
        self._settings, self._reporter = settings, reporter
        self._voxel_A = pairs[0].voxel_A
        seeings = [look_at(pair, device) for pair in pairs]
        self._cube_px = min(settings.cube_px, *(seeing.side for seeing in seeings))
        self._learned = [
            one for seeing in seeings for one in learned_from(seeing, self._cube_px, settings.held_out, _MOST_BLOCKS)
        ]
        self._turns, self._upright = all_turns(), upright_turns()
        self._edge = soft_edge(self._cube_px, device)
        self._inner = float(self._edge.square().mean())
        with seeded(settings.seed):
            self._network = network(settings.channels, device)
            self._game = Game(settings, self._cube_px, device) if settings.method == "cryogen" else None
        self._mean = copy.deepcopy(self._network)
        self._optimiser = torch.optim.Adam(self._network.parameters(), settings.rate, betas=(0.9, 0.99))
        self._step, self._slowed, self._slowed_at, self._spent_s = 0, 0, 0, 0.0
        self._looks: list[Look] = []
        self._losses: list[float] = []

    def run(self, resume: Trained | None, keep: Callable[[Trained], None] | None) -> Trained:
        if resume is not None:
            self._load(resume)
        begun = time.monotonic() - self._spent_s
        ended = (resume.ended if resume is not None else "") or self._over(self._spent_s)
        with self._reporter.task(f"Training {self._settings.method}, thousandths", _TICKS) as tick:
            told = 0
            while not ended:
                self._round(time.monotonic() - begun)
                seconds = time.monotonic() - begun
                now = int(_TICKS * self._done(seconds))
                for _ in range(now - told):
                    tick()
                told = now
                due = self._step // self._settings.look_steps > len(self._looks)
                ended = self._over(seconds)
                if due or ended:
                    self._look(seconds)
                    ended = ended or self._judge()
                    self._spent_s = time.monotonic() - begun
                    if keep is not None:
                        keep(self._trained(ended))
        return self._trained(ended)

    def _round(self, seconds: float) -> None:
        """Take some steps on cubes of one view, which the place in training alone chooses."""
        random = stream(self._settings.seed, "restoration", self._step)
        learned = self._learned[int(random.integers(len(self._learned)))]
        view = self._view(learned, random)
        for _ in range(min(_CUBES_PER_VIEW, self._settings.most_steps - self._step)):
            for group in self._optimiser.param_groups:
                group["lr"] = self._rate(seconds)
            place = somewhere(view.weight, self._cube_px, _COUNTS, random)
            shown = view.shown[place][None, None]
            answer = self._network(shown)[0, 0]
            loss = misfit(answer, view, place, self._edge) / (view.noise_loss * self._inner)
            self._losses.append(loss.item())
            if self._game is not None:
                loss = loss + self._game.energy(answer, learned.block, learned.viewing, random)
            self._optimiser.zero_grad()
            loss.backward()  # type: ignore[no-untyped-call]
            torch.nn.utils.clip_grad_norm_(self._network.parameters(), _CLIP)
            self._optimiser.step()
            self._step += 1
            self._remember()

    def _view(self, learned: Learned, random: np.random.Generator) -> View:
        swap = bool(random.random() < 0.5)
        before = learned.answers[1 if swap else 0] if learned.answers is not None else None
        if self._settings.method == "noise2noise" or random.random() < _NOT_TURNED:
            turn = self._upright[int(random.integers(len(self._upright)))]
            return learned.viewing.seen(learned.block, learned.held_in, turn, swap=swap, before=before)
        turn = self._turns[int(random.integers(len(self._turns)))]
        return learned.viewing.hidden(learned.block, learned.held_in, turn, random, swap=swap, before=before)

    def _done(self, seconds: float) -> float:
        """Return the share of the training that is done, by steps or by time, whichever will end it."""
        steps, minutes = self._step / self._settings.most_steps, self._settings.minutes
        return min(1.0, max(steps, seconds / (60 * minutes) if minutes is not None else 0.0))

    def _rate(self, seconds: float) -> float:
        falling = 0.5 * (1 + math.cos(math.pi * self._done(seconds))) + 0.02
        return self._settings.rate * min(1.0, (self._step + 1) / _WARM_UP) * falling / _SLOWER**self._slowed

    def _remember(self) -> None:
        """Move the mean weights towards those of the step."""
        share = 1 - min(_MEMORY, (self._step + 1) / (self._step + 10))
        with torch.no_grad():
            for mean, now in zip(self._mean.parameters(), self._network.parameters(), strict=True):
                mean.lerp_(now, share)

    def _look(self, seconds: float) -> None:
        """See how the mean network does where it did not learn; its answers fill what turned tilts do not see."""
        found = []
        for learned in self._learned:
            learned.answers = answers(self._mean, learned.block)
            if bool(learned.held_out.any()):  # of a large tomogram, few blocks are crossed by the slab
                found.append(held_out_loss(learned))
        loss = float(np.mean(self._losses)) if self._losses else math.nan
        self._losses.clear()
        self._looks.append(
            Look(step=self._step, seconds=seconds, loss=loss, held_out=float(np.mean(found) if found else loss))
        )

    def _judge(self) -> str:
        """Slow down where held-out data are not explained better any more, and say so where that did not help."""
        patience = self._settings.patience
        since = self._looks[-patience:]
        before = [look.held_out for look in self._looks[:-patience]]
        if len(before) < 1 or min(look.held_out for look in since) < (1 - _PROGRESS) * min(before):
            return ""
        if self._looks[-1].step - self._slowed_at < patience * self._settings.look_steps:
            return ""
        self._slowed, self._slowed_at = self._slowed + 1, self._looks[-1].step
        return "held-out data were not explained better any more" if self._slowed > _SLOWEST else ""

    def _over(self, seconds: float) -> str:
        if self._step >= self._settings.most_steps:
            return f"{self._step} steps were done"
        if self._settings.minutes is not None and seconds > 60 * self._settings.minutes:
            return f"{self._settings.minutes:g} minutes were over"
        return ""

    def _trained(self, ended: str) -> Trained:
        state: dict[str, Any] = {
            "network": _on_cpu(self._network.state_dict()),
            "optimiser": copy.deepcopy(self._optimiser.state_dict()),
            "step": self._step,
            "slowed": self._slowed,
            "slowed_at": self._slowed_at,
            "seconds": self._spent_s,
        }
        if self._game is not None:
            state["game"] = self._game.state()
        return Trained(
            settings=self._settings,
            voxel_A=self._voxel_A,
            weights=_on_cpu(self._mean.state_dict()),
            state=state,
            looks=tuple(self._looks),
            ended=ended,
        )

    def _load(self, trained: Trained) -> None:
        state = trained.state
        self._network.load_state_dict(state["network"])
        self._mean.load_state_dict(dict(trained.weights))
        self._optimiser.load_state_dict(state["optimiser"])
        self._step, self._slowed, self._spent_s = state["step"], state["slowed"], state["seconds"]
        self._slowed_at = state["slowed_at"]
        self._looks = list(trained.looks)
        if self._game is not None:
            self._game.load(state["game"])
        if self._looks:
            for learned in self._learned:
                learned.answers = answers(self._mean, learned.block)


def learned_from(seeing: Seeing, cube_px: int, held_out: float, most: int) -> list[Learned]:
    """Return the blocks of a tomogram that are learned from."""
    viewing = Viewing(seeing, cube_px)
    unseen = unseen_part(seeing.pair.shape, held_out)
    found = []
    for corner in spaced(corners_of(seeing.pair.shape, seeing.side), most):
        block = cut(seeing, corner)
        apart = torch.zeros_like(block.inside)
        rows = slice(max(unseen[1].start - corner[1], 0), max(unseen[1].stop - corner[1], 0))
        apart[:, rows] = block.inside[:, rows]
        found.append(Learned(block, viewing, block.inside * (1 - apart), apart))
    return found


def unseen_part(shape: tuple[int, int, int], held_out: float) -> tuple[slice, slice, slice]:
    """Return the part of a tomogram that is not learned from: a slab across the tilt axis, off the middle."""
    rows = max(_FEWEST_ROWS, round(held_out * shape[1]))
    first = (5 * shape[1]) // 8
    return slice(0, shape[0]), slice(first, min(first + rows, shape[1])), slice(0, shape[2])


def held_out_loss(learned: Learned) -> float:
    """Return the loss over the part that was not learned from, over what noise alone would give."""
    if learned.answers is None:
        raise ValueError("nothing was answered yet")
    block, seeing = learned.block, learned.block.seeing
    weight = learned.held_out * block.evenness.sqrt()
    total, floor = 0.0, 0.0
    for answer, target in zip(learned.answers, reversed(block.halves), strict=True):
        filter_ = seeing.spectra.error_filter(target.sight)
        residual = target.left_by(answer)
        total += float((torch.fft.rfftn(residual * weight) * filter_).abs().square().mean())
        floor += float((block.noise_power(weight, target.sight) * filter_.square()).mean())
    return total / floor


def _on_cpu(weights: Mapping[str, Tensor]) -> dict[str, Tensor]:
    return {name: value.detach().to("cpu", copy=True) for name, value in weights.items()}
