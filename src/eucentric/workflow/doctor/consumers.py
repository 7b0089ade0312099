"""What RELION 5, Warp, AreTomo3 and IMOD will make of an .mdoc: a small model of the reader of each.

Each but IMOD's follows its program's source line by line where that decides something, quirks included; nothing here is
how Eucentric reads. `docs/doctor.md` names the versions that were read.
"""

import math
import re
from collections.abc import Callable, Iterator
from datetime import datetime, timedelta
from statistics import median

from eucentric.io.mdoc_findings import has_short_year, parse_time
from eucentric.workflow.doctor.axis import Axis
from eucentric.workflow.doctor.facts import Facts, short_name
from eucentric.workflow.doctor.reading import (
    Read,
    RefusedError,
    Tilt,
    as_number,
    equal_times,
    exposure_of,
    line_of,
    number_of,
    odd_tilts,
    order_against_ours,
    sections_of,
    tilt_of,
)
from eucentric.workflow.doctor.records import Consumer, ConsumerView

_LINE = 255  # characters that AreTomo3's fgets takes
_ARETOMO_TILTS = 7
_YEAR_2001 = datetime(2001, 1, 1)
_2000_YEARS = timedelta(days=730_485)
_ARETOMO_KEYS = ("TiltAngle", "ExposureDose", "SubFramePath", "ExposureTime", "DateTime")


def consumer_view(consumer: Consumer, facts: Facts) -> ConsumerView:
    """Return what a consumer will make of a series."""
    try:
        read = _READERS[consumer](facts)
    except RefusedError as why:
        return ConsumerView(consumer=consumer, imports="no", because=(str(why),))
    angles = [read.sign * tilt.tilt_deg for tilt in read.tilts if math.isfinite(tilt.tilt_deg)]
    named = [tilt.movie for tilt in read.tilts if tilt.movie]
    looked = bool(facts.looked_in) and consumer != "IMOD"
    frames = sum(movie in facts.found for movie in named) if looked else None
    if consumer == "IMOD" and facts.stack:
        frames = facts.stack.n
    return ConsumerView(
        consumer=consumer,
        imports="wrongly" if read.wrong else "yes",
        because=(*read.wrong, *read.remarks),
        n_tilts=len(read.tilts),
        tilt_min_deg=min(angles, default=None),
        tilt_max_deg=max(angles, default=None),
        tilt_sign=read.sign,
        order=tuple(max(0, tilt.z) for tilt in read.tilts),
        order_by=read.order_by,
        first_pre_exposure_e_A2=read.first_e_A2,
        last_pre_exposure_e_A2=read.last_e_A2,
        axis_deg=read.axis_deg,
        axis_from=read.axis_from,
        hand=read.hand,
        frames=frames,
    )


def _relion5(facts: Facts) -> Read:
    """RELION 5: tomography_python_programs/import_tilt_series/serialem.py, over mdocfile and pandas."""
    raw = sections_of(facts)
    if facts.examined and facts.examined.foreign:
        raise RefusedError("its reader opens the file as UTF-8 and stops at other bytes.")
    sections = [s for s in raw if re.match(r"\s*\[(ZValue|MontSection|FrameSet) =", line_of(facts, s.line))]
    if not sections:
        raise RefusedError("there is no section that it sees.")
    for line in facts.examined.raw.header if facts.examined else ():
        if line and not line.startswith("[T =") and line.count("=") != 1:
            raise RefusedError(f"mdocfile does not take this line of the header: {line[:40]!r}.")
    for key in ("TiltAngle", "DateTime", "SubFramePath", "NumSubFrames"):
        if not any(section.get(key) for section in sections):
            raise RefusedError(f"no section has {key}.")
    wrong, tilts = [], []
    for section in sections:
        tilt, text = number_of(section, "TiltAngle"), section.get("DateTime", "")
        if tilt is None:
            raise RefusedError(f"line {section.lines.get('TiltAngle', section.line)}: TiltAngle is no number.")
        if (time := parse_time(text)) is None and text:
            raise RefusedError(f"line {section.lines['DateTime']}: pandas does not take this time.")
        tilts.append(tilt_of(section, tilt, time))
    untimed = [tilt for tilt in tilts if tilt.time is None]
    ordered = [*sorted((t for t in tilts if t.time), key=lambda t: t.time or datetime.min), *untimed]
    if untimed:
        wrong.append(f"{len(untimed)} sections without DateTime come last.")
    wrong += [*odd_tilts(ordered), *equal_times(ordered), *order_against_ours(facts, ordered)]
    told = [tilt.exposure or 0.0 for tilt in ordered]
    first = last = 0.0
    remarks: tuple[str, ...] = ("tilt axis, pixel size and voltage are the user's.",)
    if any("ExposureDose" in section for section in sections) and any(told):
        # calculate_pre_exposure_dose sums up to and with the tilt itself, unless the dose per tilt is given
        first, last = told[0], sum(told)
        wrong.append("pre-exposure is off by one tilt (the first should have 0): give --dose-per-tilt-image.")
    elif len(ordered) > 1:
        wrong.append("pre-exposure is 0 for all: give --dose-per-tilt-image.")
    by_name = {short_name(name): name for name in facts.found}
    kept = [t for t in ordered if t.movie and (not by_name or short_name(t.movie) in by_name)]
    if len(kept) < len(ordered):
        wrong.append(f"{len(ordered) - len(kept)} tilts without a movie are left out.")
    if not kept:
        raise RefusedError("it finds no movie.")
    short = [short_name(tilt.movie) for tilt in kept]
    if len(set(short)) < len(short):
        wrong.append("several tilts get the same movie.")
    if not any(short_name(facts.path.name) in name for name in short):
        wrong.append("the series is dropped, as its name is in no movie's name; those after it get wrong names.")
    hand = "rlnTomoHand 1 unless --invert-defocus-handedness"
    return Read(kept, "DateTime", wrong, first, last, None, "the user", hand, 1, remarks)


def _warp(facts: Facts) -> Read:
    """Warp: WarpTools/Commands/Tiltseries/ImportTiltseries.cs."""
    sections_of(facts)
    lines = facts.examined.raw.lines if facts.examined else ()
    tilts: list[Tilt] = []
    seen: set[int] = set()
    axis_deg, axis_from, found_time, wrong = 0.0, "nothing: 0", False, []
    rest = iter(lines)
    for line in rest:
        for word, ends in (("Tilt axis angle = ", ","), ("TiltAxisAngle = ", " ")):
            if word in line:
                value, end, _ = line.partition(word)[2].partition(ends)
                angle = as_number(value)
                if not end or angle is None or not math.isfinite(angle):
                    raise RefusedError(f"it does not take the tilt axis in {line.strip()[:60]!r}.")
                axis_deg, axis_from = angle, "the title" if ends == "," else "TiltAxisAngle, by Tomography 5"
                break
        else:
            if line[1:7] != "ZValue":
                continue
            entry, z = _warp_section(line, rest)
            found_time = found_time or "DateTime" in entry
            if not found_time:
                raise RefusedError("the first section has no DateTime that it sees.")
            if z in seen:
                raise RefusedError(f"ZValue {z} stands twice for it.")
            if "SubFramePath" not in entry:
                raise RefusedError(f"section {z} names no movie that it sees.")
            seen.add(z)
            time = parse_time(entry["DateTime"]) if "DateTime" in entry else None
            name = re.split(r"[/\\]", entry["SubFramePath"])[-1]
            tilts.append(Tilt(z, round(as_number(entry.get("TiltAngle", "0")) or 0.0, 2), time, None, name.strip()))
            if "TiltAngle" not in entry:
                wrong.append(f"section {z} has no TiltAngle that it sees: 0 is taken.")
            if "DateTime" not in entry:
                wrong.append(f"section {z} has no DateTime that it sees: it comes first.")
    if not tilts:
        raise RefusedError("there is no section that it sees.")
    if facts.found and (missing := [tilt.movie for tilt in tilts if tilt.movie not in facts.found]):
        raise RefusedError(f"{len(missing)} movies are not there ({missing[0]}); it takes all or none.")
    if len(tilts) < len(facts.sections):
        wrong.append(f"it sees {len(tilts)} of {len(facts.sections)} sections.")
    ordered = sorted(tilts, key=lambda tilt: tilt.time or datetime.min)
    wrong += [*odd_tilts(ordered), *equal_times(ordered), *order_against_ours(facts, ordered)]
    ours = Axis.of(facts)
    if axis_from.startswith("nothing"):
        wrong.append("it takes a tilt axis of 0°: give --override_axis.")
    elif ours.title_deg is None:
        wrong.append("the tilt axis of Tomography 5 is often wrong: give --override_axis.")
    usual = [section.exposure_e_A2 for section in facts.sections if section.exposure_e_A2]
    last = (len(tilts) - 1) * median(usual) if usual else None
    remarks = (f"pre-exposure is order x --tilt_exposure{f' ({median(usual):.3g})' if usual else ''}.",)
    hand = "angles turned unless --dont_invert; defocus hand by ts_defocus_hand"
    return Read(ordered, "DateTime", wrong, 0.0, last, axis_deg, axis_from, hand, -1, remarks)


def _warp_section(heading: str, rest: Iterator[str]) -> tuple[dict[str, str], int]:
    """Take the lines of a section as Warp does: up to the first that has no value."""
    parts = [part for part in heading.split(" = ") if part]
    z = 0
    if parts[0] == "[ZValue":
        try:
            z = int(parts[1].replace("]", ""))
        except (ValueError, IndexError):
            raise RefusedError(f"it does not take {heading.strip()[:30]!r}.") from None
    entry: dict[str, str] = {}
    for line in rest:
        parts = [part for part in line.split(" = ") if part]
        if len(parts) < 2:
            break
        key, value = parts[:2]
        if key == "TiltAngle" and as_number(value) is None:
            raise RefusedError(f"it does not take the TiltAngle {value.strip()[:30]!r}.")
        if key == "DateTime" and not re.fullmatch(
            r"\d\d-[A-Za-z]{3}-(\d\d|\d{4}) \d\d:\d\d:\d\d", value.replace("  ", " ").strip(), re.ASCII
        ):
            raise RefusedError(f"it does not take the DateTime {value.strip()[:30]!r}.")
        if key in ("TiltAngle", "SubFramePath", "DateTime"):
            entry[key] = value
    return entry, z


def _aretomo3(facts: Facts) -> Read:
    """AreTomo3: DataUtil/CReadMdoc.cpp, CProcessThread.cpp."""
    raw = sections_of(facts)
    tilts, wrong = [], []
    for section in raw:
        if not all(key in section for key in _ARETOMO_KEYS):
            continue
        path = line_of(facts, section.lines["SubFramePath"])[:_LINE].rpartition("=")[2].rstrip()
        has_folder = "\\" in path or "/" in path
        # A space before the name is not taken off, and only goes where there is a folder before the name.
        name = re.split(r"\\" if "\\" in path else "/", path)[-1] if has_folder else path
        time = parse_time(section["DateTime"])
        if time is not None and has_short_year(section["DateTime"]):  # %Y takes 23 for the year 23
            time = max(time, _YEAR_2001) - _2000_YEARS
        tilts.append(tilt_of(section, number_of(section, "TiltAngle") or 0.0, time, name))
    if len(tilts) < _ARETOMO_TILTS:
        lacking = sorted({key for section in raw for key in _ARETOMO_KEYS if key not in section})
        why = f" ({', '.join(lacking)} missing in others)" if lacking else ""
        raise RefusedError(f"{len(tilts)} tilts have all it needs{why}; it takes no fewer than {_ARETOMO_TILTS}.")
    if len(tilts) < len(raw):
        wrong.append(f"{len(raw) - len(tilts)} sections that lack an entry are left out.")
    if any(tilt.movie.startswith(" ") for tilt in tilts):
        wrong.append("it looks for movies with a space before their name, as that has no folder: put ./ before it.")
    if facts.found and (missing := [t for t in tilts if t.movie.strip() not in facts.found]):
        wrong.append(f"{len(missing)} movies are missing.")
    ordered = sorted(tilts, key=lambda tilt: tilt.time or datetime.min)
    wrong += [*odd_tilts(ordered), *equal_times(ordered), *order_against_ours(facts, ordered)]
    if any(tilt.time is None for tilt in tilts):
        wrong.append("times that it cannot read come first.")
    remarks: tuple[str, ...] = (
        "the .mdoc's tilt axis is ignored: give -TiltAxis to start from; movies are looked for in its folder.",
        "what the specimen had received before a tilt is not used: its weighting across tilts is switched off.",
    )
    if not any(tilt.exposure for tilt in tilts):
        remarks = (*remarks, "no exposure is told: give -TotalDose.")
    axis_from = "the images, or -TiltAxis"
    hand = "angles as in the .mdoc; defocus hand by -CorrCTF"
    return Read(ordered, "DateTime", wrong, None, None, None, axis_from, hand, 1, remarks)


def _imod(facts: Facts) -> Read:
    """IMOD: works on the stack. Not read in its source: what is commonly known of extracttilts and mtffilter."""
    if facts.stack is None:
        image_file = facts.examined.raw.settings.get("ImageFile", "") if facts.examined else ""
        raise RefusedError(
            f"it works on the stack{f' ({image_file[:60]})' if image_file else ''}, which is not beside this."
        )
    if facts.stack.wrong:
        raise RefusedError(facts.stack.wrong)
    wrong: list[str] = []
    n = facts.stack.n
    by_list = facts.angles_deg if len(facts.angles_deg) == n else facts.stack.tilts_deg
    raw = facts.raw_sections
    if raw and len(raw) != n:
        wrong.append(f"the .mdoc has {len(raw)} sections, the stack {n} images.")
    if raw and len(raw) == n:
        tilts = [tilt_of(s, number_of(s, "TiltAngle") or 0.0, parse_time(s.get("DateTime", ""))) for s in raw]
        if by_list is not None and any(abs(a - t.tilt_deg) > 1 for a, t in zip(by_list, tilts, strict=True)):
            wrong.append("the list of angles and the .mdoc differ.")
    elif by_list is not None:
        tilts = [Tilt(z, angle, None, None, "") for z, angle in enumerate(by_list)]
    else:
        raise RefusedError("nothing gives the angles of the stack.")
    ours = Axis.of(facts)
    axis_from = "the title" if ours.title_deg is not None else "the user"
    priors = [exposure_of(section, "PriorRecordDose") for section in raw]
    series = facts.examined.series if facts.examined else None
    first = last = None
    order_by = "unknown"
    if raw and len(raw) == n and all(tilt.exposure for tilt in tilts):
        # mtffilter: PriorRecordDose where it stands, else sums of ExposureDose by DateTime
        order_by = "PriorRecordDose" if None not in priors else "DateTime"
        if None not in priors:
            known = [prior for prior in priors if prior is not None]
            first, last = min(known), max(known)
            tilts = [tilt for _, _, tilt in sorted(zip(known, range(n), tilts, strict=True), key=lambda one: one[:2])]
        elif all(tilt.time for tilt in tilts):
            tilts = sorted(tilts, key=lambda tilt: tilt.time or datetime.min)
            first, last = 0.0, sum(tilt.exposure or 0.0 for tilt in tilts[:-1])
        wrong += order_against_ours(facts, tilts) if series else []
    wrong += odd_tilts(tilts)
    hand = "angles as in the .mdoc; defocus hand by ctfphaseflip's -invert"
    return Read(tilts, order_by, wrong, first, last, ours.title_deg, axis_from, hand)


_READERS: dict[Consumer, Callable[[Facts], Read]] = {
    "RELION-5": _relion5,
    "Warp": _warp,
    "AreTomo3": _aretomo3,
    "IMOD": _imod,
}
