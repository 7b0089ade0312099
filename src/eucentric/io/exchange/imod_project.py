"""IMOD (etomo) projects, both ways: a folder for each series, that etomo, newstack and tilt go on from.

With our files, ``submfg newst.com tilt.com`` and ``trimvol -rx NAME_full_rec.mrc NAME_rec.mrc`` in the folder make the
tomogram on our own grid. `imod_geometry` has what was read in the source of `tilt` about signs and centres.
"""

from collections.abc import Sequence
from pathlib import Path

import numpy as np

from eucentric.core import Alignment, EucentricError, InputError, write_text
from eucentric.io.angles import write_angles
from eucentric.io.exchange.collecting import Collecting
from eucentric.io.exchange.imod_com import format_com, read_edf
from eucentric.io.exchange.imod_defocus import ctf_options, format_defocus
from eucentric.io.exchange.imod_folder import MAX_TEXT_BYTES
from eucentric.io.exchange.imod_geometry import aligned_size, tilt_options
from eucentric.io.exchange.imod_read import ImodReader
from eucentric.io.exchange.placing import place
from eucentric.io.exchange.records import Exported, Imported, ProcessedSeries, Volume
from eucentric.io.exchange.requirements import need_alignment, need_series
from eucentric.io.imod import format_excluded, write_tlt, write_xf, write_xtilt
from eucentric.io.imod_model import ImodModel, ImodObject, write_imod_model

_MAX_FOLDERS = 10_000
_THICKNESS_A = 2000.0  # of a tomogram where nobody said: a lamella with room above and below
_POINTS = 1 << 9  # IMOD's flag of an object of scattered points
# Endings of .xf files that etomo keeps beside the final one.
_NOT_FINAL = ("_fid", "_nonfid", "_group", "_erase", "_rot", "local")


def write_imod(folder: Path, series: Sequence[ProcessedSeries], *, copy: bool = False) -> Exported:
    """Write a folder for each series, as etomo has them.

    Raises
    ------
    InputError
        If there is no series, a series has no alignment, or all its views are left out.
    OutputError
        If a file cannot be written.
    """
    need_series(series)
    files, dropped = list[Path](), list[str]()
    for one in series:
        alignment = need_alignment(one, "IMOD")
        files += _Writing(folder / one.series.name, one, alignment, copy=copy, dropped=dropped).write()
    return Exported(files=tuple(files), dropped=tuple(dropped))


def read_imod(path: Path, *, pixel_A: float | None = None) -> Imported:
    """Read an etomo folder, the etomo folders in a folder, or the series of one .edf, .xf, tilt.com or other file.

    `pixel_A` is that of the stacks; where it is not given, the headers of the stacks are asked, and then the .edf.

    Raises
    ------
    InputError
        If there is no such file or folder, or nothing of IMOD in it.
    """
    path = Path(path)
    if pixel_A is not None and not 0.01 <= pixel_A <= 1e4:
        raise InputError(f"A pixel of {pixel_A:g} Å cannot be.", "Give the pixel of the stack in Å.")
    if not path.exists():
        raise InputError(f"{path}: no such file or folder.", "Check the path.")
    found: list[tuple[Path, str]] = []
    if path.is_file():
        found = [(path.parent, path.stem)] if path.suffix == ".xf" else _names(path.parent)
    else:
        found = _names(path)
        folders = sorted(one for one in path.iterdir() if one.is_dir()) if not found else []
        for one in folders[:_MAX_FOLDERS]:
            found += _names(one)
    if not found:
        raise InputError(f"{path}: there is no IMOD alignment (.xf) here.", "Name the folder of an etomo project.")
    read = Collecting()
    for folder, name in read.at_most(found, path, "series"):
        reader = ImodReader(folder, name, pixel_A)
        with read.reading(reader, "Align the series again."):
            read.series.append(reader.read())
    return read.imported()


def _names(folder: Path) -> list[tuple[Path, str]]:
    """Return the data sets of a folder: those that its .edf files name, or else those that have an .xf."""
    named = []
    for edf in sorted(folder.glob("*.edf")):
        try:
            if edf.stat().st_size > MAX_TEXT_BYTES:
                continue
            name = read_edf(edf).text("Setup.DatasetName")
        except EucentricError:
            continue
        if 0 < len(name.encode()) < 200 and Path(name).name == name and (folder / f"{name}.xf").is_file():
            named.append((folder, name))
    xfs = sorted(path.stem for path in folder.glob("*.xf") if path.is_file())
    return list(dict.fromkeys(named)) or [(folder, stem) for stem in xfs if not stem.endswith(_NOT_FINAL)]


class _Writing:
    """One series on its way to its folder."""

    def __init__(
        self, folder: Path, one: ProcessedSeries, alignment: Alignment, *, copy: bool, dropped: list[str]
    ) -> None:
        self._folder, self._one, self._alignment, self._copy = folder, one, alignment, copy
        self._name, self._dropped = one.series.name, dropped

    def write(self) -> list[Path]:
        """Write all its files, and return their paths."""
        one, alignment, name = self._one, self._alignment, self._name
        files = [self._file(ending) for ending in (".edf", ".xf", ".tlt", ".xtilt", ".rawtlt")]
        write_text(files[0], self._edf())
        write_xf(files[1], alignment)
        write_tlt(files[2], alignment)
        write_xtilt(files[3], alignment)
        write_angles(files[4], [tilt.tilt_deg for tilt in one.series.tilts])
        volume, binning = self._volume()
        rows, columns = alignment.shape_yx
        size = aligned_size(columns, rows, alignment.used[0].axis_deg, volume, binning)
        files += [self._com("newst", "newstack", self._newst(size, binning))]
        options = tilt_options(name, volume, size, binning)
        if excluded := format_excluded(alignment):
            options["EXCLUDELIST2"] = excluded
        files += [self._com("tilt", "tilt", options)]
        if one.ctf is not None:
            files += [
                self._file(".defocus"),
                self._com("ctfcorrection", "ctfphaseflip", ctf_options(one.ctf, name, binning)),
            ]
            write_text(files[-2], format_defocus(one.ctf))
        for source, ending in ((one.files.stack, ".mrc"), (one.files.tomogram, "_rec.mrc")):
            if source is not None:
                files.append(place(source, self._file(ending), copy=self._copy))
        if one.particles and one.volume is not None:
            files.append(self._model(one.volume))
        self._say_what_is_left()
        return files

    def _file(self, ending: str) -> Path:
        return self._folder / f"{self._name}{ending}"

    def _com(self, stem: str, program: str, options: dict[str, str]) -> Path:
        path = self._folder / f"{stem}.com"
        write_text(path, format_com(program, options))
        return path

    def _edf(self) -> str:
        """Return what etomo needs to know the folder again, and others' readers to find the stack."""
        alignment = self._alignment
        axis = float(np.median([view.axis_deg for view in alignment.used]))
        settings = {
            "Setup.DatasetName": self._name,
            "Setup.RawImageStackExt": "mrc",
            "Setup.AxisType": "Single Axis",
            "Setup.DataSource": "CCD",
            "Setup.ViewType": "Single View",
            "Setup.PixelSize": f"{alignment.pixel_A / 10:.7g}",
            "Setup.ImageRotationA": f"{axis:.4f}",
            "Setup.AxisA.TiltAngleType": "File",
            "Setup.AxisA.ExcludeProjections": format_excluded(alignment),
        }
        head = "# IMOD's etomo data file, written by Eucentric\nRevision=1.13\n"
        return head + "".join(f"{name}={value}\n" for name, value in settings.items())

    def _newst(self, size: tuple[int, int], binning: int) -> dict[str, str]:
        return {
            "AntialiasFilter": "-1",
            "InputFile": f"{self._name}.mrc",
            "OutputFile": f"{self._name}_ali.mrc",
            "TransformFile": f"{self._name}.xf",
            "TaperAtFill": "1,0",
            "AdjustOrigin": "",
            "SizeToOutputInXandY": f"{size[0]},{size[1]}",
            "OffsetsInXandY": "0.0,0.0",
            "ImagesAreBinned": "1.0",
            "BinByFactor": f"{binning}",
        }

    def _volume(self) -> tuple[Volume, int]:
        """Return the tomogram that tilt.com is to make, and how often the images are binned for it."""
        volume, pixel_A = self._one.volume, self._alignment.pixel_A
        if volume is None:
            rows, columns = self._alignment.shape_yx
            size = aligned_size(columns, rows, self._alignment.used[0].axis_deg, None, 1)
            thickness = (self._one.ctf.thickness_A if self._one.ctf else None) or _THICKNESS_A
            self._dropped.append(f"{self._name}: there is no tomogram; THICKNESS in tilt.com is {thickness:.0f} Å.")
            return Volume(shape_zyx=(max(1, round(thickness / pixel_A)), size[1], size[0]), voxel_A=pixel_A), 1
        binning = max(1, round(volume.voxel_A / pixel_A))
        ratio = volume.voxel_A / (pixel_A * binning)
        if abs(ratio - 1) > 1e-3:
            self._dropped.append(
                f"{self._name}: voxels of {volume.voxel_A:g} Å are no multiple of the pixel of {pixel_A:g} Å;"
                f" tilt.com makes them {pixel_A * binning:g} Å."
            )
            z, y, x = (max(1, round(n * ratio)) for n in volume.shape_zyx)
            volume = Volume(shape_zyx=(z, y, x), voxel_A=pixel_A * binning)
        return volume, binning

    def _model(self, volume: Volume) -> Path:
        """Write the particles as scattered points, an object for each label."""
        path = self._file("_particles.mod")
        z, y, x = volume.shape_zyx
        by_label: dict[str, list[tuple[float, ...]]] = {}
        for particle in self._one.particles:
            at = np.array(particle.position_zyx_A[::-1]) / volume.voxel_A + (x // 2 + 0.5, y // 2 + 0.5, z // 2)
            # IMOD counts x and y from the edge of the first voxel, z from its middle.
            by_label.setdefault(particle.label, []).append(tuple(at))
        objects = tuple(
            ImodObject(contours=(np.array(points, np.float32),), name=label, flags=_POINTS)
            for label, points in by_label.items()
        )
        model = ImodModel(objects=objects, size_xyz=(x, y, z), name=self._name, pixel_A=volume.voxel_A)
        write_imod_model(path, model)
        return path

    def _say_what_is_left(self) -> None:
        one, tell = self._one, self._dropped.append
        name = self._name
        if one.series.order_known or any(tilt.exposure_e_A2 is not None for tilt in one.series.tilts):
            tell(f"{name}: the order of acquisition and exposures have no place in IMOD's files.")
        if self._alignment.local is not None:
            tell(f"{name}: local motion was not written; IMOD's tomogram has the specimen as it moved.")
        if any(path is not None for path in one.files.movies) or one.frames or one.files.gain:
            tell(f"{name}: movies, their frames and their gain are not named in IMOD's files.")
        if any((one.files.even, one.files.odd, one.files.tomogram_even, one.files.tomogram_odd)):
            tell(f"{name}: even and odd stacks and tomograms were not placed; etomo has no name for them.")
        if one.particles and one.volume is None:
            tell(f"{name}: {len(one.particles)} particles were not written; points need the grid of a tomogram.")
        elif one.particles:
            tell(f"{name}: the orientations and half sets of {len(one.particles)} particles have no place in a model.")
        if one.ctf is not None:
            tell(f"{name}: fit resolutions and scores of the CTF have no place in a .defocus.")
            if any(tilt.used != view.used for tilt, view in zip(one.ctf.tilts, self._alignment.tilts, strict=True)):
                tell(f"{name}: which CTF fits were not used has no place in a .defocus.")
