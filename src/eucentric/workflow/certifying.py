"""`certify`: the certificate of a series' conventions, from what its files say and what its images told.

Images cannot tell a series from its mirror twin: with the tilt axis turned by 180°, or all tilts negated, the same
projections belong to the mirrored specimen. What is below never claims otherwise.
"""

import itertools
from pathlib import Path

from eucentric.core import TiltSeries
from eucentric.io import LoadedSeries
from eucentric.optics import SeriesCTF
from eucentric.processing.alignment import AlignmentResult
from eucentric.report import summarise_alignment
from eucentric.report.certificate import Convention, Sureness
from eucentric.workflow.certifying_images import Told, order_told, pixel_told
from eucentric.workflow.records import ImageChecks

_AXES_AGREE_DEG = 5.0  # titles have a decimal, and an axis drifts by a degree or two; another setting is tens away
_ANGLES_FROM = "Tilt angles are from "
_COUNTED_IN = "View or Preview images, or lost tilts, may be counted in; `eucentric doctor` tells."
_SUM_TOLERANCE = 0.02  # of the whole exposure


def certify(
    loaded: LoadedSeries,
    result: AlignmentResult,
    ctf: SeriesCTF | None,
    *,
    axis_given_deg: float | None = None,
    noticed: tuple[str, ...] = (),
    checks: ImageChecks | None = None,
) -> tuple[Convention, ...]:
    """Return the certificate of a series.

    Parameters
    ----------
    loaded
        The series, with the files that it was read from.
    result
        What its images, or its beads, told of the axis.
    ctf
        What its rings told of the defocus hand, if they were fitted.
    axis_given_deg
        The axis, where the user gave it.
    noticed
        Warnings of the loading: those about pixel size, axis and order count against them.
    checks
        What the images told of order of exposure and defocus, if they were asked.
    """
    series, checks = loaded.series, checks or ImageChecks()
    axis = _axis(series, result, axis_given_deg, _mdoc(loaded), noticed)
    return (
        _tilt_sign(loaded, ctf),
        axis,
        _defocus_hand(ctf),
        _volume_hand(axis),
        _order(series, _mdoc(loaded), noticed, order_told(checks)),
        _pixel(loaded, noticed, pixel_told(checks)),
    )


def _mdoc(loaded: LoadedSeries) -> str:
    """Return the name of the .mdoc that was read, or nothing."""
    return next((path.name for path in loaded.sources if path.suffix == ".mdoc"), "")


def _tilt_sign(loaded: LoadedSeries, ctf: SeriesCTF | None) -> Convention:
    told = next((note for note in loaded.notes if note.startswith(_ANGLES_FROM)), "")
    source = told.removeprefix(_ANGLES_FROM).rstrip(".") or _mdoc(loaded) or "the files beside the stack"
    ramp = " The ramp of defocus tells only the product of this sign and the defocus hand." if ctf and ctf.hand else ""
    return Convention(
        name="tilt sign",
        value="the stage's: x' = x cos + z sin",
        known_from=source,
        checked=f"Images cannot tell it: the opposite sign belongs to the mirrored specimen.{ramp}",
        sureness="unchecked",
        advice="Look once, for this microscope, at something of known hand.",
    )


def _axis(
    series: TiltSeries, result: AlignmentResult, given_deg: float | None, mdoc: str, noticed: tuple[str, ...]
) -> Convention:
    summary = summarise_alignment(result)
    nominal = given_deg if given_deg is not None else series.tilt_axis_deg
    whose = "the user" if given_deg is not None else (mdoc or "the metadata") if nominal is not None else "nobody"
    value = f"{summary.axis_deg:.2f}° from the image's y axis, counter-clockwise"
    spread = summary.axis_uncertainty_deg
    measured = f"Found from the images, ± {spread:.2f}°" if spread is not None else "Not searched, as it was given"
    if nominal is None:
        checked = f"{measured}; that and its opposite explain them equally well, and nothing chose between the two."
        return Convention(
            name="tilt axis",
            value=value,
            known_from=whose,
            checked=checked,
            sureness="likely",
            advice="Compare with the axis of another series of this microscope: 180° off, the volume is mirrored.",
        )
    apart = abs((summary.axis_deg - nominal + 180) % 360 - 180)
    checked = f"{measured}, {apart:.1f}° from the {nominal:g}° that it should be; 180° more would fit as well."
    doubted = any("[tilt-axis]" in message for message in noticed)
    if spread is None:
        return Convention(
            name="tilt axis",
            value=value,
            known_from=whose,
            checked=f"{measured}.",
            sureness="unchecked",
            advice="Process it without an axis once, to see whether the images agree.",
        )
    if apart > max(_AXES_AGREE_DEG, 3 * spread):
        advice = "One of the two is of another magnification or camera: find out which before any averaging."
        return Convention(
            name="tilt axis", value=value, known_from=whose, checked=checked, sureness="contradicted", advice=advice
        )
    return Convention(
        name="tilt axis",
        value=value,
        known_from=whose,
        checked=checked,
        sureness="likely" if doubted or 3 * spread > _AXES_AGREE_DEG else "sure",
        advice="Its files give two axes; the images agree with the one taken." if doubted else "",
    )


def _defocus_hand(ctf: SeriesCTF | None) -> Convention:
    name, known = "defocus hand", "the images"
    if ctf is None or ctf.hand is None:
        return Convention(
            name=name,
            value="not known",
            known_from="nobody",
            checked="No ramp of defocus over tilted images was seen: no CTF was fitted, or no tilt is high enough.",
            sureness="unchecked",
            advice="Take that of another series of this microscope.",
        )
    hand = ctf.hand
    higher = "greater" if hand.hand == 1 else "smaller"
    return Convention(
        name=name,
        value=f"{hand.hand:+d}: higher along the beam is {higher} underfocus",
        known_from=known,
        checked=f"The ramp over tilted images makes it e^{hand.log_odds:.0f} times as likely as the other.",
        sureness="sure" if hand.sure else "likely",
        advice="" if hand.sure else "Take that of a series with a clearer ramp.",
    )


def _volume_hand(axis: Convention) -> Convention:
    if axis.sureness == "contradicted":
        return Convention(
            name="hand of the volume",
            value="as tilt sign and axis give it",
            known_from="tilt sign and tilt axis",
            checked="It rests on an axis that the images contradict.",
            sureness="contradicted",
            advice="Settle the axis first.",
        )
    return Convention(
        name="hand of the volume",
        value="as tilt sign and axis give it",
        known_from="tilt sign and tilt axis",
        checked="No projection tells it; only a structure of known hand in the volume would.",
        sureness="unchecked",
        advice="Look at ribosomes or another known structure, averaged, once for this microscope.",
    )


def _order(series: TiltSeries, mdoc: str, noticed: tuple[str, ...], told: Told) -> Convention:
    name, known = "exposure order", mdoc or "the table beside the stack"
    if not series.order_known:
        return Convention(
            name=name,
            value="that of the sections, assumed",
            known_from="nobody",
            checked=told.words,
            sureness="unchecked",
            advice="Give a table (--tilts) or an .mdoc with times: without it exposures are weighted wrongly.",
        )
    tilts = series.by_order()
    first = ", ".join(f"{tilt.tilt_deg:g}°" for tilt in tilts[:4])
    value = f"{first}, ... {tilts[-1].tilt_deg:g}°"
    off = _off_the_sum(series)
    if any(f"[{word}]" in message for word in ("order-lost", "pre-exposure", "exposure-plan") for message in noticed):
        return Convention(
            name=name,
            value=value,
            known_from=known,
            checked="Times and exposures, or plan and .mdoc, tell different things.",
            sureness="contradicted",
            advice="See the warnings; `eucentric doctor` names the lines.",
        )
    if off is None:
        checked = "Its exposures are not all known, so that order and sums cannot be compared."
        return Convention(
            name=name,
            value=value,
            known_from=known,
            checked=checked,
            sureness="unchecked",
            advice="Give a table (--tilts) with exposures, or the exposure of one tilt.",
        )
    checked = f"What each had received before is the sum of those earlier, within {100 * off:.1f} % of the whole."
    if off > _SUM_TOLERANCE:
        return Convention(
            name=name, value=value, known_from=known, checked=checked, sureness="contradicted", advice=_COUNTED_IN
        )
    unsure = "" if told.sureness in ("sure", "likely") else "Compare its times with the log of the acquisition."
    return Convention(
        name=name,
        value=value,
        known_from=known,
        checked=f"{told.words} {checked}",
        sureness=told.sureness,
        advice=told.advice or unsure,
    )


def _off_the_sum(series: TiltSeries) -> float | None:
    """Return how far exposures before are from the sums of those earlier, as a share of the whole; None if unknown."""
    tilts = series.by_order()
    exposures = [tilt.exposure_e_A2 for tilt in tilts if tilt.exposure_e_A2 is not None]
    priors = [tilt.pre_exposure_e_A2 for tilt in tilts if tilt.pre_exposure_e_A2 is not None]
    if len(exposures) < len(tilts) or len(priors) < len(tilts) or not sum(exposures):
        return None
    sums = [0.0, *itertools.accumulate(exposures)][:-1]
    # What was there before the first tilt (an overview, say) is no contradiction.
    return max(abs(prior - priors[0] - own) for prior, own in zip(priors, sums, strict=True)) / sum(exposures)


def _pixel(loaded: LoadedSeries, noticed: tuple[str, ...], told: Told) -> Convention:
    name, value = "pixel size", f"{loaded.series.pixel_A:g} Å"
    from_mdoc = any("pixel size is from the .mdoc" in note for note in loaded.notes)
    source = _mdoc(loaded) if from_mdoc else Path(loaded.sources[0]).name
    if any("[pixel-size]" in message for message in noticed):
        return Convention(
            name=name,
            value=value,
            known_from=source,
            checked="Its files disagree about it, or give one that cannot be: see the warnings.",
            sureness="contradicted",
            advice="Find out which is right, and give it with --pixel.",
        )
    both = bool(_mdoc(loaded)) and not from_mdoc
    agreed: Sureness = "likely" if both and told.sureness == "unchecked" else told.sureness
    return Convention(
        name=name,
        value=value,
        known_from=source,
        checked=("The .mdoc does not contradict it. " if both else "") + told.words,
        sureness=agreed,
        advice=told.advice or "Calibrate on a structure of known size before the last refinement.",
    )
