"""CETS, the data models of the cryo-ET standards group (TomoBabel/cets-data-models, 0.0.1), both ways: NAME.cets.json.

A file is a `Dataset` with a `Region` for each series: `MovieStack`, `TiltSeries` with `TiltImage` (a projection image),
`Alignment`, `Tomogram`, and particles as `PointMatrixSet3D`. The models name coordinate systems and leave open how
images and tomograms are placed in them; ours are xyz, Å:

- `image` from the middle of the first pixel, x along columns, y along rows; `tomogram` from the middle of the first
  voxel; `specimen` from our origin, the voxel n // 2.
- A `ProjectionAlignment` goes from `image` to `specimen`: a translation that takes the place where the origin is seen
  to 0, then the inverse of the turns of our alignment (z along the beam, which the image does not tell).
- Points are voxels of the tomogram, counted from 0. Views left out have no `ProjectionAlignment`.
- `defocus_angle` and `phase_shift` in degrees; a missing `defocus_handedness` means -1, in the sense of ours.
"""

from collections.abc import Sequence
from pathlib import Path

from eucentric.core import InputError, write_text
from eucentric.io.exchange.cets_read import DatasetReader
from eucentric.io.exchange.cets_write import dataset
from eucentric.io.exchange.collecting import Collecting
from eucentric.io.exchange.portal_json import format_json
from eucentric.io.exchange.records import Exported, Imported, ProcessedSeries
from eucentric.io.exchange.requirements import need_series

_FIX = "Export it again."


def write_cets(folder: Path, series: Sequence[ProcessedSeries], *, copy: bool = False) -> Exported:  # noqa: ARG001
    """Write NAME.cets.json for each series; it names the files with pixels where they lie, and none is copied.

    Raises
    ------
    InputError
        If there is no series.
    OutputError
        If a file cannot be written.
    """
    need_series(series)
    files, dropped = list[Path](), list[str]()
    for one in series:
        path = folder / f"{one.series.name}.cets.json"
        write_text(path, format_json(dataset(one)))
        files.append(path)
        dropped += _cannot_hold(one)
    return Exported(files=tuple(files), dropped=tuple(dropped))


def read_cets(path: Path) -> Imported:
    """Read a .cets.json file, or those of a folder; files that it names are not opened.

    Raises
    ------
    InputError
        If there is no such file or folder, or no .cets.json in it.
    """
    path = Path(path)
    if not path.exists():
        raise InputError(f"{path}: no such file or folder.", "Check the path.")
    found = sorted(path.glob("*.cets.json")) if path.is_dir() else [path]
    if not found:
        raise InputError(f"{path}: there is no .cets.json here.", "Name the file or its folder.")
    read = Collecting()
    for file in read.at_most(found, path, "files"):
        whole = DatasetReader(file)
        with read.reading(whole, _FIX):
            for reader in whole.regions():
                with read.reading(reader, _FIX):
                    read.series += reader.read()
    return read.imported()


def _cannot_hold(one: ProcessedSeries) -> list[str]:
    name, told = one.series.name, []
    if any(tilt.exposure_e_A2 is not None for tilt in one.series.tilts):
        told.append(f"{name}: CETS has the exposure before each image only; that of the last image is lost.")
    if one.alignment is not None and len(one.alignment.used) < len(one.alignment.tilts):
        told.append(f"{name}: where the views left out see the specimen, and why they were, has no place in CETS.")
    if one.alignment is not None and one.alignment.local is not None:
        told.append(f"{name}: local motion has no place in CETS.")
    if one.ctf is not None:
        told.append(f"{name}: the lens, and scores and resolutions of the CTF, have no place in CETS.")
        if one.ctf.hand is None:
            told.append(f"{name}: the defocus hand is not known; CETS takes it for -1.")
    if one.particles and one.volume is None:
        told.append(f"{name}: {len(one.particles)} particles were not written; points need the grid of a tomogram.")
    elif any(particle.half for particle in one.particles):
        told.append(f"{name}: half sets of particles have no place in CETS.")
    if one.movie_pixel_A or one.frames or any(one.target_defocus_A):
        told.append(f"{name}: the pixel and the frames of movies, and target defoci, have no place in CETS.")
    return told
