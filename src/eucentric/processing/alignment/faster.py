"""Anderson's acceleration of rounds that each bring shifts nearer to where they stay (1965, 10.1145/321296.321305)."""

import torch
from torch import Tensor

_KEPT = 5  # rounds remembered: more of them hold more noise than knowledge
_DAMPING = 1e-4  # of the mean square of their differences, so that differences of noise are not followed


class Anderson:
    """Steps that take the last rounds into account.

    A view follows its neighbours, which follow theirs, so that what many views have in common moves by a few percent
    of its error in a round. What the last rounds have changed tells how much, and the step goes all the way.

    Parameters
    ----------
    largest
        Length that no step of any view goes beyond.
    """

    def __init__(self, largest: float) -> None:
        self._largest = largest
        self._places: list[Tensor] = []
        self._moves: list[Tensor] = []

    def forget(self) -> None:
        """Begin anew, where rounds have become others."""
        self._places.clear()
        self._moves.clear()

    def step(self, places: Tensor, moves: Tensor) -> Tensor:
        """Return how far to go from `places` (n, 2), where a plain round would go by `moves` (n, 2)."""
        self._places = [*self._places, places.reshape(-1).clone()][-_KEPT - 1 :]
        self._moves = [*self._moves, moves.reshape(-1).clone()][-_KEPT - 1 :]
        if len(self._moves) < 2:
            return moves
        went = torch.stack(self._places, 1).diff(dim=1)
        changed = torch.stack(self._moves, 1).diff(dim=1)
        normal = changed.T @ changed
        damping = _DAMPING * normal.diagonal().mean().clamp(min=1e-30)
        share = torch.linalg.solve(
            normal + damping * torch.eye(len(normal), dtype=normal.dtype), changed.T @ moves.reshape(-1)
        )
        step = (moves.reshape(-1) - (went + changed) @ share).reshape(moves.shape)
        longest = float(step.norm(dim=1).max())
        shortened: Tensor = step * min(1.0, self._largest / max(longest, 1e-12))
        return shortened
