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

from eucentric.core import EucentricError, InputError
from eucentric.io.exchange.collecting import Collecting, why
from eucentric.io.exchange.records import Exported, Imported, Particle, ProcessedSeries
from eucentric.io.exchange.relion_files import jobs_of, project_of
from eucentric.io.exchange.relion_particles import labels_of, particles_file, read_particles, write_particles
from eucentric.io.exchange.relion_project import global_rows, optics_of, table, tomogram_rows
from eucentric.io.exchange.relion_read import SeriesReader, Size
from eucentric.io.exchange.relion_tables import Rows, sources, tables, tilts_of
from eucentric.io.exchange.relion_write import movie_name, write_tilts
from eucentric.io.exchange.requirements import need_series
from eucentric.io.exchange.star import StarBlock, write_star

_FIX = "Name the file that RELION wrote last."


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
    if path.is_dir() and not tables(path) and (jobs := [job for job in jobs_of(path) if tables(job)]):
        if len(jobs) > 1:
            read.dropped.append(f"{path}: of {len(jobs)} jobs with tilt series, the last was read: {jobs[-1].name}.")
        path, project = jobs[-1], path
    folder = path if path.is_dir() else path.parent
    project = project or project_of(folder)
    folders = [folder] if project is None else [folder, Path(project)]
    global_files, particle_files = sources(path, folder, folders, read.dropped)
    rows = Rows()
    for file in global_files:
        try:
            rows.add(file, read.dropped)
        except EucentricError as error:
            if len(global_files) == 1:
                raise
            read.failures[file.name] = str(error)
    sizes: dict[str, Size | None] = {}
    for source, blocks, row in rows.each():
        name = row["rlnTomoName"]
        try:
            tilts = tilts_of(source, blocks, row, folders)
            reader = SeriesReader(source, row, tilts, folders)
            read.series.append(reader.read())
            sizes[name] = reader.size_xyz
            read.dropped += [*reader.dropped, *tilts.unread()]
        except (EucentricError, ValidationError) as error:
            read.failures[name] = why(error, source, _FIX)
    read.dropped += rows.unread()
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
