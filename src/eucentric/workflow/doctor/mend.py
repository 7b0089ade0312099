"""Corrected copies of .mdoc files: what can be mended without guessing, and nothing else."""

import re
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path, PureWindowsPath

from eucentric.core import OutputError, make_folder, write_text
from eucentric.io.mdoc import MdocExamination
from eucentric.io.mdoc_findings import half_written_fate, parse_time
from eucentric.io.mdoc_text import RawSection
from eucentric.workflow.doctor.axis import Axis
from eucentric.workflow.doctor.facts import Facts, z_of
from eucentric.workflow.doctor.series_checks import prior_sums, prior_trap
from eucentric.workflow.doctor.text_checks import is_divided

_MONTHS = ("Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec")
_HEADING = re.compile(r"\[(\w+)\s*=\s*(.*?)\]?\s*$")


@dataclass
class _Section:
    """A section on its way into the copy: its heading, and its entries in their order."""

    heading: str
    entries: list[tuple[str, str]]
    raw: RawSection

    def put(self, key: str, value: str, before: str) -> None:
        """Replace an entry; or add it before another, else at the end."""
        for index, (name, _) in enumerate(self.entries):
            if name == key:
                self.entries[index] = (key, value)
                return
        at = next((index for index, (name, _) in enumerate(self.entries) if name == before), len(self.entries))
        self.entries.insert(at, (key, value))


@dataclass
class Mended:
    """The text of a corrected copy, and what was changed in it, one sentence each."""

    text: str = ""
    changes: list[str] = field(default_factory=list)


def copy_path(mdoc: Path, out: Path, taken: set[Path]) -> Path:
    """Return where the corrected copy of an .mdoc goes.

    Raises
    ------
    OutputError
        If that is the file itself, or the copy of another.
    """
    copy = out / mdoc.name
    if copy.resolve() == mdoc.resolve():
        raise OutputError(f"{copy}: this is the original, which is never changed; nothing was written.", "Name --fix.")
    if copy in taken:
        raise OutputError(
            f"{copy}: the copy of another file of this name is there; {mdoc} was not written.",
            "Mend each folder by itself.",
        )
    return copy


def write_copy(mended: Mended, copy: Path) -> None:
    """Write a corrected copy, whole or not at all.

    Raises
    ------
    OutputError
        If the place cannot be written to.
    """
    make_folder(copy.parent)
    write_text(copy, mended.text)


def mend(facts: Facts) -> Mended | None:
    """Return the corrected text of an .mdoc, or None where there is no series to be mended."""
    if facts.examined is None or facts.examined.series is None:
        return None
    return _Mending(facts, facts.examined).done()


class _Mending:
    """One .mdoc being mended, step by step; each step says what it changed."""

    def __init__(self, facts: Facts, examined: MdocExamination) -> None:
        self.facts = facts
        self.raw = examined.raw
        self.foreign = examined.foreign
        self.changes: list[str] = []
        self.header = list(examined.raw.lines[: examined.raw.sections[0].line - 1])
        self.sections = [self._taken(section) for section in examined.raw.sections]

    def done(self) -> Mended:
        """Take all steps."""
        if self.foreign:
            self.changes.append("Written in UTF-8.")
        steps: tuple[Callable[[], None], ...] = (
            self._half_written,
            self._duplicates,
            self._separators,
            self._times,
            self._paths,
            self._prior_exposures,
            self._axis,
        )
        for step in steps:
            step()
        lines = [*self.header]
        while lines and not lines[-1].strip():
            lines.pop()
        for section in self.sections:
            lines += ["", section.heading, *(f"{key} = {value}" for key, value in section.entries)]
        return Mended("\n".join(lines).lstrip("\n") + "\n", self.changes)

    def _taken(self, section: RawSection) -> _Section:
        """Take a section in the order of its lines; of a key that stands twice the last, as `read_mdoc` does."""
        heading, *rest = section.items()
        entries = sorted(((key, value) for key, value in rest if value), key=lambda one: section.lines[one[0]])
        return _Section(f"[{heading[0]} = {heading[1]}]", entries, section)

    def _half_written(self) -> None:
        raws = [section.raw for section in self.sections]
        if half_written_fate(raws):
            gone = self.sections.pop()
            self.changes.append(f"Line {gone.raw.line}: the half-written section {gone.raw['ZValue'][:20]} left out.")

    def _duplicates(self) -> None:
        later = {z_of(section.raw): section for section in self.sections}
        kept = []
        for section in self.sections:
            z = z_of(section.raw)
            if z is None or later[z] is section:  # what has no number cannot be mended
                kept.append(section)
                continue
            self.changes.append(f"Line {section.raw.line}: section {z} left out, as a later one has its ZValue.")
        self.sections = kept

    def _separators(self) -> None:
        kept = {section.raw.line for section in self.sections}
        wrong = [number for number, line in enumerate(self.raw.lines, start=1) if not is_divided(line)]
        for index, line in enumerate(self.header):
            key, equals, value = line.partition("=")
            if line.strip().startswith("["):
                self.header[index] = line.strip()
            elif equals:
                self.header[index] = f"{key.strip()} = {value.strip()}"
        if wrong:
            self.changes.append(f"{_lines(wrong)}: divided by ' = '.")
        above = [s.line for s in self.raw.sections[1:] if s.line in kept and self.raw.lines[s.line - 2].strip()]
        if above:
            self.changes.append(f"{_lines(above)}: a blank line put above the section.")
        starts = [section.line for section in self.raw.sections]
        ends = dict(zip(starts, [*starts[1:], len(self.raw.lines) + 1], strict=True))
        for section in self.sections:
            kept_lines = {line for key, line in section.raw.lines.items() if section.raw[key]}
            last = max(kept_lines, default=section.raw.line)
            rest = [n for n in range(section.raw.line + 1, ends[section.raw.line]) if n not in kept_lines]
            if gone := [n for n in rest if n < last or self.raw.lines[n - 1].strip()]:
                self.changes.append(f"{_lines(gone)}: blank, without a value, or said again later: taken out.")

    def _times(self) -> None:
        for section in self.sections:
            old = section.raw.get("DateTime", "")
            time = parse_time(old)
            if time is None:
                continue
            new = f"{time.day:02d}-{_MONTHS[time.month - 1]}-{time.year:04d}  {time:%H:%M:%S}"
            if re.sub(r"\s+", " ", old) != re.sub(r"\s+", " ", new):
                section.put("DateTime", new, "")
                self.changes.append(f"Line {section.raw.lines['DateTime']}: {old} is now {new}.")

    def _paths(self) -> None:
        for section in self.sections:
            old = section.raw.get("SubFramePath", "")
            name = PureWindowsPath(old).name
            if not name or (("/" in old or "\\" in old) and ".." not in PureWindowsPath(old).parts and len(old) < 200):
                continue
            new = f"./{name}"  # and not the name alone, to which AreTomo3 leaves a space
            section.put("SubFramePath", new, "")
            self.changes.append(f"Line {section.raw.lines['SubFramePath']}: {old[:80]} is now {new}.")

    def _prior_exposures(self) -> None:
        series = self.facts.examined.series if self.facts.examined else None
        if series is None:
            return
        kept = {z_of(section.raw): section for section in self.sections}
        told = [one for one in series.sections if one.z_value in kept]
        ranks = {one.z_value: rank for rank, one in enumerate(sorted(told, key=lambda one: one.order))}
        told = [one.replace(order=ranks[one.z_value]) for one in told]
        sums = prior_sums(told, series.order_known)
        if sums is None:
            return
        trap = prior_trap(told, series.order_known)
        is_wrong = trap in ("prior-exposure-off-by-one", "prior-exposure-too-small")
        lacking = [one.z_value for one in told if one.pre_exposure_e_A2 is None]
        if not is_wrong and (not lacking or (trap and len(lacking) < len(told))):
            return  # what counts View images in is not mixed with sums that do not
        for one, total in zip(told, sums, strict=True):
            if is_wrong or one.pre_exposure_e_A2 is None:
                kept[one.z_value].put("PriorRecordDose", f"{total:.6f}".rstrip("0").rstrip("."), "SubFramePath")
        n = len(told) if is_wrong else len(lacking)
        self.changes.append(f"PriorRecordDose of {n} sections is now the sum of the exposures before.")

    def _axis(self) -> None:
        axis = Axis.of(self.facts)
        if axis.title_deg is not None or axis.tomography5_deg is not None or axis.from_rotation_deg is None:
            return
        first = self.sections[0].raw if self.sections else RawSection(1)
        setting = f"binning = {first.get('Binning', '1')}  spot = {first.get('SpotSize', '1')}"
        camera = f"camera = {first.get('CameraIndex', '0')}"
        self.header += ["", f"[T =     Tilt axis angle = {axis.from_rotation_deg:.1f}, {setting}  {camera}]"]
        self.changes.append(f"A title tells the tilt axis, {axis.from_rotation_deg:.1f}°, from RotationAngle.")


def _lines(numbers: list[int]) -> str:
    shown = ", ".join(map(str, numbers[:6])) + (", ..." if len(numbers) > 6 else "")
    return f"Line{'s' if len(numbers) > 1 else ''} {shown}"
