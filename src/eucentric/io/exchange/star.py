"""STAR files, as RELION and Warp write them: blocks of values and of tables, every value a text."""

import re
import statistics
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import cast

from eucentric.core import FormatError, InputError, write_text
from eucentric.io._text import read_text
from eucentric.io.exchange.remembering import Remembering, not_read

MISSING = "None"
"""What both programs write for a text that is not there."""

_MAX_VALUES = 2_000_000  # a value costs some 200 bytes while it is read: 400 MB; 100,000 particles of 20 columns


@dataclass(frozen=True)
class StarBlock:
    """A block: its columns, by label without the underscore, all of one length; `looped` if it was a table.

    Those of a file remember which of them were taken.
    """

    columns: dict[str, tuple[str, ...]]
    looped: bool = True

    def __len__(self) -> int:
        return len(next(iter(self.columns.values()), ()))


def read_star(path: Path) -> dict[str, StarBlock]:
    """Read the blocks of a STAR file, by name without ``data_``; a block without a name has "".

    Where a block holds more than one table, or a table and values, what comes after the first has " 2" after its name,
    and so on.

    Raises
    ------
    InputError
        If the file cannot be opened.
    FormatError
        If it is not a STAR file, or too large for memory.
    """
    import gemmi

    path = Path(path)
    text = read_text(path, "a STAR file")
    if len(text) > 2 * _MAX_VALUES and sum(1 for _ in re.finditer(r"\S+", text)) > _MAX_VALUES:
        raise FormatError(f"{path}: more than {_MAX_VALUES} values.", "Split it into several files.")
    # Letters that the format forbids, but names of files have: something else stands for them while it is parsed.
    foreign = {f"~{ord(letter):06x}~": letter for letter in set(text) if not letter.isascii()}
    if foreign:
        text = re.sub(r"[^\x00-\x7f]", lambda found: f"~{ord(found[0]):06x}~", text)
    try:
        document = gemmi.cif.read_string(text)
    except (ValueError, RuntimeError) as error:
        raise FormatError(f"{path}: not a STAR file ({str(error)[:200]}).", "Name another file.") from error
    blocks: dict[str, StarBlock] = {}
    for block in document:
        pairs: dict[str, tuple[str, ...]] = {}
        for item in block:
            if (frame := getattr(item, "frame", None)) is not None:
                raise FormatError(f"{path}: a frame (save_{frame.name}) stands in it.", "Take the frame out.")
            if item.pair is not None:
                label, value = cast("Sequence[str]", item.pair)
                pairs[label.removeprefix("_")] = (_plain(value, foreign),)
            elif item.loop is not None:
                values, width = item.loop.values, item.loop.width()  # each call of `values` makes all of them anew
                columns = {
                    tag.removeprefix("_"): tuple(_plain(value, foreign) for value in values[i::width])
                    for i, tag in enumerate(item.loop.tags)
                }
                blocks[_free(blocks, block.name)] = StarBlock(Remembering(columns))
        if pairs:
            blocks[_free(blocks, block.name)] = StarBlock(Remembering(pairs), looped=False)
    if not blocks:
        raise FormatError(f"{path}: there is no table in it.", "Name another STAR file.")
    return blocks


def numbers(path: Path, block: StarBlock, label: str, default: float | None = None) -> list[float]:
    """Return a column as finite numbers, or as many times `default` where it is absent.

    Raises
    ------
    FormatError
        If the column is absent and there is no default, or a value is no number.
    """
    if label not in block.columns:
        if default is None:
            raise FormatError(f"{path}: the column {label} is missing.", "Name the file that the program wrote last.")
        return [default] * len(block)
    values = []
    for row, text in enumerate(block.columns[label], start=1):
        try:
            value = float(text)
        except ValueError:
            value = float("nan")
        if not abs(value) < 1e12:
            raise FormatError(f"{path}: row {row} has {text[:40]!r} for {label}, which is no number.", "Mend that row.")
        values.append(value)
    return values


def texts(path: Path, block: StarBlock, label: str, default: str | None = None) -> list[str]:
    """Return a column of texts, or as many times `default` where it is absent.

    Raises
    ------
    FormatError
        If the column is absent and there is no default.
    """
    if label not in block.columns:
        if default is None:
            raise FormatError(f"{path}: the column {label} is missing.", "Name the file that the program wrote last.")
        return [default] * len(block)
    return list(block.columns[label])


def median(path: Path, block: StarBlock, label: str, dropped: list[str]) -> float | None:
    """Return the median of a column, None where it is absent; where rows differ by more than decimals, that is told.

    Raises
    ------
    FormatError
        If a value is no number.
    """
    if label not in block.columns or not len(block):
        return None
    values = numbers(path, block, label)
    middle = statistics.median(values)
    if (most := max(abs(value - middle) for value in values)) > 1e-3:
        dropped.append(f"{path}: {label} differs between rows, by up to {most:g} from its median, which was read.")
    return middle


def unread(path: Path, blocks: Mapping[str, StarBlock], passed_over: Collection[str] = ()) -> list[str]:
    """Return a sentence on the columns of a file that nobody took, but for some; none where there is none.

    A block of which nothing was taken is told by its name, too.
    """
    told = list[str]()
    for name, block in blocks.items():
        left = block.columns.unread() if isinstance(block.columns, Remembering) else {}
        if len(left) == len(block.columns):
            told.append(f"data_{name[:200]} ({', '.join(left)})")
        else:
            told += [label for label in left if label not in passed_over]
    return not_read(path, told)


def write_star(
    path: Path, blocks: Mapping[str, Mapping[str, Sequence[object]] | StarBlock], loops: bool = True
) -> None:
    """Write blocks of columns, by label without the underscore; one-row blocks as pairs unless `loops`.

    A `StarBlock` says for itself whether it is a table.

    Raises
    ------
    InputError
        If a value holds white space, which RELION's own reader takes for two values, or quotes or a #, which its
        Python programs change.
    OutputError
        If the file cannot be written.
    """
    lines = []
    for name, block in blocks.items():
        columns, table = (block.columns, block.looped) if isinstance(block, StarBlock) else (block, loops)
        shown = {label: [_shown(path, label, value) for value in values] for label, values in columns.items()}
        lines += ["", f"data_{name}", ""]
        if not table and all(len(values) == 1 for values in shown.values()):
            lines += [f"_{label}  {values[0]}" for label, values in shown.items()]
        else:
            lines += ["loop_", *(f"_{label} #{number}" for number, label in enumerate(shown, start=1))]
            lines += ["  ".join(row) for row in zip(*shown.values(), strict=True)]
        lines.append("")
    write_text(Path(path), "\n".join(lines) + "\n")


def _free(blocks: Mapping[str, StarBlock], name: str) -> str:
    name, number = name.strip(), 2
    free = name
    while free in blocks:
        free, number = f"{name} {number}".strip(), number + 1
    return free


def _plain(value: str, foreign: Mapping[str, str]) -> str:
    import gemmi

    if value[:1] in "'\";":
        value = str(gemmi.cif.as_string(value))
    return re.sub(r"~[0-9a-f]{6}~", lambda found: foreign.get(found[0], found[0]), value) if foreign else value


def _shown(path: Path, label: str, value: object) -> str:
    if isinstance(value, float):
        return f"{value:.6f}"
    text = MISSING if value is None or value == "" else str(value)
    if any(letter.isspace() or letter in "'\"#" for letter in text) or text[0] in "_;$" or not text.isprintable():
        raise InputError(
            f"{path}: {text[:80]!r} cannot stand in a STAR file ({label}).", "Rename it without spaces, quotes and #."
        )
    return text
