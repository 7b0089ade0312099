"""How far images bear out an order of exposure and a pixel size: the words and the threshold of each.

Thresholds are set so that no series of the twin with wrong metadata that was tried was called sure, and none with right
metadata contradicted (`benchmarks/certificate.py`). What a check could not have caught is said beside what it found.
"""

import math
from dataclasses import dataclass

from eucentric.optics import SeriesCTF
from eucentric.report.certificate import Sureness
from eucentric.workflow.records import ImageChecks

_SURE_ODDS, _LIKELY_ODDS = 5.0, 3.0
_OFF_SIGMAS = 4.0  # beyond, a pixel size is contradicted
_NINETEEN_IN_TWENTY = 1.645
_FIT_SIGMAS = 2.5  # within, it is borne out
_OTHER = 0.25  # of the logarithm: only another answer, which the odds are about, contradicts; tilt angles bias smaller
_FORGOTTEN_BINNING = math.log(2)


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


def pixel_told(checks: ImageChecks, pixel_A: float, ctf: SeriesCTF | None) -> Told:
    """Return what the ramp of defocus over tilted images says of the pixel size.

    Never "sure": errors of some percent, which matter, were not seen to be told on any series.
    """
    ramp = checks.ramp
    if ramp is None:
        reason = f" and no ramp of defocus either: {checks.ramp_reason}" if checks.ramp_reason else ""
        return Told(f"Nothing of known size was measured{reason}.", "unchecked")
    off = abs(math.log(ramp.factor))
    least = math.expm1(max((_OFF_SIGMAS + _NINETEEN_IN_TWENTY) * ramp.sigma, _OTHER + _NINETEEN_IN_TWENTY * ramp.sigma))
    words = (
        f"The ramp of defocus over tilted images fits pixels of {pixel_A / ramp.factor:.3g} Å "
        f"± {100 * ramp.sigma:.0f} %; an error of {100 * least:.0f} % would have been seen in 19 of 20 such series, "
        "a smaller one less surely."
    )
    if ctf is not None and ctf.hand is not None and ctf.hand.sure and ctf.hand.hand != ramp.hand:
        return Told(f"{words} But its hand is not that of the CTF fit: it counts for nothing.", "unchecked")
    if off > max(_OFF_SIGMAS * ramp.sigma, _OTHER) and ramp.log_odds >= _SURE_ODDS:
        return Told(
            words,
            "contradicted",
            "Look for a binning that the files forgot, then at tilt angles and calibration; give it with --pixel.",
        )
    told = off <= _FIT_SIGMAS * ramp.sigma and math.log1p(least) <= _FORGOTTEN_BINNING
    if told and ramp.log_odds >= _LIKELY_ODDS:
        return Told(words, "likely")
    return Told(f"{words} That is too little to rely on.", "unchecked")
