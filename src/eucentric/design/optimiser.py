"""Which design is best for a specimen, by how much, what limits it, and how flat the optimum is."""

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass

import numpy as np

from eucentric.core import SILENT, InputError, Record, Reporter
from eucentric.design.candidates import SearchSpace, candidates, frame_counts, neighbours
from eucentric.design.fractionation import SweetSpot, sweet_spot
from eucentric.design.objective import COSTS, Objective
from eucentric.design.plan import Design
from eucentric.design.policies import FrameExposure
from eucentric.design.prediction import Summary, predict
from eucentric.design.schemes import Bidirectional, DoseSymmetric, Unidirectional

CLOSE = 0.01
"""Designs within this share of the best are as good as the best: the model is not known any better."""

_NOTHING = 0.001  # a share of the score that nobody would store twice the frames for


class Candidate(Record):
    """A design that was tried: its score, its range in degrees of the slab, and the limits that it breaks."""

    label: str
    design: Design
    tilts: int
    range_deg: tuple[float, float]
    step_deg: float
    score: float
    minutes: float
    breaks: tuple[str, ...]


class Flatness(Record):
    """What the designs within a share of the best have between them: lowest and highest."""

    within: float
    designs: int
    tilts: tuple[int, int]
    half_range_deg: tuple[float, float]
    step_deg: tuple[float, float]
    schemes: tuple[str, ...]


class Optimum(Record):
    """The outcome of a search.

    Parameters
    ----------
    best
        The design that wins.
    summary
        What it will yield.
    rivals
        The best of each scheme, the winner first; `behind` holds by what share each is worse than the winner.
    tried, refused
        Designs that were predicted, and how many of them each limit refused (some are refused by several).
    gains
        By what share the winner would be better if one cost were none: `sampling`, `alignability`, `motion`,
        `transmission`, `damage`; or if there were no limit on `time`, `sampling`, `alignability` or the `missing
        wedge` (another design would then win), whichever of a cost and a limit of one name takes more.
    limited_by
        The largest of these.
    flatness
        How far one may go from the best design and lose little.
    sweet_spot
        The score over the number of tilts, and from which terms its peak comes.
    """

    objective: Objective
    best: Candidate
    summary: Summary
    rivals: tuple[Candidate, ...]
    behind: dict[str, float]
    tried: int
    refused: dict[str, int]
    gains: dict[str, float]
    limited_by: str
    flatness: tuple[Flatness, ...]
    sweet_spot: SweetSpot


@dataclass
class _Search:
    objective: Objective
    found: list[Candidate]

    def run(self, designs: Iterable[Design], step: Callable[[], None]) -> None:
        for design in designs:
            prediction = predict(design.plan())
            slab_deg = np.sort(design.slab.slab_deg)
            self.found.append(
                Candidate.model_construct(
                    label=label(design),
                    design=design,
                    tilts=len(slab_deg),
                    range_deg=(round(float(slab_deg[0]), 6), round(float(slab_deg[-1]), 6)),
                    step_deg=round(float(np.diff(slab_deg).max()), 6),
                    score=self.objective.score(prediction),
                    minutes=prediction.clock.duration_s / 60,
                    breaks=self.objective.broken_by(prediction),
                )
            )
            step()

    def best(self, among: Iterable[Candidate] | None = None) -> Candidate | None:
        return max(_kept(self.found if among is None else among), key=lambda one: one.score, default=None)


def optimise(
    base: Design,
    total_e_A2: float,
    objective: Objective,
    space: SearchSpace | None = None,
    *,
    reporter: Reporter = SILENT,
) -> Optimum:
    """Search for the best design.

    Parameters
    ----------
    base
        Specimen, lens, camera, stage, routine and alignability; its scheme and exposure are replaced.
    total_e_A2
        The exposure that every design spends.
    objective
        What is wanted, and within what.
    space
        What is tried first; about the best of it the search goes on in finer steps.
    reporter
        Told of progress.

    Raises
    ------
    InputError
        If no design keeps to the limits; it says which limit refused how many.
    """
    objective = objective.for_specimen(base)
    if isinstance(base.frames, FrameExposure):  # no frame divides every exposure that is tried
        base = base.replace(frames=base.frames.replace(rounding="nearest"))
    search = _Search(objective, [])
    space = space or SearchSpace()
    grid = list(candidates(base, total_e_A2, space))
    with reporter.task("trying designs", len(grid)) as step:
        search.run(grid, step)
    coarse = search.best()
    if coarse is None:
        raise _nothing_left(search.found)
    if coarse.score <= 0:
        raise _nothing_known(base, objective)
    coarse = _fewest_frames(search, coarse)  # before the finer steps, so that rivals have as many
    fine = list(neighbours(coarse.design, total_e_A2, space))
    with reporter.task("trying finer steps about the best", len(fine)) as step:
        search.run(fine, step)
    best = search.best(one for one in search.found if one.design.frames == coarse.design.frames) or coarse
    by_family = {_family(one): one for one in sorted(_kept(search.found), key=lambda one: one.score)}
    by_family[_family(best)] = best
    rivals = tuple(sorted(by_family.values(), key=lambda one: (one is not best, -one.score)))
    gains = _gains(best, search)
    return Optimum(
        objective=objective,
        best=best,
        summary=predict(best.design.plan()).summary,
        rivals=rivals,
        behind={one.label: max(0.0, 1 - one.score / best.score) for one in rivals if one is not best},
        tried=len(search.found),
        refused=_refused(search.found),
        gains=gains,
        limited_by=max(gains, key=lambda name: gains[name]),
        flatness=tuple(_flatness(search.found, best, within) for within in (CLOSE, 5 * CLOSE)),
        sweet_spot=sweet_spot(best.design, objective),
    )


def label(design: Design) -> str:
    """Return the name of a design's scheme, as one would say it."""
    scheme = design.scheme
    if isinstance(scheme, Unidirectional):
        return "unidirectional"
    if isinstance(scheme, Bidirectional):
        return f"bidirectional from {scheme.start_deg:g}°"
    if isinstance(scheme, DoseSymmetric):
        order = "" if scheme.order_taken == "serialem" else f" ({scheme.order_taken})"
        return f"dose-symmetric by {scheme.group}{order}"
    return scheme.kind


def _family(candidate: Candidate) -> str:
    """Return what a candidate competes as: bidirectional series from any start are one family."""
    return candidate.label.split(" from ")[0]


def _fewest_frames(search: _Search, best: Candidate) -> Candidate:
    """Return the best design with the fewest frames that cost it nothing: they fill the disk."""
    if isinstance(best.design.frames, FrameExposure):
        return best  # a frame's exposure was chosen
    first = len(search.found)
    search.run(frame_counts(best.design), lambda: None)
    kept = _kept([best, *search.found[first:]])
    enough = (1 - _NOTHING) * max(one.score for one in kept)
    return min((one for one in kept if one.score >= enough), key=lambda one: one.design.plan()[0].frames)


def _kept(found: Iterable[Candidate]) -> list[Candidate]:
    return [one for one in found if not one.breaks]


def _refused(found: Iterable[Candidate]) -> dict[str, int]:
    names = [name for one in found for name in one.breaks]
    return {name: names.count(name) for name in sorted(set(names))}


def _gains(best: Candidate, search: _Search) -> dict[str, float]:
    plan = best.design.plan()
    gains = {name: search.objective.score(predict(plan, terms)) / best.score - 1 for name, terms in COSTS.items()}
    if search.objective.max_minutes is not None:
        gains["time"] = 0.0
    for one in search.found:  # without one limit, another design would win
        if len(one.breaks) == 1:
            limit = one.breaks[0]
            gains[limit] = max(gains.get(limit, 0.0), one.score / best.score - 1)
    return gains


def _flatness(found: Sequence[Candidate], best: Candidate, within: float) -> Flatness:
    close = [one for one in _kept(found) if one.score >= (1 - within) * best.score]

    def ends(values: Iterable[float]) -> tuple[float, float]:
        listed = list(values)
        return min(listed), max(listed)

    tilts = [one.tilts for one in close]
    return Flatness(
        within=within,
        designs=len(close),
        tilts=(min(tilts), max(tilts)),
        half_range_deg=ends(round(max(-one.range_deg[0], one.range_deg[1]), 3) for one in close),
        step_deg=ends(one.step_deg for one in close),
        schemes=tuple(dict.fromkeys(one.label for one in sorted(close, key=lambda one: -one.score))),
    )


def _nothing_known(base: Design, objective: Objective) -> InputError:
    nyquist_A = 2 * base.camera.pixel_A
    if objective.goal == "resolution" and objective.target_A <= nyquist_A:
        return InputError(
            f"No design reaches {objective.target_A:g} Å: Nyquist is at {nyquist_A:g} Å.", "Choose a coarser target."
        )
    return InputError("No design tells anything of this specimen.", "Look at its thickness and at the exposure.")


def _nothing_left(found: Sequence[Candidate]) -> InputError:
    if not found:
        return InputError("No design fits the stage and the pre-tilt: nothing was tried.", "Check the stage's limits.")
    counts = ", ".join(f"{count} by {name}" for name, count in _refused(found).items())
    quickest = min(one.minutes for one in found)
    return InputError(
        f"None of {len(found)} designs keeps to the limits: refused were {counts} (the quickest takes "
        f"{quickest:.1f} minutes).",
        "Allow more of what refused most.",
    )
