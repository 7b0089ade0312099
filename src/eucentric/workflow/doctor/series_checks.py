"""Traps in the values of a series: tilts, axis, times, exposures, names of movies."""

import re
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from itertools import pairwise
from pathlib import Path
from statistics import median

import numpy as np

from eucentric.io import MdocSection
from eucentric.io.mdoc_findings import has_short_year, parse_time
from eucentric.workflow.doctor.axis import Axis
from eucentric.workflow.doctor.facts import Facts, Met, short_name

ARETOMO_TILTS = 7  # CReadMdoc.cpp
_SAME_DEG = 0.01  # as `io.series`: stages never come back as near as that
_LONGER = 1.6  # times the steps beside it; a step with one tilt missing is twice as long
_VARIES = 1.2
_AXIS_DEG = 1.0  # titles have one decimal
_STRICT_TIME = re.compile(r"\d\d-[A-Za-z]{3}-(\d{2}|\d{4})  ?\d\d:\d\d:\d\d$", re.ASCII)


def series_traps(facts: Facts) -> Iterator[Met]:
    """Find what is wrong with the values of a series."""
    yield from _tilt_traps(facts)
    yield from _axis_traps(facts)
    yield from _time_traps(facts)
    yield from _exposure_traps(facts)
    yield from _name_traps(facts)


def prior_sums(sections: Sequence[MdocSection], order_known: bool) -> list[float] | None:
    """Return the exposures before each section, summed in the order of acquisition, or None where they are unknown."""
    exposures = [section.exposure_e_A2 for section in sections]
    if not order_known or any(one is None for one in exposures):
        return None
    sums = [0.0] * len(sections)
    before = 0.0
    for index in sorted(range(len(sections)), key=lambda index: sections[index].order):
        sums[index] = before
        before += exposures[index] or 0.0
    return sums


def prior_trap(sections: Sequence[MdocSection], order_known: bool) -> str:
    """Return which trap the exposures before each section set, if they can be held against sums; else ""."""
    sums = prior_sums(sections, order_known)
    told = [section.pre_exposure_e_A2 for section in sections]
    if sums is None or len(sections) < 2 or all(one is None for one in told):
        return ""
    own = [section.exposure_e_A2 or 0.0 for section in sections]
    near = 0.2 * median(own)  # a shutter's error adds up over a series, but not to that
    over = [prior - total for prior, total in zip(told, sums, strict=True) if prior is not None]
    by_own = [prior - total - one for prior, total, one in zip(told, sums, own, strict=True) if prior is not None]
    if max(map(abs, over)) <= near:
        return ""
    if len(over) == len(sections) and max(map(abs, by_own)) <= near:
        return "prior-exposure-off-by-one"
    return "prior-exposure-too-small" if min(over) < -near else "prior-exposure-not-the-sum"


def _tilt_traps(facts: Facts) -> Iterator[Met]:
    sections = facts.sections
    tilts = [section.tilt_deg for section in sections]
    if len(tilts) < ARETOMO_TILTS:
        yield "too-few-tilts", [], f"There are {len(tilts)}."
    if [section.z_value for section in sections] != list(range(len(sections))):
        gap = next((i for i, section in enumerate(sections) if section.z_value != i), 0)
        yield "zvalue-gap", facts.lines_of([sections[gap].z_value], "ZValue"), f"There is no ZValue = {gap}."
    if len(tilts) < 2:
        return
    if max(tilts) - min(tilts) <= _SAME_DEG:
        yield (
            "all-tilts-equal",
            facts.lines_of([s.z_value for s in sections], "TiltAngle"),
            f"All are at {tilts[0]:g}°.",
        )
        return
    ranked = sorted(sections, key=lambda section: section.tilt_deg)
    same = [(a, b) for a, b in pairwise(ranked) if b.tilt_deg - a.tilt_deg <= _SAME_DEG]
    if same:
        lines = sorted({line for pair in same for line in facts.lines_of([s.z_value for s in pair], "TiltAngle")})
        pairs = ", ".join(f"{a.z_value} and {b.z_value} ({a.tilt_deg:.2f}°)" for a, b in same[:4])
        yield "repeated-tilt", lines, f"Sections {pairs} have the same tilt."
    steps = [(b.tilt_deg - a.tilt_deg, a, b) for a, b in pairwise(ranked) if b.tilt_deg - a.tilt_deg > _SAME_DEG]
    for i, (step, a, b) in enumerate(steps):
        beside = [one for one, *_ in steps[max(0, i - 2) : i] + steps[i + 1 : i + 3]]
        if len(steps) > 3 and step > _LONGER * median(beside):
            usual = f"beside it steps are {median(beside):.1f}°"
            message = f"From {a.tilt_deg:.1f}° to {b.tilt_deg:.1f}° there is nothing; {usual}."
            yield "tilt-gap", sorted(facts.lines_of([a.z_value, b.z_value], "TiltAngle")), message


def _axis_traps(facts: Facts) -> Iterator[Met]:
    axis = Axis.of(facts)
    lines = [axis.line] if axis.line else []
    turned = axis.from_rotation_deg
    if axis.title_deg is not None:
        if turned is not None and abs((axis.title_deg - turned + 180) % 360 - 180) > _AXIS_DEG:
            yield "tilt-axis", lines, f"The title has {axis.title_deg:g}°, RotationAngle means {turned:.1f}°."
    elif axis.tomography5_deg is not None:
        yield "tomography5-axis", lines, f"TiltAxisAngle = {axis.tomography5_deg:g}."
    elif turned is not None:
        yield "no-axis-title", [], f"RotationAngle means {turned:.1f}°."
    else:
        yield "no-tilt-axis", [], "There is neither a title with the tilt axis nor a RotationAngle."


def _time_traps(facts: Facts) -> Iterator[Met]:
    raw = facts.raw_sections
    timed = [(section, section["DateTime"]) for section in raw if section.get("DateTime")]
    if lines := [section.line for section in raw if not section.get("DateTime")]:
        yield "no-date-time", lines, f"{len(lines)} of {len(raw)} sections have no DateTime."
    if bad := [(section.lines["DateTime"], text) for section, text in timed if not _STRICT_TIME.match(text)]:
        yield "unreadable-time", [line for line, _ in bad], f"{bad[0][1][:30]!r} is not of the form that programs read."
    short = [section.lines["DateTime"] for section, text in timed if has_short_year(text)]
    if 0 < len(short) < len(timed):
        yield "mixed-years", short, f"{len(short)} of {len(timed)} years have two digits."
    elif short:
        yield "two-digit-year", short, "Years have two digits."
    times = Counter(time for _, text in timed if (time := parse_time(text)) is not None)
    if len(timed) > 1 and max(times.values(), default=0) > 1:
        lines = [section.lines["DateTime"] for section, text in timed if times[parse_time(text)] > 1]  # type: ignore[index]
        yield "equal-times", lines, f"{len(lines)} sections have the time of another."
    series = facts.examined.series if facts.examined else None
    if series is None or len(series.sections) < 2:
        return
    disagree = [f for f in series.findings if f.name == "order-lost"]
    tilts = [section.tilt_deg for section in series.sections]
    by_tilt = " The sections are sorted by tilt." if tilts in (sorted(tilts), sorted(tilts, reverse=True)) else ""
    if not series.order_known:
        yield "order-lost", [], f"DateTime and PriorRecordDose are missing, or the same for several sections.{by_tilt}"
    elif disagree:
        backward = _backward(series.sections)
        yield (
            "order-disagrees",
            facts.lines_of(backward, "DateTime"),
            f"{disagree[0].message[:1].upper()}{disagree[0].message[1:]}",
        )


def _backward(sections: Sequence[MdocSection]) -> list[int]:
    """Return the sections, by ZValue, that had received less than one before them."""
    backward = []
    most = 0.0
    for section in sorted(sections, key=lambda section: section.order):
        prior = section.pre_exposure_e_A2 or 0.0
        if prior < most:
            backward.append(section.z_value)
        most = max(most, prior)
    return backward


def _exposure_traps(facts: Facts) -> Iterator[Met]:
    sections = facts.sections
    series = facts.examined.series if facts.examined else None
    if series is None:
        return
    if lines := [section.line for section in facts.raw_sections if not section.get("ExposureTime")]:
        yield "no-exposure-time", lines, f"{len(lines)} of {len(facts.raw_sections)} sections have no ExposureTime."
    trap = prior_trap(sections, series.order_known)
    sums = prior_sums(sections, series.order_known)
    if trap and sums is not None:
        apart = [
            (abs(section.pre_exposure_e_A2 - total), section, total)
            for section, total in zip(sections, sums, strict=True)
            if section.pre_exposure_e_A2 is not None
        ]
        _, worst, total = max(apart, key=lambda one: one[0])
        message = (
            f"Section {worst.z_value} has {worst.pre_exposure_e_A2:g} e/Å², the exposures before it are {total:g}."
        )
        yield trap, facts.lines_of([worst.z_value], "PriorRecordDose"), message
    yield from _variation(facts)


def _variation(facts: Facts) -> Iterator[Met]:
    told = [(section, section.exposure_e_A2) for section in facts.sections if section.exposure_e_A2]
    if len(told) < 3:
        return
    exposures = np.array([exposure for _, exposure in told], dtype=float)
    stretch = np.log(1 / np.cos(np.radians(np.clip([abs(section.tilt_deg) for section, _ in told], 0, 80))))
    # SerialEM varies exposures as a power of 1/cos; the middle of what pairs of views say is not led by one bad view.
    spread = stretch > 0.1
    base = np.median(np.log(exposures)[~spread]) if (~spread).any() else np.median(np.log(exposures))
    power = (
        float(np.clip(np.median((np.log(exposures) - base)[spread] / stretch[spread]), 0, 1.1)) if spread.any() else 0
    )
    rest = np.log(exposures) - power * stretch
    odd = np.abs(rest - np.median(rest)) > np.log(_VARIES)
    if odd.any():
        which = [section.z_value for (section, _), is_odd in zip(told, odd, strict=True) if is_odd]
        usual = float(np.exp(np.median(rest)))
        message = (
            f"Sections {', '.join(map(str, which[:6]))} have not the exposure of the others, {usual:.3g} e/Å² at 0°."
        )
        yield "exposure-varies", facts.lines_of(which, "ExposureDose"), message


def _name_traps(facts: Facts) -> Iterator[Met]:
    named = [(section.z_value, section.movie) for section in facts.sections if section.movie]
    if not named:
        yield "no-movies-named", [], "There is no SubFramePath."
        return

    def met(trap: str, which: Callable[[str], bool], message: str) -> Iterator[Met]:
        if found := [z for z, movie in named if which(movie)]:
            yield trap, facts.lines_of(found, "SubFramePath"), message

    yield from met("space-in-movie-name", lambda movie: " " in movie, "There is a space in the name of the movie.")
    short = {movie: short_name(movie) for _, movie in named}
    times = Counter(short.values())  # by different movies: the same movie twice is another trap
    example = next((f"{name!r}" for name, n in times.items() if n > 1), "")
    yield from met("movie-names-clash", lambda movie: times[short[movie]] > 1, f"To RELION all of these are {example}.")
    own = short_name(facts.path.name)
    if not any(own in name for name in times):
        yield "series-not-in-movie-names", [], f"No movie has {own!r} in its name; the first is {named[0][1]}."
    uncounted = [section.z_value for section in facts.sections if section.movie and section.n_frames is None]
    if uncounted:
        yield (
            "no-frame-count",
            facts.lines_of(uncounted, "NumSubFrames"),
            f"{len(uncounted)} sections lack NumSubFrames.",
        )


def same_movies(reports: Sequence[tuple[Path, Sequence[str]]]) -> dict[Path, str]:
    """Return, for each .mdoc of which another in the same folder names a movie, what to say of it."""
    first: dict[tuple[Path, str], Path] = {}
    said: dict[Path, str] = {}
    for path, movies in reports:
        for movie in dict.fromkeys(movies):
            other = first.setdefault((path.parent, movie), path)
            if other != path and path not in said:
                said[path] = f"{movie} is named in {other.name} too."
    return said
