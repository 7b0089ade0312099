"""Export of series to other programs, and import of what they made into a session."""

import hashlib
from collections.abc import Mapping, Sequence
from functools import partial
from pathlib import Path

from eucentric.core import SILENT, InputError, Record, Reporter, write_text
from eucentric.io import write_alignment, write_tilt_table
from eucentric.io.exchange import Exported, Imported, ProcessedSeries
from eucentric.io.exchange.particle_table import write_particles
from eucentric.io.exchange.programs import Program, reader, recognise, writer
from eucentric.io.exchange.record_file import read_processed, write_processed
from eucentric.session import RunStatus, Session, StageRun
from eucentric.workflow.assembling import assemble, images_stamp
from eucentric.workflow.gathering import IMPORTED, PARTICLES
from eucentric.workflow.stages import Stages

IMPORT_VERSION = 2  # 2: images that lie one by one are made into stacks


class ImportStage(Record):
    """All that an import depends on: whose files, where they lay, what was read from them, and images one by one."""

    program: Program
    source: str
    sha256: str
    images: str


class ImportedSeries(Record):
    """A series in a session after an import: where it is, and what was there for it."""

    name: str
    folder: Path
    processed: ProcessedSeries


class ImportOutcome(Record):
    """What became of an import: the series, what the files hold and we do not, and why others could not be read."""

    program: Program
    series: tuple[ImportedSeries, ...]
    dropped: tuple[str, ...]
    failures: dict[str, str]


class ToReconstruct(Record):
    """What `reconstruct` takes from an imported series; the volume's values are absent where its files did not say."""

    stack: Path
    alignment: Path
    binning: int | None = None
    thickness_A: float | None = None
    size_yx: tuple[int, int] | None = None


def export_series(series: Sequence[ProcessedSeries], program: Program, output: Path, *, copy: bool = False) -> Exported:
    """Write series as files of a program, and beside them `eucentric-export.txt`, which says what those cannot hold.

    Parameters
    ----------
    series
        As `gather` gives them.
    program
        Whose files.
    output
        A folder; files of ours or of others that stand there are not replaced unless an export wrote them.
    copy
        Copy stacks and tomograms, rather than to link to them.

    Raises
    ------
    InputError
        If there is nothing to export, or a name cannot stand in the program's files.
    OutputError
        If a file cannot be written.
    """
    if not series:
        raise InputError("There is no series to export.", "Process one first, or name another --series.")
    exported = writer(program)(output, series, copy=copy)
    lines = [f"Exported to {program}: {', '.join(one.series.name for one in series)}."]
    lines += ["What its files cannot hold:" if exported.dropped else "Its files hold all that is known."]
    write_text(output / "eucentric-export.txt", "\n".join([*lines, *exported.dropped]) + "\n")
    return exported


def import_series(
    source: Path,
    output: Path,
    program: Program | None = None,
    *,
    pixel_A: float | None = None,
    reporter: Reporter = SILENT,
) -> ImportOutcome:
    """Read what another program made, and keep each series in a session.

    Stacks and volumes stay where they are; images that lie one by one are made into stacks, if they or what is known of
    them has changed since.

    Parameters
    ----------
    source
        A folder or a file of the program; it is only read.
    output
        The session, made if it is not there.
    program
        Whose files; found from their names if absent.
    pixel_A
        Of the images, for files that do not say (AreTomo's).

    Raises
    ------
    InputError
        If nothing can be read, or kept; it says why.
    FormatError
        If the one file given cannot be read.
    OutputError
        If the session cannot be written to.
    """
    source = Path(source).absolute()
    program = program or recognise(source)
    found = _read(source, program, pixel_A)
    if not found.series:
        raise _nothing_of(source, program, found.failures)
    kept, dropped, failures = list[ImportedSeries](), list(found.dropped), dict(found.failures)
    with Session.create_or_open(output, reporter=reporter) as session:
        for processed in found.series:
            name = processed.series.name
            if session.last(name, "align", RunStatus.FINISHED) is not None:
                failures[name] = f"{output}: {name} was aligned in this session, which would be lost. Import elsewhere."
                continue
            stages = Stages(session, name, {"import": IMPORT_VERSION}, reporter)
            settings = ImportStage(
                program=program,
                source=str(source),
                sha256=hashlib.sha256(processed.model_dump_json().encode()).hexdigest(),
                images=images_stamp(processed),
            )
            stages.run("import", settings, (), partial(_keep, processed, reporter))
            last = session.last(name, "import", RunStatus.FINISHED)
            dropped += last.metrics.get("told", []) if last else []
            is_kept = read_processed(stages.folder / IMPORTED)
            kept.append(ImportedSeries(name=name, folder=stages.folder, processed=is_kept))
    if not kept:
        raise _nothing_of(source, program, failures)
    return ImportOutcome(program=program, series=tuple(kept), dropped=tuple(dropped), failures=failures)


def imported_series(folder: Path) -> ToReconstruct:
    """Return what there is to reconstruct an imported series from, given its folder in the session.

    Raises
    ------
    InputError
        If it was not imported, or its images or its alignment are not known.
    FormatError
        If what was imported cannot be read.
    """
    if not (folder / IMPORTED).is_file():
        raise InputError(
            f"{folder}: this is not the folder of an imported series, for it has no {IMPORTED}.",
            "Name a stack, or a folder of `eucentric import`: SESSION/series/NAME.",
        )
    processed = read_processed(folder / IMPORTED)
    if processed.alignment is None or processed.files.stack is None:
        lacks = "alignment" if processed.alignment is None else "stack of images"
        raise InputError(
            f"{folder}: no {lacks} was found when {processed.series.name} was imported.",
            "Import it again where that lies beside its files, or give the stack and --alignment.",
        )
    grid, alignment = processed.volume, folder / "alignment.json"
    if grid is None:
        return ToReconstruct(stack=processed.files.stack, alignment=alignment)
    # Others bin by any factor, we by whole ones: what is seen stays the same, where the voxel cannot.
    binning = max(1, round(grid.voxel_A / processed.series.pixel_A))
    finer = grid.voxel_A / (binning * processed.series.pixel_A)
    depth, rows, columns = grid.shape_zyx
    return ToReconstruct(
        stack=processed.files.stack,
        alignment=alignment,
        binning=binning,
        thickness_A=depth * grid.voxel_A,
        size_yx=(round(rows * finer), round(columns * finer)),
    )


def _nothing_of(source: Path, program: Program, failures: Mapping[str, str]) -> InputError:
    why = "; ".join(f"{name}: {reason}" for name, reason in list(failures.items())[:5]) or "there is none"
    return InputError(f"{source}: no series could be imported from {program} ({why}).", "Mend that, or name others.")


def _read(source: Path, program: Program, pixel_A: float | None) -> Imported:
    if program != "aretomo":
        return reader(program)(source)
    from eucentric.io.exchange.aretomo import read_aretomo

    return read_aretomo(source, pixel_A=pixel_A)


def _keep(processed: ProcessedSeries, reporter: Reporter, run: StageRun) -> None:
    """Write what was imported of a series, each kind as the verbs that use it read it."""
    folder, paths = run.folder, [run.folder / IMPORTED]
    assembled = assemble(processed, folder, reporter=reporter)
    processed = assembled.processed
    write_processed(paths[0], processed)
    paths.append(folder / f"{processed.series.name}.csv")
    write_tilt_table(paths[-1], processed.series)
    if processed.alignment:
        paths.append(folder / "alignment.json")
        write_alignment(paths[-1], processed.alignment)
    if processed.ctf:
        paths.append(folder / "ctf.json")
        write_text(paths[-1], processed.ctf.model_dump_json(indent=1))
    if processed.particles:
        paths.append(folder / PARTICLES)
        write_particles(paths[-1], processed.particles)
    for path in (*paths, *assembled.stacks):
        run.output(path)
    run.metric("told", list(assembled.told))
    run.metric("tilts", len(processed.series.tilts))
    run.metric("particles", len(processed.particles))
