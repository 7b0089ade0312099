"""The STAR files of a RELION project: which of them are read, the row of each series, and the table of its tilts."""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from eucentric.core import EucentricError, FormatError, InputError
from eucentric.io.exchange.relion_files import find
from eucentric.io.exchange.relion_labels import SAYS_NOTHING
from eucentric.io.exchange.remembering import Remembering, not_read
from eucentric.io.exchange.star import MISSING, StarBlock, read_star, unread

Blocks = Mapping[str, StarBlock]

_MAX_SERIES = 10_000
_GLOBAL_FILES = (  # of Import, MotionCorr, CtfFind, ExcludeTiltImages, AlignTiltSeries, Tomograms: the later, the later
    "tilt_series.star",
    "corrected_tilt_series.star",
    "tilt_series_ctf.star",
    "selected_tilt_series.star",
    "aligned_tilt_series.star",
    "tomograms.star",
)
_NAMED = ("rlnTomoTomogramsFile", "rlnTomoParticlesFile")


@dataclass(frozen=True)
class Tilts:
    """The table of a series' tilts, of `path`, the last `excluded` being views left out; and the `files` opened."""

    path: Path
    block: StarBlock
    excluded: int
    files: Mapping[Path, Blocks]

    def unread(self) -> list[str]:
        """Return what was not read of the files."""
        return [told for path, blocks in self.files.items() for told in unread(path, blocks, SAYS_NOTHING)]


def sources(path: Path, folder: Path, folders: Sequence[Path], dropped: list[str]) -> tuple[list[Path], list[Path]]:
    """Return the global tables to read, earlier stages first, and the files of particles.

    Raises
    ------
    InputError
        If there is no table, or one that is named is not there.
    FormatError
        If the file is no STAR file.
    """
    beside = sorted(folder.glob("particles*.star"))
    if path.is_dir():
        if not (found := tables(folder)):
            raise InputError(
                f"{path}: there is no {', '.join(_GLOBAL_FILES)} in this folder.",
                "Name the folder of a RELION job, or its .star file.",
            )
        for one in sorted(folder.glob("optimisation_set*.star")):
            _compare(one, folders, {*found, *beside}, dropped)
        return found, beside
    blocks = read_star(path)
    named = _named(blocks)
    if "rlnTomoTomogramsFile" not in named:
        return [path], beside
    tomograms = find(named["rlnTomoTomogramsFile"], folders)
    if tomograms is None:
        raise InputError(
            f"{path}: the file {named['rlnTomoTomogramsFile'][:200]} does not lie beside it.", "Name that file itself."
        )
    particles = find(named.get("rlnTomoParticlesFile", MISSING), folders)
    if particles is None and "rlnTomoParticlesFile" in named:
        dropped.append(f"{path}: rlnTomoParticlesFile: {named['rlnTomoParticlesFile'][:200]} does not lie beside it.")
    dropped += unread(path, blocks)
    return [tomograms], [particles] if particles else []


def tables(folder: Path) -> list[Path]:
    """Return the global tables in a folder, earlier stages first."""
    return [folder / name for name in _GLOBAL_FILES if (folder / name).is_file()]


class Rows:
    """Rows of series, by name: what a later table says goes before what an earlier one does."""

    def __init__(self) -> None:
        """Begin without any."""
        self._asked: set[str] = set()
        self._rows: dict[str, Remembering[str]] = {}
        self._files: dict[Path, Blocks] = {}
        self._last: dict[str, Path] = {}

    def add(self, path: Path, dropped: list[str]) -> None:
        """Add the rows of a global table, and tell where it has more than one of a name, or overrides another.

        Raises
        ------
        InputError
            If the file cannot be opened.
        FormatError
            If it is no such table.
        """
        blocks = read_star(path)
        before: dict[Path, set[str]] = {}
        for name, row in _global(path, blocks, dropped).items():
            earlier = dict(self._rows.get(name, {}))
            if differ := {label for label, value in row.items() if not _same(earlier.get(label, value), value)}:
                before.setdefault(self._last[name], set()).update(differ)
            self._rows[name] = Remembering({**earlier, **row}, self._asked)
            self._last[name] = path
        for file, labels in before.items():
            told = not_read(file, sorted(labels))
            dropped += [f"{one[:-1]}: {path.name} says otherwise." for one in told]
        # Columns are asked for of rows. Tables of tilts may stand in the same file, and are asked themselves.
        columns = blocks["global"].columns
        self._files[path] = {**blocks, "global": StarBlock(Remembering(columns, self._asked))}

    def each(self) -> list[tuple[Path, Blocks, Remembering[str]]]:
        """Return the row of each series, with the last file that has it, and its blocks."""
        return [(self._last[name], self._files[self._last[name]], row) for name, row in self._rows.items()]

    def unread(self) -> list[str]:
        """Return what was not read of the tables."""
        return [told for path, blocks in self._files.items() for told in unread(path, blocks, SAYS_NOTHING)]


def tilts_of(source: Path, blocks: Blocks, row: Remembering[str], folders: Sequence[Path]) -> Tilts:
    """Return the table of a series' tilts: of a file of its own, or in that of its row.

    Raises
    ------
    InputError
        If the file does not lie here.
    FormatError
        If there is no such table.
    """
    name, named = row["rlnTomoName"], row.get("rlnTomoTiltSeriesStarFile")
    if named is None:
        if name in ("", "global") or name not in blocks:
            raise FormatError(f"{source}: there is no table data_{name[:200]} in it.")
        return Tilts(source, blocks[name], 0, {})
    path = find(named, folders)
    if path is None:
        raise InputError(f"{source}: the table {named[:200]} of {name[:200]} does not lie beside it.", "Copy it there.")
    first, block = _only(path, name)
    beside = path.with_name(f"{path.stem}_excluded.star")
    if not beside.is_file():
        return Tilts(path, block, 0, {path: first})
    second, more = _only(beside, name)
    if set(block.columns) - set(more.columns):
        raise FormatError(f"{beside}: columns are missing that {path.name} has.", "Remove it, or export again.")
    both = {
        label: (tuple(block.columns[label]) if label in block.columns else (MISSING,) * len(block)) + values
        for label, values in more.columns.items()
    }
    asked: set[str] = set()
    files = {
        file: {**blocks, table: StarBlock(Remembering(blocks[table].columns, asked))}
        for file, blocks, table in ((path, first, _name_of(first, name)), (beside, second, _name_of(second, name)))
    }
    return Tilts(path, StarBlock(Remembering(both, asked)), len(more), files)


def _named(blocks: Blocks) -> dict[str, str]:
    """Return the files that an optimisation set names, by label."""
    found = {}
    for block in blocks.values():
        found.update({label: block.columns[label][0] for label in _NAMED if label in block.columns and len(block)})
    return found


def _compare(path: Path, folders: Sequence[Path], read: Collection[Path], dropped: list[str]) -> None:
    """Tell where an optimisation set names other files than those that were read."""
    try:
        blocks = read_star(path)
    except EucentricError as error:
        dropped.append(f"{path}: not read ({error.what})")
        return
    for label, name in _named(blocks).items():
        if find(name, folders) not in read:
            dropped.append(f"{path}: {label} {name[:200]} was not read; name this file to read what it names.")
    dropped += unread(path, blocks)


def _same(one: str, other: str) -> bool:
    """Tell whether values say the same, be they written with more decimals or fewer."""
    try:
        return one == other or float(one) == float(other)
    except ValueError:
        return False


def _global(path: Path, blocks: Blocks, dropped: list[str]) -> dict[str, dict[str, str]]:
    """Return the rows of a global table, the first of each name."""
    block = blocks.get("global")
    if block is None or "rlnTomoName" not in block.columns:
        raise FormatError(
            f"{path}: there is no data_global with rlnTomoName in it.",
            "Name the tilt_series.star, aligned_tilt_series.star or tomograms.star of a RELION job.",
        )
    if len(block) > _MAX_SERIES:
        raise FormatError(f"{path}: {len(block)} series, more than {_MAX_SERIES}.", "Name another file.")
    rows: dict[str, dict[str, str]] = {}
    for i, name in enumerate(block.columns["rlnTomoName"]):
        if name in rows:
            dropped.append(f"{path}: {name[:200]} has more than one row; the first was read.")
        rows.setdefault(name, {label: values[i] for label, values in block.columns.items()})
    return rows


def _only(path: Path, name: str) -> tuple[Blocks, StarBlock]:
    blocks = read_star(path)
    block = blocks.get(_name_of(blocks, name))
    if block is None or len(block) == 0:
        raise FormatError(f"{path}: there is no table data_{name[:200]} in it.", "Name the file that RELION wrote.")
    return blocks, block


def _name_of(blocks: Blocks, name: str) -> str:
    """Return what the table of a series is called: its name, unless there is but one."""
    return next(iter(blocks)) if len(blocks) == 1 else name
