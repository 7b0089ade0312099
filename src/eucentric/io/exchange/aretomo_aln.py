"""AreTomo's .aln file: the views that were aligned, and those left out as dark.

Of the header, RawSize is the stack with all views. SEC counts its sections from 1; programs before AreTomo3 counted
from 0, and some write the place in the stack without dark views. A DarkFrame row has the place among views sorted by
tilt, from 0, and then what SEC would be. Which of these a file has is told by the numbers themselves: the views and
the dark ones must be all sections, each once.
"""

import re
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from eucentric.core import FormatError
from eucentric.io._text import read_text

_MAX_VIEWS = 5_000
_MAX_SIDE = 1 << 20
_TITLE = "# AreTomo Alignment / Priims bprmMn"
_HEADING = "# SEC     ROT         GMAG       TX          TY      SMEAN     SFIT    SCALE     BASE     TILT"
_NEUTRAL = {"GMAG": 1.0, "SMEAN": 1.0, "SFIT": 1.0, "SCALE": 1.0, "BASE": 0.0}  # what AreTomo3 writes, always


@dataclass(frozen=True)
class AlnView:
    """A row: the view of section `section` (from 0), its shift in pixels of the stack."""

    section: int
    axis_deg: float
    shift_xy_px: tuple[float, float]
    tilt_deg: float


@dataclass(frozen=True)
class AlnFile:
    """A file: `dark` has the tilt of each section that was left out, `unread` what else stands there."""

    size_xyn: tuple[int, int, int]
    views: tuple[AlnView, ...]
    dark: dict[int, float]
    alpha_offset_deg: float = 0.0
    thickness_px: int = 0
    unread: tuple[str, ...] = ()


def read_aln(path: Path) -> AlnFile:
    """Read a .aln file of AreTomo 1, 2 or 3.

    Raises
    ------
    InputError
        If the file cannot be opened.
    FormatError
        If it is not such a file, or does not tell of all views.
    """
    header: dict[str, list[float]] = {}
    dark: list[list[float]] = []
    rows: list[list[float]] = []
    n_local = 0
    local = False
    for number, line in enumerate(read_text(path, "an AreTomo alignment").split("\n"), start=1):
        if line.startswith("#"):
            local = local or "local alignment" in line.lower()
            if found := re.match(r"#\s*(\w+)\s*=(.*)", line):
                values = _numbers(path, number, found[2])
                if found[1] == "DarkFrame":
                    dark.append(values)
                else:
                    header[found[1]] = values
        elif line.strip() and local:
            n_local += 1
        elif line.strip():
            rows.append(_numbers(path, number, line, count=10))
        if len(rows) > _MAX_VIEWS or len(dark) > _MAX_VIEWS:
            raise FormatError(f"{path}: more than {_MAX_VIEWS} views.", "Name another file.")
    size = _size(path, header)
    if not rows:
        raise FormatError(f"{path}: no view is in this file.", "Name the .aln file that AreTomo wrote last.")
    if any(len(values) != 3 for values in dark):
        raise FormatError(f"{path}: a DarkFrame row is not two numbers and a tilt.", "Align the series again.")
    sections, dark_sections = _sections(path, size[2], [row[0] for row in rows], dark)
    return AlnFile(
        size_xyn=size,
        views=tuple(
            AlnView(section, row[1], (row[3], row[4]), row[9]) for section, row in zip(sections, rows, strict=True)
        ),
        dark={section: values[2] for section, values in zip(dark_sections, dark, strict=True)},
        alpha_offset_deg=_one(header, "AlphaOffset"),
        thickness_px=int(_one(header, "Thickness")),
        unread=(*_unread(path, header, rows, n_local), *_dark_unread(path, dark, dark_sections)),
    )


def format_aln(aln: AlnFile) -> str:
    """Return the text of a file, as AreTomo3 writes it; tilts have four decimals where it has two."""
    x, y, n = aln.size_xyn
    lines = [_TITLE, f"# RawSize = {x} {y} {n}", "# NumPatches = 0"]
    lines += [f"# DarkFrame =  {section:4d} {section + 1:4d} {tilt:8.2f}" for section, tilt in aln.dark.items()]
    lines += [f"# AlphaOffset = {aln.alpha_offset_deg:8.2f}", f"# BetaOffset = {0:8.2f}"]
    lines += [f"# Thickness = {aln.thickness_px}", _HEADING]
    for view in aln.views:
        tx, ty = view.shift_xy_px
        lines.append(
            f"{view.section + 1:5d}  {view.axis_deg:9.4f}  {1:9.5f}  {tx:9.3f}  {ty:9.3f}"
            f"  {1:7.2f}  {1:7.2f}  {1:7.2f}  {0:7.2f}  {view.tilt_deg:10.4f}"
        )
    return "\n".join(lines) + "\n"


def _numbers(path: Path, line: int, text: str, count: int | None = None) -> list[float]:
    try:
        values = [float(word) for word in text.split()]
    except ValueError:
        values = []
    if not values or len(values) != (count or len(values)) or not all(abs(value) < 1e7 for value in values):
        what = f"{count} numbers were" if count else "numbers were"
        raise FormatError(f"{path}, line {line}: {what} expected.", "Name the .aln file that AreTomo wrote last.")
    return values


def _one(header: dict[str, list[float]], tag: str) -> float:
    return header[tag][0] if tag in header else 0.0


def _size(path: Path, header: dict[str, list[float]]) -> tuple[int, int, int]:
    size = header.get("RawSize", [])
    if len(size) != 3 or not all(1 <= value <= _MAX_SIDE for value in size) or size[2] > _MAX_VIEWS:
        raise FormatError(f"{path}: no RawSize of a tilt series is in it.", "Name a .aln file of AreTomo.")
    return int(size[0]), int(size[1]), int(size[2])


def _sections(
    path: Path, n: int, secs: Sequence[float], dark: Sequence[Sequence[float]]
) -> tuple[list[int], list[int]]:
    """Return the sections, from 0, of the views and of the dark ones."""
    if len(secs) + len(dark) != n:
        raise FormatError(
            f"{path}: tells of {len(secs)} views and {len(dark)} dark ones, but the stack has {n}.",
            "This file is not whole, or was mended by hand; align the series again.",
        )
    numbers, places, dark_secs = [int(sec) for sec in secs], [int(d[0]) for d in dark], [int(d[1]) for d in dark]
    from_one = [number - 1 for number in numbers]
    others = sorted(set(range(n)) - set(places))
    first = min(numbers)
    remaining = [others[k - first] if 0 <= k - first < len(others) else -1 for k in numbers]
    for views, left_out in (
        (from_one, [number - 1 for number in dark_secs]),
        (from_one, places),
        (numbers, places),
        (remaining, places),
        (numbers, dark_secs),  # last: some write 0 for all dark ones
    ):
        if sorted([*views, *left_out]) == list(range(n)):
            return views, left_out
    raise FormatError(
        f"{path}: the sections of its views and dark frames are not all {n}, each once.",
        "This file is not whole, or was mended by hand; align the series again.",
    )


def _unread(
    path: Path, header: dict[str, list[float]], rows: Sequence[Sequence[float]], n_local: int
) -> tuple[str, ...]:
    unread = []
    if n_local or _one(header, "NumPatches"):
        unread.append(f"{path}: NumPatches, {n_local} rows of local alignment, were not read.")
    if beta := _one(header, "BetaOffset"):
        unread.append(f"{path}: BetaOffset {beta:g}° was not read; AreTomo uses it for the defocus alone.")
    for column, (name, value) in zip((2, 5, 6, 7, 8), _NEUTRAL.items(), strict=True):
        off = max(abs(row[column] - value) for row in rows)
        if off > 1e-6:
            unread.append(f"{path}: the column {name} is up to {off:g} off {value:g}; it was not read, as by AreTomo3.")
    scalars = ("NumPatches", "AlphaOffset", "BetaOffset", "Thickness")
    if longer := [name for name in scalars if len(header.get(name, ())) > 1]:
        unread.append(f"{path}: of {', '.join(longer)} in its header, only the first number was read.")
    if other := sorted(header.keys() - {"RawSize", *scalars}):
        unread.append(f"{path}: of its header, {', '.join(other)[:200]} was not read.")
    return tuple(unread)


def _dark_unread(path: Path, dark: Sequence[Sequence[float]], sections: Sequence[int]) -> tuple[str, ...]:
    """Tell of numbers of DarkFrame rows that do not tell the sections which the rows were taken for."""
    unread = []
    for i, (which, meant) in enumerate((("first", (0,)), ("second", (0, 1)))):
        # Where one number tells the section, some programs write 0 for the other.
        off = [row[i] for row, n in zip(dark, sections, strict=True) if row[i] - n not in meant and (i == 0 or row[i])]
        if off:
            unread.append(
                f"{path}: in DarkFrame rows, {', '.join(f'{one:g}' for one in off[:8])} as the {which} number was not"
                f" read; they are of the sections {', '.join(map(str, sections[:8]))}, from 0."
            )
    return tuple(unread)
