"""What the models of the consumers' readers share: how images stand in them, and what they can be wrong in."""

import math
import re
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Literal

from eucentric.io.mdoc_text import RawSection
from eucentric.workflow.doctor.facts import Facts, z_of


@dataclass(frozen=True)
class Tilt:
    """An image as a consumer sees it."""

    z: int
    tilt_deg: float
    time: datetime | None
    exposure: float | None
    movie: str


class RefusedError(Exception):
    """A consumer does not import this, and why."""


@dataclass(frozen=True)
class Read:
    """What a consumer reads: images in the order of acquisition that it takes, and what is wrong with them."""

    tilts: Sequence[Tilt]
    order_by: str
    wrong: list[str]
    first_e_A2: float | None = None
    last_e_A2: float | None = None
    axis_deg: float | None = None
    axis_from: str = ""
    hand: str = ""
    sign: Literal[1, -1] = 1
    remarks: tuple[str, ...] = ()


def sections_of(facts: Facts) -> Sequence[RawSection]:
    """Return the sections of an .mdoc of a series; any other is refused."""
    if facts.examined is None:
        raise RefusedError("there is no .mdoc.")
    for finding in facts.examined.refusals:
        if finding.name in ("frame-set", "montage", "empty"):
            raise RefusedError(f"{finding.message}.")
    return facts.examined.raw.sections


def odd_tilts(tilts: Sequence[Tilt]) -> list[str]:
    """Say if a tilt is NaN or taken twice."""
    wrong = []
    if not all(math.isfinite(tilt.tilt_deg) for tilt in tilts):
        wrong.append("a tilt is NaN.")
    z = [tilt.z for tilt in tilts]
    if len(set(z)) < len(z):
        wrong.append(f"sections that are taken twice: {len(z) - len(set(z))}.")
    return wrong


def equal_times(tilts: Sequence[Tilt]) -> list[str]:
    """Say if times do not tell the order."""
    times = [tilt.time for tilt in tilts if tilt.time is not None]
    return ["sections of one time are ordered by chance."] if len(set(times)) < len(times) else []


def order_against_ours(facts: Facts, tilts: Sequence[Tilt]) -> list[str]:
    """Hold its order against that of `read_mdoc`, as far as that is known."""
    series = facts.examined.series if facts.examined else None
    if series is None or not series.order_known:
        return []
    seen = {tilt.z for tilt in tilts}
    ours = [s.z_value for s in sorted(series.sections, key=lambda s: s.order) if s.z_value in seen]
    theirs = [tilt.z for tilt in tilts if tilt.z in set(ours)]
    return [] if ours == theirs or len(theirs) != len(ours) else ["the order of acquisition is wrong."]


def tilt_of(section: RawSection, tilt_deg: float, time: datetime | None, movie: str | None = None) -> Tilt:
    """Return a section as an image; the name of its movie is what stands after the last slash of either kind."""
    if movie is None:
        movie = re.split(r"[/\\]", section.get("SubFramePath", ""))[-1]
    z = z_of(section)
    return Tilt(-1 if z is None else z, tilt_deg, time, exposure_of(section, "ExposureDose"), movie)


def line_of(facts: Facts, number: int) -> str:
    """Return a line of the .mdoc, from 1."""
    return facts.examined.raw.lines[number - 1] if facts.examined else ""


def number_of(section: RawSection, key: str) -> float | None:
    """Return the number of an entry, if it is one."""
    return as_number(section[key]) if key in section else None


def exposure_of(section: RawSection, key: str) -> float | None:
    """Return the exposure of an entry, if it can be one."""
    exposure = number_of(section, key)
    return exposure if exposure is not None and 0 <= exposure <= 1e6 else None


def as_number(text: str) -> float | None:
    """Return text as a number, if it is one."""
    try:
        return float(text)
    except ValueError:
        return None
