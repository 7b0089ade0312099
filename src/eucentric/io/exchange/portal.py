"""Folders as the CryoET Data Portal has them, both ways: for each run its tilt series, alignment, tomogram and points.

Names, places and units are those of the portal's metadata schema 2.0: volts, mm, e/Å², Å with underfocus positive,
radians of phase shift. Two things of it are not as its schema says, but as its own converter has them (the
`cryoet_alignment` that ingests .xf and .aln): `x_offset` and `y_offset` are in pixels of the tilt series, not Å, and
say where the specimen's origin is seen from the middle (n - 1) / 2 of the image; `in_plane_rotation` takes the aligned
image to the recorded one, as our axis does. Views left out are not in the alignment.

Points are array indices of the tomogram (its first voxel is 0), xyz, and `xyz_rotation_matrix` takes the reference's
axes to the tomogram's, as our particles do.
"""

from collections.abc import Sequence
from pathlib import Path

from eucentric.core import InputError
from eucentric.io.exchange.collecting import Collecting
from eucentric.io.exchange.portal_read import PortalReader
from eucentric.io.exchange.portal_write import PortalWriting
from eucentric.io.exchange.records import Exported, Imported, ProcessedSeries
from eucentric.io.exchange.requirements import need_series


def write_portal(folder: Path, series: Sequence[ProcessedSeries], *, copy: bool = False) -> Exported:
    """Write a run's folder for each series.

    Raises
    ------
    InputError
        If there is no series, or a file that it names cannot be read.
    OutputError
        If a file cannot be written.
    """
    need_series(series)
    files, dropped = list[Path](), list[str]()
    for one in series:
        files += PortalWriting(folder, one, copy=copy, dropped=dropped).write()
    dropped.append(
        f"{folder}: identifiers, authors, dates, camera, microscope and ontology terms are the portal's and the"
        " depositor's to give; they are not in these files."
    )
    return Exported(files=tuple(files), dropped=tuple(dropped))


def read_portal(path: Path) -> Imported:
    """Read a run's folder, the runs of a folder, or the run of one tiltseries_metadata.json.

    Raises
    ------
    InputError
        If there is no such file or folder, or no tilt series in it.
    """
    path = Path(path)
    if not path.exists():
        raise InputError(f"{path}: no such file or folder.", "Check the path.")
    if path.is_file():
        found = [path] if path.name == "tiltseries_metadata.json" else []
        if path.name == "alignment_metadata.json":  # NAME/Alignments/ID/alignment_metadata.json
            found = sorted(path.absolute().parent.parent.parent.glob("TiltSeries/*/tiltseries_metadata.json"))
    else:
        found = []
        for depth in ("", "*/", "*/*/"):
            found = found or sorted(path.glob(f"{depth}TiltSeries/*/tiltseries_metadata.json"))
        found = found or sorted(path.glob("tiltseries_metadata.json"))
    if not found:
        raise InputError(
            f"{path}: there is no tiltseries_metadata.json in a TiltSeries folder here.", "Name the folder of a run."
        )
    read = Collecting()
    for one in read.at_most(found, path, "tilt series"):
        reader = PortalReader(one)
        with read.reading(reader, "Get its metadata again."):
            read.series.append(reader.read())
    return read.imported()
