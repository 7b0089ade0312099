"""RELION-5's tilt series, both ways: `tilt_series.star`, a table for each series, tomograms and particles.

RELION's projection (`Tomogram::setProjectionMatrix`) is ours: about x, then y, then z of right-handed axes, then the
shift, from the middle `n // 2` of the images, whose rows it takes upward as they lie in the file. Hence
rlnTomoXTilt, YTilt, ZRot and X/YShiftAngst are `TiltAlignment`'s numbers unchanged, rlnTomoHand is our hand and
rlnDefocusAngle our azimuth. What differs: rlnTomoNominalDefocus is in µm and negative under; rows are in the order of
acquisition, and hold no views left out.

Paths in the files are counted from the folder of the project, in which RELION is to be run.
"""

from collections import Counter
from collections.abc import Sequence
from pathlib import Path

from pydantic import ValidationError

from eucentric.core import EucentricError, FormatError, InputError
from eucentric.io.exchange.collecting import Collecting, why
from eucentric.io.exchange.records import Exported, Imported, Particle, ProcessedSeries
from eucentric.io.exchange.relion_files import find, jobs_of, project_of
from eucentric.io.exchange.relion_particles import labels_of, particles_file, read_particles, write_particles
from eucentric.io.exchange.relion_project import global_rows, optics_of, table, tomogram_rows
from eucentric.io.exchange.relion_read import SeriesReader, Size
from eucentric.io.exchange.relion_write import movie_name, write_tilts
from eucentric.io.exchange.requirements import need_series
from eucentric.io.exchange.star import MISSING, StarBlock, read_star, write_star

_MAX_SERIES = 10_000
_FIX = "Name the file that RELION wrote last."
_GLOBAL_FILES = (  # of Import, MotionCorr, CtfFind, ExcludeTiltImages, AlignTiltSeries, Tomograms: the later, the later
    "tilt_series.star",
    "corrected_tilt_series.star",
    "tilt_series_ctf.star",
    "selected_tilt_series.star",
    "aligned_tilt_series.star",
    "tomograms.star",
)


def write_relion(folder: Path, series: Sequence[ProcessedSeries], *, copy: bool = False) -> Exported:
    """Write a project that RELION-5 goes on from: from import, alignment, tomograms or particles, as far as known.

    Parameters
    ----------
    folder
        Of the project: RELION is to be run in it. Tables of an earlier export are replaced.
    series
        Each with a name of its own.
    copy
        Movies and tomograms are copied in place of linked. Images are always written one by one, from the stacks.

    Returns
    -------
    Exported
        `tilt_series.star` first.

    Raises
    ------
    InputError
        If there is no series, two have one name, a name cannot stand in a STAR file, or a stack is of another series.
    OutputError
        If a file cannot be written.
    """
    folder = Path(folder)
    names = [one.series.name for one in series]
    need_series(series)
    for name, number in Counter(names).items():
        if number > 1:
            raise InputError(f"{number} series are called {name}.", "Rename all but one: RELION knows them by name.")
        if not name.isprintable() or any(letter.isspace() or letter in "'\"#" for letter in name) or name[0] in "_;$":
            raise InputError(f"RELION cannot read a series called {name!r}.", "Rename it without spaces, quotes and #.")
    movies = _movies(series)
    rows, dropped = global_rows(series)
    written: list[Path] = []
    for one in series:
        files, left = write_tilts(folder, one, movies, copy=copy)
        written += files
        dropped += left
    write_star(folder / "tilt_series.star", {"global": table(rows)})
    tomograms, placed, left = tomogram_rows(folder, series, rows, copy=copy)
    if tomograms:
        write_star(folder / "tomograms.star", {"global": table(tomograms)})
        placed.append(folder / "tomograms.star")
    elif (folder / "tomograms.star").exists():
        left.append(
            f"{folder / 'tomograms.star'}: this is of an earlier export, and was left; it is not of these series."
        )
    kinds = labels_of(series)
    optics = [optics_of(row) for row in rows]
    for kind in kinds:
        particles = folder / particles_file(kind, kinds)
        left += write_particles(particles, series, kind, optics)
        sets = particles.with_name(particles.name.replace("particles", "optimisation_set", 1))
        named = (("rlnTomoParticlesFile", particles.name), ("rlnTomoTomogramsFile", "tomograms.star"))
        block = StarBlock({label: (name,) for label, name in named}, looped=False)
        write_star(sets, {"optimisation_set": block})
        placed += [particles, sets]
    return Exported(files=(folder / "tilt_series.star", *written, *placed), dropped=(*dropped, *left))


def read_relion(path: Path, *, project: Path | None = None) -> Imported:
    """Read the series of a RELION project, or of the older layout with all tables in one file.

    Parameters
    ----------
    path
        The table of all series that a job wrote (`aligned_tilt_series.star`, `tomograms.star` and so on), an
        `optimisation_set.star`, or a folder that holds some of them: what a later stage says goes before what an
        earlier one does. Particles are those of `particles*.star` beside it. Of a whole project, the last job that has
        such tables is read.
    project
        The folder that RELION was run in, where that is not the file's own: images, tomograms and tables are looked for
        there too. It is found by itself above the folder of a job. No file outside these folders is opened.

    Raises
    ------
    InputError
        If there is no such file, or no table of series in the folder.
    FormatError
        If the file is not what it should be.
    """
    path, read = Path(path), Collecting()
    if path.is_dir() and not _tables(path) and (jobs := [job for job in jobs_of(path) if _tables(job)]):
        if len(jobs) > 1:
            read.dropped.append(f"{path}: of {len(jobs)} jobs with tilt series, the last was read: {jobs[-1].name}.")
        path, project = jobs[-1], path
    folder = path if path.is_dir() else path.parent
    project = project or project_of(folder)
    folders = [folder] if project is None else [folder, Path(project)]
    sources, particle_files, left = _sources(path, folder, folders)
    read.dropped += left
    rows: dict[str, dict[str, str]] = {}
    tables: dict[str, tuple[Path, dict[str, StarBlock]]] = {}
    for source in sources:
        try:
            blocks = read_star(source)
            found = _global(source, blocks, read.dropped)
        except EucentricError as error:
            if len(sources) == 1:
                raise
            read.failures[source.name] = str(error)
            continue
        for row in found:
            rows[row["rlnTomoName"]] = {**rows.get(row["rlnTomoName"], {}), **row}
            tables[row["rlnTomoName"]] = (source, blocks)
    sizes: dict[str, Size | None] = {}
    for name, row in rows.items():
        try:
            file, block, excluded = _tilts(*tables[name], row, folders)
            reader = SeriesReader(tables[name][0], row, file, block, excluded, folders)
            read.series.append(reader.read())
            sizes[name] = reader.size_xyz
            read.dropped += reader.dropped
        except (EucentricError, ValidationError) as error:
            read.failures[name] = why(error, tables[name][0], _FIX)
    pixels_A = {one.series.name: one.series.pixel_A for one in read.series}
    particles: dict[str, list[Particle]] = {}
    for particle_file in particle_files:
        try:
            by_name, left = read_particles(particle_file, pixels_A, sizes)
        except (EucentricError, ValidationError) as error:
            read.failures[particle_file.name] = why(error, particle_file, _FIX)
            continue
        read.dropped += left
        for name, some in by_name.items():
            particles.setdefault(name, []).extend(some)
    read.series = [one.replace(particles=tuple(particles.get(one.series.name, ()))) for one in read.series]
    return read.imported()


def _movies(series: Sequence[ProcessedSeries]) -> dict[tuple[str, int], str]:
    """Return the path in the project of each movie, in a folder for each series where names would meet."""
    names = {
        (one.series.name, section): name
        for one in series
        for section in range(len(one.series.tilts))
        if (name := movie_name(one, section)) is not None
    }
    meet = len(set(names.values())) < len(names)
    return {key: f"frames/{key[0]}/{name}" if meet else f"frames/{name}" for key, name in names.items()}


def _sources(path: Path, folder: Path, folders: Sequence[Path]) -> tuple[list[Path], list[Path], list[str]]:
    """Return the global tables to read, earlier stages first, and the files of particles."""
    beside = sorted(folder.glob("particles*.star"))
    if path.is_dir():
        if not (sources := _tables(folder)):
            raise InputError(
                f"{path}: there is no {', '.join(_GLOBAL_FILES)} in this folder.",
                "Name the folder of a RELION job, or its .star file.",
            )
        return sources, beside, []
    blocks = read_star(path)
    named: dict[str, str] = {}
    for block in blocks.values():
        named |= {label: values[0] for label, values in block.columns.items() if values}
    if "rlnTomoTomogramsFile" not in named:
        return [path], beside, []
    tomograms = find(named["rlnTomoTomogramsFile"], folders)
    if tomograms is None:
        raise InputError(
            f"{path}: the file {named['rlnTomoTomogramsFile'][:200]} does not lie beside it.", "Name that file itself."
        )
    particles = find(named.get("rlnTomoParticlesFile", MISSING), folders)
    read = ("rlnTomoTomogramsFile", "rlnTomoParticlesFile")
    left = [f"{label} ({value[:200]})" for label, value in named.items() if label not in read]
    dropped = [f"{path}: not read: {', '.join(left)}."] if left else []
    return [tomograms], [particles] if particles else [], dropped


def _tables(folder: Path) -> list[Path]:
    return [folder / name for name in _GLOBAL_FILES if (folder / name).is_file()]


def _global(path: Path, blocks: dict[str, StarBlock], dropped: list[str]) -> list[dict[str, str]]:
    """Return the rows of a global table, one for each name; what else there is goes to `dropped`."""
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
    if others := sorted(name for name in blocks if name != "global" and name not in rows):
        dropped.append(f"{path}: tables that were not read: {', '.join(others)[:500]}.")
    return list(rows.values())


def _tilts(
    source: Path, blocks: dict[str, StarBlock], row: dict[str, str], folders: Sequence[Path]
) -> tuple[Path, StarBlock, int]:
    """Return the table of a series' tilts, the file that it is in, and how many views left out are at its end."""
    name, named = row["rlnTomoName"], row.get("rlnTomoTiltSeriesStarFile")
    if named is None:
        if name in ("", "global") or name not in blocks:
            raise FormatError(f"{source}: there is no table data_{name[:200]} in it.")
        return source, blocks[name], 0
    path = find(named, folders)
    if path is None:
        raise InputError(f"{source}: the table {named[:200]} of {name[:200]} does not lie beside it.", "Copy it there.")
    block = _only(path, name)
    beside = path.with_name(f"{path.stem}_excluded.star")
    if not beside.is_file():
        return path, block, 0
    more = _only(beside, name)
    shared = set(block.columns) & set(more.columns)
    if set(block.columns) - shared:
        raise FormatError(f"{beside}: columns are missing that {path.name} has.", "Remove it, or export again.")
    columns = {label: block.columns.get(label, (MISSING,) * len(block)) + more.columns[label] for label in more.columns}
    return path, StarBlock(columns), len(more)


def _only(path: Path, name: str) -> StarBlock:
    blocks = read_star(path)
    block = blocks.get(name) or (next(iter(blocks.values())) if len(blocks) == 1 else None)
    if block is None or len(block) == 0:
        raise FormatError(f"{path}: there is no table data_{name[:200]} in it.", "Name the file that RELION wrote.")
    return block
