"""Turns, spectra, blocks and the network, each against what must hold of it."""

from dataclasses import replace

import numpy as np
import pytest
import torch

from eucentric.processing.restoration import transfer
from eucentric.processing.restoration.blocks import MARGIN, blended, corners_of, look_at, parts, spaced
from eucentric.processing.restoration.network import UNet, fold, unfold
from eucentric.processing.restoration.sights import Sight, Sights
from eucentric.processing.restoration.spectra import TICKS, measure, radius, shells
from eucentric.processing.restoration.turns import all_turns, upright_turns
from phantoms.halves import TILTS_DEG, round_things, seen_halves, seen_halves_of_tilts


def test_there_are_24_turns_and_the_first_does_nothing() -> None:
    turns = all_turns()
    cube = torch.randn(8, 8, 8, generator=torch.Generator().manual_seed(0))
    assert len({turn.of(cube).numpy().tobytes() for turn in turns}) == 24
    torch.testing.assert_close(turns[0].of(cube), cube)


def test_turns_keep_the_middle_and_the_hand() -> None:
    cube = torch.zeros(8, 8, 8)
    cube[4, 4, 4] = 1
    chiral = torch.zeros(8, 8, 8)
    chiral[4, 4, 5:7] = chiral[4, 5, 4] = chiral[5, 4, 4] = torch.tensor(1.0)
    chiral[4, 6, 4] = 2
    chiral[6, 4, 4] = 3
    mirrored = chiral.flip(0).roll(1, 0)
    for turn in all_turns():
        assert float(turn.of(cube)[4, 4, 4]) == 1
        assert not torch.equal(turn.of(chiral), mirrored)


def test_upright_turns_leave_a_wedge_where_it_is() -> None:
    seen, even = (transfer((12,) * 3, 10.0, tilts) for tilts in ((-40.0, 0.0, 20.0), TILTS_DEG))
    below = radius(12) < 0.5  # Nyquist is its own opposite
    changed = [not torch.allclose(turn.of_spectrum(seen)[below], seen[below]) for turn in upright_turns()]
    assert len(changed) == 4
    assert sum(changed) == 2  # the stage went further to one side, and these look from the other
    for turn in upright_turns():
        torch.testing.assert_close(turn.of_spectrum(even), even)


@pytest.mark.parametrize("turn", all_turns(), ids=str)
def test_a_spectrum_turns_as_its_volume_does(turn) -> None:  # type: ignore[no-untyped-def]
    even = transfer((12,) * 3, 10.0, TILTS_DEG)
    volume = torch.fft.irfftn(even, (12,) * 3).roll((6, 6, 6), (0, 1, 2))
    turned = torch.fft.rfftn(turn.of(volume).roll((-6, -6, -6), (0, 1, 2))).real
    torch.testing.assert_close(turn.of_spectrum(even), turned, atol=1e-4, rtol=1e-4)


def test_spectra_are_those_that_were_put_in() -> None:
    side, random = 48, np.random.default_rng(1)
    through = transfer((side,) * 3, 10.0, TILTS_DEG).clamp(max=1)
    shape = torch.exp(-((radius(side) / 0.2) ** 2))
    specimen = torch.fft.rfftn(torch.from_numpy(random.normal(0, 12, (side,) * 3)).float()) * shape
    halves = [
        specimen * through + torch.fft.rfftn(torch.from_numpy(random.normal(0, 3, (side,) * 3)).float()) * (through > 0)
        for _ in range(2)
    ]
    sight = Sight(through, torch.ones_like(through), through, torch.ones_like(through))
    found = measure([(halves[0], halves[1])], Sights(sight, sight, sight, through < 0))
    ticks = torch.linspace(0, 0.5, TICKS)
    middle = (ticks > 0.1) & (ticks < 0.25)
    assert float((found.noise / 9)[middle].mean()) == pytest.approx(1, abs=0.03)
    assert float((found.specimen / (144 * torch.exp(-2 * (ticks / 0.2) ** 2)))[middle].mean()) == pytest.approx(
        1, abs=0.1
    )


def test_spectra_of_halves_of_tilts_are_those_that_were_put_in() -> None:
    """They share planes near the axis alone, but that is enough to know the specimen's power by."""
    noise = 16.0
    halves = seen_halves_of_tilts(round_things(64, 3), noise, 4)
    spectra = look_at(halves.pair, torch.device("cpu")).spectra
    frames = look_at(replace(halves.pair, even_views=None), torch.device("cpu")).spectra
    truth = torch.fft.rfftn(torch.from_numpy(halves.truth)).abs() ** 2 / 64**3
    of = torch.bincount(shells(64).flatten(), truth.flatten()) / torch.bincount(shells(64).flatten())
    middle, parted = slice(12, 32), slice(40, 56)
    scale = float((spectra.noise[middle] / noise**2).mean())  # halves were divided by their noise
    assert float((spectra.noise[middle] / scale / noise**2 - 1).abs().max()) < 0.1
    assert float(spectra.specimen[middle].sum() / (scale * of[middle]).sum()) == pytest.approx(1, abs=0.2)
    fine, taken_for_frames = (
        float(one.specimen[parted].sum() / (scale * of[parted]).sum()) for one in (spectra, frames)
    )
    assert fine == pytest.approx(1, abs=0.2)
    assert taken_for_frames < 0.7


@pytest.mark.parametrize("of_tilts", [False, True])
def test_what_lies_beyond_the_field_is_not_answered_for(of_tilts: bool) -> None:
    """Flat frequencies are estimated as ever, steep ones as less by their share, from the same data."""
    truth = round_things(64, 5)
    pair = (seen_halves_of_tilts if of_tilts else seen_halves)(truth, 0.01, 6).pair
    alone, narrow = (look_at(replace(pair, field_A=field_A), torch.device("cpu")) for field_A in (None, 640.0))
    sight = narrow.sights.even
    assert 0.6 < float(sight.share.min()) < 0.75
    fitted = narrow.spectra.wiener(sight) / alone.spectra.wiener(alone.sights.even)
    certain = (sight.coverage > 0.9) & (radius(64) > 0.1) & (radius(64) < 0.2)
    torch.testing.assert_close(fitted[certain], sight.share[certain], atol=0.02, rtol=0)
    torch.testing.assert_close(sight.transfer * sight.share, alone.sights.even.transfer)


@pytest.mark.parametrize("shape", [(40, 200, 333), (160, 160, 160), (300, 64, 170)])
def test_blocks_cover_a_volume(shape: tuple[int, int, int]) -> None:
    total, side = np.zeros(shape, np.float32), 160
    for corner in corners_of(shape, side):
        there, here = parts(shape, corner, side)
        total[there] += blended(shape, corner, side, torch.device("cpu"))[here].numpy()
    assert total.min() > 0.4 / MARGIN


def test_spaced_corners_are_ends_and_between() -> None:
    corners = [(0, 0, i) for i in range(20)]
    assert spaced(corners, 3) == [corners[0], corners[10], corners[19]]
    assert spaced(corners, 1) == corners[:1]
    assert spaced(corners[:2], 3) == corners[:2]


def test_folding_loses_nothing() -> None:
    volume = torch.randn(2, 1, 8, 16, 8, generator=torch.Generator().manual_seed(0))
    torch.testing.assert_close(unfold(fold(volume)), volume)


def test_a_new_network_changes_nothing_and_can_learn() -> None:
    torch.manual_seed(0)
    unet, volume = UNet(4), torch.randn(1, 1, 16, 16, 24)
    torch.testing.assert_close(unet(volume), volume)
    unet(volume).square().sum().backward()
    assert float(unet.leave.weight.grad.abs().max()) > 0  # type: ignore[union-attr]
