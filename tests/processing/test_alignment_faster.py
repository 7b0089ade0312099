"""Rounds that go together what each goes a little of, on linear ones whose end is known."""

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import Tensor

from eucentric.processing.alignment.faster import Anderson

VIEWS = 8
seeds = st.integers(0, 10_000)


class Rounds:
    """Rounds whose error shrinks by what is slowest: views in common by 3 % a round, single ones by nearly all."""

    def __init__(self, seed: int, slow: tuple[float, ...] = (0.97, 0.9)) -> None:
        random = np.random.default_rng(seed)
        turn = np.linalg.qr(random.normal(size=(2 * VIEWS, 2 * VIEWS)))[0]
        left = np.full(2 * VIEWS, 0.1)
        left[: len(slow)] = slow
        self._gain = torch.from_numpy(turn @ np.diag(1 - left) @ turn.T)
        self.end = torch.from_numpy(random.normal(0, 3, (VIEWS, 2)))

    def moves(self, places: Tensor) -> Tensor:
        return (self._gain @ (self.end - places).reshape(-1)).reshape(VIEWS, 2)

    def error_px(self, places: Tensor) -> float:
        return float((places - self.end).norm())


def run(rounds: Rounds, number: int, faster: Anderson | None) -> Tensor:
    places = torch.zeros((VIEWS, 2), dtype=torch.float64)
    for _ in range(number):
        moves = rounds.moves(places)
        places = places + (faster.step(places, moves) if faster else moves)
    return places


@given(seed=seeds)
def test_slow_modes_are_solved_in_few_rounds(seed: int) -> None:
    """Without damping four rounds would do; with it, 600 seeds leave 0.25 % of the error at most after ten.

    Plain rounds leave 74 % of what is slowest.
    """
    rounds = Rounds(seed)
    begun = rounds.error_px(torch.zeros((VIEWS, 2), dtype=torch.float64))
    fast = rounds.error_px(run(rounds, 10, Anderson(largest=100.0)))
    assert fast < 0.01 * begun
    assert fast < 0.2 * rounds.error_px(run(rounds, 10, None))


@given(seed=seeds)
def test_the_first_round_is_the_plain_one(seed: int) -> None:
    rounds = Rounds(seed)
    places = torch.ones((VIEWS, 2), dtype=torch.float64)
    torch.testing.assert_close(Anderson(largest=100.0).step(places, rounds.moves(places)), rounds.moves(places))


@given(seed=seeds, largest=st.floats(0.01, 2.0))
def test_no_accelerated_step_of_any_view_is_longer_than_allowed(seed: int, largest: float) -> None:
    random = np.random.default_rng(seed)
    faster = Anderson(largest=largest)
    places = torch.zeros((VIEWS, 2), dtype=torch.float64)
    for number in range(7):
        step = faster.step(places, torch.from_numpy(random.normal(0, 1, (VIEWS, 2))))
        if number:
            assert float(step.norm(dim=1).max()) <= largest * (1 + 1e-9)
        places = places + step


@given(seed=seeds, largest=st.floats(0.01, 0.5))
def test_a_step_cut_short_keeps_its_direction(seed: int, largest: float) -> None:
    rounds = Rounds(seed)
    places = [torch.zeros((VIEWS, 2), dtype=torch.float64), torch.ones((VIEWS, 2), dtype=torch.float64)]
    far, near = Anderson(largest=1e9), Anderson(largest=largest)
    for place in places:
        free, cut = (one.step(place, rounds.moves(place)) for one in (far, near))
    assert float((free * cut).sum() / (free.norm() * cut.norm())) == pytest.approx(1.0, abs=1e-9)


@given(seed=seeds)
def test_forgotten_rounds_do_not_matter(seed: int) -> None:
    rounds, others = Rounds(seed), Rounds(seed + 1)
    faster = Anderson(largest=100.0)
    run(others, 4, faster)
    faster.forget()
    torch.testing.assert_close(run(rounds, 5, faster), run(rounds, 5, Anderson(largest=100.0)), rtol=0, atol=0)


@given(seed=seeds)
def test_what_has_arrived_stays(seed: int) -> None:
    """Moves of nothing, again and again, leave nothing to divide by."""
    faster = Anderson(largest=1.0)
    places = torch.from_numpy(np.random.default_rng(seed).normal(size=(VIEWS, 2)))
    for _ in range(4):
        assert not faster.step(places, torch.zeros_like(places)).any()


def test_what_it_was_given_is_left_as_it_was() -> None:
    rounds = Rounds(1)
    faster = Anderson(largest=100.0)
    places = torch.zeros((VIEWS, 2), dtype=torch.float64)
    for _ in range(3):
        moves = rounds.moves(places)
        before = places.clone(), moves.clone()
        step = faster.step(places, moves)
        assert torch.equal(places, before[0])
        assert torch.equal(moves, before[1])
        places += step  # as `refine` does: what is remembered must not change with it
    assert rounds.error_px(places) < rounds.error_px(run(rounds, 3, None))
