"""How much may vary is a question to the data: beads that had no part in a fit say whether it sees them better."""

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from eucentric.core import InputError, Record
from eucentric.processing.alignment.beads.adjust import adjust_bundle, usable_tracks
from eucentric.processing.alignment.beads.fitting import Fitted, fit_tracks, with_freedom
from eucentric.processing.alignment.beads.model import Freedom, differentiate, see
from eucentric.processing.alignment.beads.records import BundleAdjustment, BundleSettings
from eucentric.processing.alignment.beads.tracks import Tracks

Array = NDArray[np.float64]

_FOLDS = 4
_CAP = 4.0  # noise units: a mistaken observation is not to decide
_SURE = 1.0  # standard errors of the gain, over beads, that a step must bring
_STEPS: dict[str, tuple[str, ...]] = {
    "tilt": ("fixed", "grouped", "free"),
    "axis": ("one", "grouped", "free"),
    "magnification": ("fixed", "grouped", "free"),
    "x_tilt": ("fixed", "grouped", "free"),
}


class Choice(Record):
    """A freedom that was tried: how far held-out beads are from where it sees them (px, mean), and what came of it."""

    freedom: Freedom
    held_out_px: float
    taken: bool
    why: str


@dataclass(frozen=True)
class ChosenFreedom:
    """The freedom taken and every one that was tried, in order."""

    freedom: Freedom
    tried: tuple[Choice, ...]

    def why(self) -> str:
        """Say in one line what was taken and what it was worth."""
        first, best = self.tried[0], [choice for choice in self.tried if choice.taken][-1]
        gain = (
            f"beads held out are {best.held_out_px:.3f} px off, and {first.held_out_px:.3f} px with the least freedom"
        )
        return f"{self.freedom.describe()}; {gain}"


def adjust_freely(
    tracks: Tracks, tilts_deg: Sequence[float], shape_yx: tuple[int, int], settings: BundleSettings | None = None
) -> tuple[BundleAdjustment, ChosenFreedom]:
    """Adjust with as much freedom as the data bear out, and return with it how that was found.

    Raises
    ------
    InputError
        As `adjust_bundle` does.
    """
    settings = settings or BundleSettings()
    first = adjust_bundle(tracks, tilts_deg, shape_yx, settings.replace(freedom=Freedom()))
    chosen = choose_freedom(first, tilts_deg)
    if chosen.freedom == Freedom():
        return first, chosen
    return adjust_bundle(tracks, tilts_deg, shape_yx, settings.replace(freedom=chosen.freedom)), chosen


def choose_freedom(first: BundleAdjustment, tilts_deg: Sequence[float], *, distortion: bool = True) -> ChosenFreedom:
    """Step by step let more vary, as long as beads that were held out are seen better.

    Each bead is held out once. Its place is found from half of its views, and it is judged where the other half sees
    it, and the other way about. A step is taken where the mean over beads gains more than its standard error; of
    several, the one that gains most.

    Parameters
    ----------
    first
        An adjustment with the least freedom: it says which beads and observations to use, and where to begin.
    tilts_deg
        As given to it.
    distortion
        Try stretch and skew of the specimen too.
    """
    folds = _folds(first, tilts_deg)
    now = Freedom()
    scores, folds = _scores(folds, now)
    tried = [Choice(freedom=now, held_out_px=_mean(scores), taken=True, why="the least freedom")]
    while True:
        best: tuple[float, Freedom, Array, list[_Fold]] | None = None
        places: dict[Freedom, int] = {}
        for candidate in _more(now, distortion):
            try:
                new, moved = _scores(folds, candidate)
            except InputError as error:
                tried.append(Choice(freedom=candidate, held_out_px=_mean(scores), taken=False, why=error.what))
                continue
            gain = scores - new
            worth = float(np.nanmean(gain))
            error_px = float(np.nanstd(gain) / np.sqrt(max(1, np.isfinite(gain).sum() - 1)))
            sure = worth > _SURE * error_px and worth > 0
            places[candidate] = len(tried)
            tried.append(
                Choice(
                    freedom=candidate,
                    held_out_px=_mean(new),
                    taken=False,
                    why=f"gains {worth:.4f} ± {error_px:.4f} px" + ("" if sure else ", which is not sure"),
                )
            )
            if sure and (best is None or worth > best[0]):
                best = worth, candidate, new, moved
        if best is None:
            return ChosenFreedom(now, tuple(tried))
        _, now, scores, folds = best
        at = places[now]
        tried.append(tried[at].replace(taken=True))


def _more(now: Freedom, distortion: bool) -> list[Freedom]:
    """Return what lets one thing more vary, by one step."""
    found = []
    for field, levels in _STEPS.items():
        at = levels.index(getattr(now, field))
        found += [now.replace(**{field: level}) for level in levels[at + 1 : at + 2]]
    if distortion and now.stretch == "fixed":
        found.append(now.replace(stretch="grouped", skew="grouped"))
    return found


@dataclass(frozen=True)
class _Fold:
    """A fit without some beads, and their observations: bead (index), view, place from the centre."""

    base: Fitted
    bead: NDArray[np.int64]
    view: NDArray[np.int64]
    yx_px: Array
    beads: int
    sigma_px: float


def _folds(first: BundleAdjustment, tilts_deg: Sequence[float]) -> list[_Fold]:
    tracks = first.tracks.only(usable_tracks(first))
    numbers = np.unique(tracks.bead)
    count = min(_FOLDS, len(numbers))
    # Neighbours in the list may be neighbours on the specimen: every fold takes from all of it.
    fold_of = np.arange(len(numbers)) % count
    index = np.searchsorted(numbers, tracks.bead)
    settings = BundleSettings(axis_deg=float(np.rad2deg(np.median(first.views[:, 4]))))
    tilts = np.rad2deg(first.views[:, 2])
    centre = np.array([size // 2 for size in first.shape_yx], dtype=float)
    folds = []
    for fold in range(count):
        out = fold_of[index] == fold
        if len(np.unique(index[~out])) < 3:
            continue
        fitted, active, _ = fit_tracks(tracks.only(~out), tilts.tolist(), first.shape_yx, settings)
        section = np.full(len(tilts_deg), -1)
        section[active] = np.arange(len(active))
        seen = out & (section[tracks.view] >= 0)
        folds.append(
            _Fold(
                fitted,
                index[seen],
                section[tracks.view[seen]],
                tracks.yx_px[seen] - centre,
                len(numbers),
                first.sigma_px,
            )
        )
    return folds


def _scores(folds: Sequence[_Fold], freedom: Freedom) -> tuple[Array, list[_Fold]]:
    """Return how far each bead is from where fits without it see it, px, NaN if it cannot be judged; and those fits."""
    scores = np.full(folds[0].beads, np.nan)
    fits = []
    for fold in folds:
        fitted = with_freedom(fold.base, freedom)
        fits.append(replace(fold, base=fitted))
        views = fitted.solution.views
        for bead in np.unique(fold.bead):
            mine = fold.bead == bead
            scores[bead] = _judged(views[fold.view[mine]], fold.yx_px[mine], fold.sigma_px)
    return scores, fits


def _judged(views: Array, places: Array, sigma_px: float) -> float:
    """Return the mean distance of one bead in half of its views from where the other half puts it."""
    if len(views) < 4:
        return float("nan")
    order = np.argsort(views[:, 2], kind="stable")
    distances = []
    for half in (0, 1):
        give, judge = order[half::2], order[1 - half :: 2]
        place = _place(views[give], places[give], sigma_px)
        off = places[judge] - see(views[judge], np.broadcast_to(place, (len(judge), 3)))
        distances.append(np.minimum(np.hypot(*off.T), _CAP * sigma_px))
    return float(np.concatenate(distances).mean())


def _place(views: Array, places: Array, sigma_px: float) -> Array:
    """Return where a bead is, from views that are known: the model is linear in that."""
    at, slopes = differentiate(views, np.zeros((len(views), 3)))[::2]
    weights = np.ones(len(views))
    place = np.zeros(3)
    for _ in range(3):
        root = np.repeat(np.sqrt(weights), 2)
        rows, wanted = slopes.reshape(-1, 3) * root[:, None], (places - at).reshape(-1) * root
        place = np.linalg.lstsq(rows, wanted, rcond=1e-6)[0]
        off = np.square(places - at - slopes @ place).sum(axis=1)
        weights = 1 / (1 + off / (_CAP * sigma_px) ** 2)
    return place


def _mean(scores: Array) -> float:
    return float(np.nanmean(scores))
