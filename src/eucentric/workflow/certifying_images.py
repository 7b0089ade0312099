"""How far images bear out an order of exposure and a pixel size: the words and the threshold of each.

The thresholds of the order are set so that no series of the twin with wrong metadata that was tried was called sure,
and none with right metadata contradicted (`benchmarks/certificate.py`). What a check could not have caught is said
beside what it found.
"""

import math
from dataclasses import dataclass

import numpy as np

from eucentric.report.certificate import Sureness
from eucentric.workflow.records import ImageChecks

_SURE_ODDS, _LIKELY_ODDS = 5.0, 3.0
_FEWEST_TILTS = 3
_AGREES = math.log(1.7)  # an offset of 1 µm on 1.5; a pixel off by 30 %
_IS_BINNING = math.log(1.5)


@dataclass(frozen=True)
class Told:
    """What images say of one convention; `sureness` is "unchecked" where they could not tell."""

    words: str
    sureness: Sureness
    advice: str = ""


def order_told(checks: ImageChecks) -> Told:
    """Return what the fading of the signal says of the order of exposure."""
    verdict = checks.order
    if verdict is None:
        reason = f": {checks.order_reason}" if checks.order_reason else ""
        return Told(f"The images were not asked{reason}.", "unchecked")
    if not verdict.rival:
        return Told("The images cannot tell: they show too little signal, or any usual order is like it.", "unchecked")
    rival = f"the order {verdict.rival}"
    able = f"a series like this would show it in {100 * verdict.power:.0f} % of cases"
    if verdict.log_odds <= -_SURE_ODDS:
        return Told(
            f"Detail fades otherwise: {rival} is e^{-verdict.log_odds:.0f} times as likely.",
            "contradicted",
            "Find the times of the tilts: exposures are weighted wrongly if this order is not the true one.",
        )
    if verdict.log_odds >= _LIKELY_ODDS:
        return Told(
            f"Detail fades in this order: it is e^{verdict.log_odds:.0f} times as likely as {rival}; {able}. "
            "Orders alike in exposure, such as the other side first, cannot be told from it.",
            "sure" if verdict.log_odds >= _SURE_ODDS else "likely",
        )
    return Told(
        f"The images could not tell: how detail fades makes it e^{verdict.log_odds:+.1f} times as likely as {rival}, "
        f"and {able}.",
        "unchecked",
    )


def pixel_told(checks: ImageChecks) -> Told:
    """Return what the defocus of rings, beside that which was asked for, says of the pixel size.

    Pixels said s times too large make rings fit a defocus s² times too large. Users set defocus off by tenths of a
    micrometre, so that only a binning which the files forgot stands out. Never "sure": errors of some percent, which
    matter, are not seen.
    """
    ratios = checks.defocus_ratios
    if len(ratios) < _FEWEST_TILTS:
        return Told("Nothing of known size was measured, nor a defocus beside one that was asked for.", "unchecked")
    ratio = float(np.median(ratios))
    words = (
        f"Rings give {ratio:.2f} times the defocus that was asked for (median of {len(ratios)} tilts); pixels twice as "
        "large as they are would make it 4 times, half as large a quarter. Errors below some 30 % cannot be told so."
    )
    if abs(math.log(ratio)) <= _AGREES:
        return Told(words, "likely")
    if abs(abs(math.log(ratio)) - math.log(4)) <= _IS_BINNING:
        return Told(
            words,
            "contradicted",
            "Look for a binning that the files forgot, or for a defocus that was not what was asked for; give --pixel.",
        )
    return Told(f"{words} This is neither: it is not relied on.", "unchecked")
