"""What a restoration is worth, in words that are made of its figures."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from eucentric.processing.restoration import Examination, Method, Trained
from eucentric.report.headline import Number
from eucentric.report.restoration_input import RestorationShown
from eucentric.report.words import seconds

THRESHOLD = 0.143
"""Of the halves' correlation, as in the examination."""

MOST_MISFIT = 1.25
"""Mean square over that of noise from which on a band of shells departs from the data: three times their scatter."""

FEW = 0.01
"""Share of power below which the missing wedge is as good as empty: soft edges alone leave half of that."""

_FURTHER = 0.8  # of the detail to which the halves agree: restored halves that agree further do so by the model

_LOOKS_BACK, _BETTER = 3, 0.98  # looks before the last one, and what the last is of them where training should go on

METHODS: dict[Method, str] = {
    "noise2noise": "Noise2Noise: a network that learned to predict one half from the other. It takes noise away and is "
    "not taught to fill the missing wedge.",
    "wedge": "Wedge: a network that learned to predict turned copies of the specimen from what the tilts would have "
    "shown of them. It takes noise away and fills the missing wedge with what it learned.",
    "cryogen": "CryoGEN: a specimen that agrees with the data and that a critic, which sees it turned and through the "
    "tilts, cannot tell from measured ones. It takes noise away and fills the missing wedge with what it learned.",
}


@dataclass(frozen=True)
class Departure:
    """A band of detail, from coarse to fine, in which more is left of the data than noise.

    `most` of it over noise, and over the data's own power there, which may be far more than noise.
    """

    coarse_A: float
    fine_A: float
    most: float
    most_of_power: float


def statement(data: RestorationShown) -> tuple[str, ...]:
    """Say which structure the data support, which the model inferred, and whether the restoration keeps to the data."""
    found = data.examination
    return tuple(said for said in (_support(found), _wedge(found), _kept(found), _models_own(data)) if said)


def warnings(data: RestorationShown) -> tuple[str, ...]:
    """Return the warnings given, and those that the figures call for."""
    found = list(data.warnings)
    if data.examination.supported_A is None:
        found.append("The halves agree at no detail: nothing in the restored tomogram is supported by these data.")
    if data.pair.even_views is not None:
        found.append(
            "The halves are of tilts, and share few of their planes: less was learned than from halves of frames or "
            "counts, and the stated uncertainty is too small."
        )
    found += [
        f"{_between(band)} the restored tomogram does not keep to the data: it leaves up to {_times(band.most)} what "
        f"noise would leave ({_percent(band.most_of_power)} of the data's power). Structure was lost or made up "
        "there; look at the tomogram before restoration."
        for band in departures(data.examination)
    ]
    held_out = [look.held_out for look in data.trained.looks]
    if data.trained.ended and len(held_out) > _LOOKS_BACK and held_out[-1] < _BETTER * min(held_out[:-_LOOKS_BACK]):
        found.append("Held-out data were still predicted better and better when training ended: train it for longer.")
    return tuple(found)


def numbers(data: RestorationShown) -> tuple[Number, ...]:
    """Return the key numbers."""
    found, trained = data.examination, data.trained
    worst = int(np.argmax(_over_three(found)))
    most = f"at most {_times(_over_three(found)[worst])}, at {_detail(1 / found.frequency_1_A[worst])}"
    supported, reach = found.supported_A, reach_A(found.frequency_1_A, found.fsc_after)
    ended = f"{trained.looks[-1].step} steps in {seconds(trained.looks[-1].seconds)}" if trained.looks else "no looks"
    return (
        Number(
            "supported",
            "Supported by data",
            "–" if supported is None else f"to {_detail(supported)}",
            "the halves agree at no detail" if supported is None else "halves before, FSC 0.143, measured wedge",
        ),
        Number("missing", "In the missing wedge", _percent(found.missing_share), "of the power, at least; inferred"),
        Number("misfit", "Left of the data", _times(mean_misfit(found)), f"of what noise alone leaves; {most}"),
        Number(
            "restored",
            "Restored halves agree to",
            "–" if reach is None else _detail(reach),
            "the model's agreement with itself is in it",
        ),
        Number("method", "Method", trained.settings.method, ended),
        Number("voxel", "Voxel", f"{data.restored.voxel_A:.2f} Å", f"{_shape(data)} (z y x)"),
    )


def how_it_ended(trained: Trained) -> str:
    """Say how long training took, and why it ended."""
    if not trained.looks:
        return "No look was taken at held-out data."
    last = trained.looks[-1]
    took = f"{last.step} steps in {seconds(last.seconds)}"
    return f"Training took {took}; it ended because {trained.ended}." if trained.ended else f"So far it took {took}."


def departures(found: Examination) -> tuple[Departure, ...]:
    """Return the bands in which the restored tomogram does not keep to the data.

    What is finer than the data support may be left out of it altogether, with what little the halves share there.
    """
    misfit, detail = _over_three(found), 1 / np.array(found.frequency_1_A)
    shared = np.clip([value or 0.0 for value in found.fsc_before], 0, 0.9999)
    over_noise = (1 + shared) / (1 - shared)  # the data's power
    free = detail < (found.supported_A or np.inf)
    allowed = MOST_MISFIT * np.where(free, over_noise, 1.0)
    bands = np.flatnonzero(np.diff(misfit > allowed, prepend=False, append=False)).reshape(-1, 2)
    return tuple(
        Departure(
            coarse_A=float(detail[a]),
            fine_A=float(detail[b - 1]),
            most=float(misfit[a:b].max()),
            most_of_power=float((misfit / over_noise)[a:b].max()),
        )
        for a, b in bands
    )


def mean_misfit(found: Examination) -> float:
    """Return the misfit of a measured coefficient that the data support, or of any where they support none."""
    k = np.array(found.frequency_1_A)
    inside = k <= (1 / found.supported_A if found.supported_A else np.inf)
    return float(np.average(found.misfit, weights=np.where(inside, k**2, 0.0) if inside.any() else k**2))


def filled_A(found: Examination) -> float | None:
    """Return the detail down to which a coefficient of the missing wedge has half the power of a measured one."""
    detail = 1 / np.array(found.frequency_1_A)
    there = np.array(found.missing_after) > 0
    empty = there & (np.array(found.missing_after) < 0.5 * np.array(found.power_after))
    until = int(np.argmax(empty)) if empty.any() else len(detail)
    filled = np.flatnonzero(there[:until])
    return float(detail[filled[-1]]) if filled.size else None


def reach_A(frequency_1_A: Sequence[float], fsc: Sequence[float | None]) -> float | None:
    """Return the detail up to which a correlation of halves stays above the threshold; None where it is never there."""
    known = [(k, value) for k, value in zip(frequency_1_A, fsc, strict=True) if value is not None]
    last = None
    for k, value in known:
        if value < THRESHOLD:
            break
        last = 1 / k
    return last


def _over_three(found: Examination) -> NDArray[np.float64]:
    """Return the misfit of each shell and its neighbours, by how many coefficients they have."""
    cells = np.square(found.frequency_1_A)
    ones = np.ones(3) if len(cells) > 2 else np.ones(1)
    return np.convolve(cells * found.misfit, ones, "same") / np.convolve(cells, ones, "same")


def _support(found: Examination) -> str:
    if found.supported_A is None:
        return "The halves agree at no detail: nothing in the restored tomogram is supported by these data."
    supported = _detail(found.supported_A)
    said = f"The halves before restoration agree to {supported}: structure down to that detail was measured, "
    said += "but for the missing wedge."
    finer = _finer(found)
    if finer is None:
        return f"{said} That is as fine as these voxels can show."
    return f"{said} What is finer was supplied by the model alone; it has {_percent(finer)} of the power restored."


def _finer(found: Examination) -> float | None:
    """Return how much of the restored tomogram's power, among measured coefficients, is finer than data support."""
    k = np.array(found.frequency_1_A)
    if found.supported_A is None or 1 / found.supported_A >= k[-1]:
        return None
    power = k**2 * np.array(found.power_after)
    return float(power[k > 1 / found.supported_A].sum() / max(power.sum(), 1e-30))


def _wedge(found: Examination) -> str:
    share = _percent(found.missing_share)
    if found.missing_share < FEW:
        return (
            f"The missing wedge was not filled (it has {share} of the power): features are still drawn out along the "
            "beam, and what the tilts did not see is absent."
        )
    filled = filled_A(found)
    down = f" It is filled down to {_detail(filled)}" if filled else " It is nowhere filled"
    return (
        f"At least {share} of the restored tomogram's power lies in the missing wedge, where no tilt measured: that is "
        f"inferred from what the model saw elsewhere, and these data cannot confirm it.{down}, counted where a "
        "coefficient has half the power of a measured one."
    )


def _kept(found: Examination) -> str:
    mean, bands = mean_misfit(found), departures(found)
    said = (
        f"Seen through the same tilts, the restored tomogram leaves {_times(mean)} what noise would leave of the data"
    )
    if bands:
        worst = max(bands, key=lambda band: band.most)
        said += f", but {_times(worst.most)} {_between(worst, within=True)}: there it does not keep to them."
    else:
        said += ", and at no detail much more: it keeps to them."
    if mean < 0.5:
        said += " Less than one means that it still holds some of the data's noise."
    return said


def _models_own(data: RestorationShown) -> str:
    """Say that restored halves agree by the model, where they agree much further than the halves do."""
    found = data.examination
    after, unseen = (reach_A(found.frequency_1_A, fsc) for fsc in (found.fsc_after, found.fsc_unseen))
    if after is None or (found.supported_A is not None and after > _FURTHER * found.supported_A):
        return ""
    before = "agree nowhere" if found.supported_A is None else f"agree to {_detail(found.supported_A)}"
    elsewhere = "" if unseen is None else f" (to {_detail(unseen)} where it was not trained)"
    return (
        f"The halves restored apart agree to {_detail(after)}{elsewhere}, while those before {before}. One model made "
        "both, so that agreement is the model's and not evidence of structure."
    )


def _between(band: Departure, *, within: bool = False) -> str:
    """Say where a band is, at the head of a sentence or within one."""
    coarse, fine = f"{band.coarse_A:.0f}", f"{band.fine_A:.0f}"
    said = f"at {fine} Å" if coarse == fine else f"from {coarse} to {fine} Å"
    return said if within else said[0].upper() + said[1:]


def _detail(detail_A: float) -> str:
    return f"{detail_A:.0f} Å"


def _times(value: float) -> str:
    return f"{value:.2f} times" if value < 1.95 else f"{value:.1f} times" if value < 19.5 else f"{value:.0f} times"


def _percent(share: float) -> str:
    return "less than 0.1 %" if share < 0.001 else f"{100 * share:.1f} %" if share < 0.0995 else f"{100 * share:.0f} %"


def _shape(data: RestorationShown) -> str:
    return " × ".join(map(str, data.pair.shape))
