"""What each reader is fed with: real files where they are, and small ones that we wrote."""

import gzip
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np

from eucentric import io
from eucentric.design import Design, DoseSymmetric
from eucentric.io.atomic_models import read_atoms
from eucentric.io.exchange.aretomo import read_aretomo
from eucentric.io.exchange.imod_project import read_imod
from eucentric.io.exchange.particle_table import read_particles, write_particles
from eucentric.io.exchange.programs import PROGRAMS, Program, reader, writer
from eucentric.io.exchange.record_file import read_processed, write_processed
from eucentric.io.exchange.relion_labels import EULER, MATRIX
from eucentric.io.exchange.star import read_star, write_star
from eucentric.io.gain import read_gain
from eucentric.io.growing_stack import look_at_stack, read_section
from eucentric.io.mdoc import examine_mdoc
from eucentric.io.movie_series import load_movie_series
from eucentric.io.movies import open_movie
from eucentric.io.navigator import read_navigator
from eucentric.io.ome_zarr import read_ome_zarr, write_ome_zarr
from eucentric.io.places import read_places
from eucentric.io.serialem_stack import SerialemStack
from eucentric.io.targets import read_targets
from phantoms.eer import COMPRESSIONS
from phantoms.fuzz_own import serialem_image, write_own
from phantoms.fuzzing import Fed, Files
from phantoms.processed import processed_series

_SHAPE = (12, 10)


def all_fed(data: Path | None) -> Iterator[Fed]:
    """Give every public reader with its seeds; `data` is the folder of recorded data, if there is one."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        _write_all(folder)
        docs = Path(__file__).parents[2] / "docs"

        def real(*patterns: str) -> list[bytes]:
            return [path.read_bytes() for pattern in patterns for path in sorted(data.glob(pattern))] if data else []

        def fed(name: str, read: Callable[[Path], object], given: str, *contents: bytes) -> Fed:
            return Fed(name, read, given, tuple({given: content} for content in contents))

        def ours(path: str) -> bytes:
            return (folder / path).read_bytes()

        mdocs = [*real("mdoc/*.mdoc"), ours("ts.mrc.mdoc")]
        yield fed("xf", io.read_xf, "a.xf", ours("a.xf"), *real("alignments/*/*.xf"))
        yield fed("angles", io.read_angles, "a.tlt", b" -3.00\n  0.00\n  3.00\n", *real("alignments/*/*.tlt"))
        yield fed("tilt table", io.read_tilt_table, "a.csv", ours("a.csv"), *real("empiar-10499-ts01/*.csv"))
        yield fed("alignment", io.read_alignment, "a.json", ours("a.json"))
        yield fed("processed", read_processed, "p.json", ours("p.json"))
        yield fed("particles", read_particles, "p.csv", ours("p.csv"))
        yield fed("places", read_places, "p.csv", ours("p.csv"))
        yield fed("plan", io.read_plan, "plan.yaml", ours("plan.yaml"))
        yield fed("targets", read_targets, "targets.yaml", (docs / "targets-example.yaml").read_bytes())
        yield fed("mdoc", io.read_mdoc, "ts.mdoc", *mdocs)
        yield fed("mdoc examined", examine_mdoc, "ts.mdoc", *mdocs)
        movies = {"ts.mdoc": ours("ts.mrc.mdoc").replace(b".tif", b".mrc"), "TS_001_006.mrc": ours("ts.mrc")}
        yield Fed("movie series", load_movie_series, "ts.mdoc", (movies, *({"ts.mdoc": one} for one in mdocs)))
        yield Fed("series", io.load_series, "ts.mrc", ({n: ours(n) for n in ("ts.mrc", "ts.mrc.mdoc", "ts.rawtlt")},))
        yield fed("mrc", _pixels, "ts.mrc", ours("ts.mrc"), ours("v.mrc"))
        yield fed("growing stack", _sections, "ts.mrc", ours("ts.mrc"), ours("serialem.mrc"))
        yield fed("gain", read_gain, "gain.mrc", ours("gain.mrc"))
        yield fed("movie mrc", _frames, "m.mrc", ours("ts.mrc"))
        yield fed("tracks", io.read_tracks, "t.csv", b"bead,view,x_px,y_px\n0,0,1.5,2\n0,1,2,2\n1,0,7,8\n")
        yield Fed("ome-zarr", read_ome_zarr, "v.zarr", (_below(folder / "v.zarr", "v.zarr"),))
        yield fed(
            "star", read_star, "a.star", *real("relion-star/*.star", "mdoc/*.star"), ours("relion5/tomograms.star")
        )
        yield fed("imod model", io.read_imod_model, "a.mod", ours("a.mod"), *real("alignments/imod-models/*.mod"))
        yield fed("fiducials", io.read_tracks, "a.fid", ours("a.mod"))
        yield fed("navigator", read_navigator, "nav.nav", ours("nav.nav"), *real("mdoc/nav.nav"))
        movies_of_tiff = (ours("m.tif"), ours("plain.tif"), *real("small-stack/*.tiff"))
        yield fed("movie tiff", _frames, "m.tiff", *movies_of_tiff)
        yield fed("movie eer", _frames, "m.eer", *(ours(f"{compression}.eer") for compression in COMPRESSIONS))
        grown = {"s.mrc": ours("serialem.mrc"), "s.mrc.mdoc": ours("serialem.mrc.mdoc")}
        yield Fed("serialem stack", _grow, "s.mrc", (grown,))
        pdb = gzip.decompress((data / "specimens/6z6u.pdb.gz").read_bytes()).split(b"\n") if data else []
        recorded = [b"\n".join([line for line in pdb if line[:4] == b"ATOM"][:300])] if pdb else []
        yield fed("atoms", read_atoms, "a.pdb", ours("a.pdb"), *recorded)
        for program in PROGRAMS:
            exported = _below(folder / program, "out")
            yield Fed(program, _importer(program), "out", (exported, *_otherwise(program, folder / program, exported)))


def _importer(program: Program) -> Callable[[Path], object]:
    if program == "imod":
        return lambda path: read_imod(path, pixel_A=2.7)
    if program == "aretomo":
        return lambda path: read_aretomo(path, pixel_A=2.7)
    return reader(program)


def _otherwise(program: Program, folder: Path, exported: Files) -> Iterator[Files]:
    """Give what others write: Warp before stacks, or any image; RELION's older matrices, with angles and alone."""
    if program == "warp":
        for ending in (".st", (".st", ".mrc")):
            yield {path: data for path, data in exported.items() if not path.endswith(ending)}
    if program == "relion5":
        matrices = dict(zip(MATRIX, ("[1,0,0,2]", "[0,1,0,1]", "[0,0,1,0]", "[0,0,0,1]"), strict=True))
        for without in ((), EULER):
            changed = dict(exported)
            for path in (folder / "tilt_series").glob("*.star"):
                ((name, block),) = read_star(path).items()
                columns = block.columns | {label: (row,) * len(block) for label, row in matrices.items()}
                kept = {label: values for label, values in columns.items() if label not in without}
                write_star(folder.parent / "old.star", {name: kept})
                changed[f"out/{path.relative_to(folder)}"] = (folder.parent / "old.star").read_bytes()
            yield changed


def _pixels(path: Path) -> object:
    return float(np.asarray(io.open_mrc(path).data[:1], dtype=float).sum())


def _sections(path: Path) -> object:
    return [read_section(path, section)[0].shape for section in range(min(2, look_at_stack(path).counted))]


def _frames(path: Path) -> object:
    return [frame.shape for _, frame in zip(range(3), open_movie(path, tolerant=True).frames(), strict=False)]


def _grow(path: Path) -> object:
    """Read all that a stack says, and add an image to it as a script does."""
    stack = SerialemStack.open(path)
    said = [stack.read(section)[1] for section in range(min(stack.sections, 8))]
    stack.append(np.zeros((12, 10), np.int16), serialem_image(len(said)))
    return said, path.with_name(f"{path.name}.mdoc").read_text() if path.with_name(f"{path.name}.mdoc").exists() else ""


def _below(folder: Path, name: str) -> Files:
    return {
        f"{name}/{path.relative_to(folder)}": path.read_bytes()
        for path in sorted(folder.rglob("*"))
        if path.is_file() and path.stat().st_size < 100_000
    }


def _write_all(folder: Path) -> None:
    """Write all that we write and can read."""
    write_own(folder)
    one = processed_series(shape_yx=_SHAPE, n=7)
    draw = np.random.default_rng(0)
    io.write_mrc(folder / "ts.mrc", draw.integers(0, 9, (7, *_SHAPE)).astype(np.int16), 2.7, kind="stack")
    io.write_mrc(folder / "v.mrc", draw.random((2, *_SHAPE)).astype(np.float32), 2.7, kind="volume")
    io.write_mrc(folder / "gain.mrc", 0.5 + draw.random((1, *_SHAPE)).astype(np.float32), 2.7, kind="stack")
    write_ome_zarr(folder / "v.zarr", draw.random((4, 8, 8)).astype(np.float32), 10.0, name="v")
    if one.alignment is not None:
        io.write_xf(folder / "a.xf", one.alignment)
        io.write_alignment(folder / "a.json", one.alignment)
    io.write_tilt_table(folder / "a.csv", one.series)
    io.write_plan(folder / "plan.yaml", Design(scheme=DoseSymmetric(min_deg=-6, max_deg=6)).plan())
    io.write_angles(folder / "ts.rawtlt", one.series.tilts_deg)
    write_processed(folder / "p.json", one)
    write_particles(folder / "p.csv", one.particles)
    lines = [
        "PixelSpacing = 2.7",
        "ImageSize = 10 12",
        "Voltage = 300",
        "",
        "[T =     Tilt axis angle = 84.7, bin = 1]",
        "",
    ]
    for tilt in one.series.tilts:
        lines += [
            f"[ZValue = {tilt.section}]", f"TiltAngle = {tilt.tilt_deg}", f"ExposureDose = {tilt.exposure_e_A2}",
            f"PriorRecordDose = {tilt.pre_exposure_e_A2}", f"SubFramePath = D:\\frames\\{tilt.movie}",
            "NumSubFrames = 8", f"DateTime = 29-Nov-2026  10:{tilt.order:02d}:00", "",
        ]  # fmt: skip
    (folder / "ts.mrc.mdoc").write_text("\n".join(lines))
    for program in PROGRAMS:
        writer(program)(folder / program, [one.replace(files=one.files.replace(stack=folder / "ts.mrc"))], copy=True)
