"""One series of etomo into our record: its .xf, .tlt and .xtilt, and what its command files say of the tomogram."""

import math
import re
import warnings
from itertools import islice
from pathlib import Path

import numpy as np

from eucentric.core import Alignment, FormatError, FormatWarning, InputError, Tilt, TiltSeries
from eucentric.io.angles import read_angles
from eucentric.io.exchange.imod_com import Options, parse_views
from eucentric.io.exchange.imod_defocus import read_defocus
from eucentric.io.exchange.imod_folder import ALIGNED, TOMOGRAMS, EtomoFolder
from eucentric.io.exchange.imod_geometry import TiltGrid, grid_of
from eucentric.io.exchange.records import Particle, ProcessedSeries, SeriesFiles, Volume
from eucentric.io.imod import read_imod_alignment, read_xf
from eucentric.io.imod_model import read_imod_model
from eucentric.io.mrc import MrcImage, open_mrc
from eucentric.optics import SeriesCTF

_MAX_VIEWS = 10_000
_MAX_POINTS = 100_000
# What a tomogram's labels say where its sections are slices along z, of our hand: we wrote it, or `clip rotx` did.
_TURNED = re.compile(rb"Eucentric|clip: rot[a-z ]*x|rotx", re.IGNORECASE)
_LEFT_OUT = "left out in IMOD"


class ImodReader:
    """Reads the series of one name in one folder; `dropped` has then what was not read."""

    def __init__(self, folder: Path, name: str, pixel_A: float | None) -> None:
        """Take the folder, the name of its data set, and the pixel of the stack where that is known."""
        self.name, self.source, self._pixel_A = name, folder / name, pixel_A
        self._folder = EtomoFolder(folder, name)
        self.dropped = self._folder.dropped

    def read(self) -> ProcessedSeries:
        """Return the series.

        Raises
        ------
        InputError, FormatError
            If there is no alignment, or nothing tells the pixel size and shape of the images.
        pydantic.ValidationError
            If a number cannot be what it should.
        """
        xf, tlt = self._folder.one(".xf", "_fid.xf"), self._folder.one(".tlt", "_fid.tlt", ".rawtlt")
        if xf is None or tlt is None:
            raise InputError(
                f"{self.source}: there is no .xf with a .tlt or .rawtlt.",
                "Finish its alignment in etomo.",
            )
        tilt_com, newst = self._folder.com("tilt.com", "tilt"), self._folder.com("newst.com", "newstack")
        edf = self._settings()
        n = len(read_xf(xf))
        if n > _MAX_VIEWS:
            raise FormatError(f"{xf}: {n} transforms are no tilt series.", "Name the .xf of a tilt series.")
        stack = self._folder.stack(n)
        shape_yx, pixel_A = self._images(stack, tilt_com, edf, xf)
        xtilt = self._xtilt(tilt_com, tlt)
        with warnings.catch_warnings(record=True) as caught:
            warnings.simplefilter("always", FormatWarning)
            alignment = read_imod_alignment(xf, tlt, pixel_A, shape_yx, xtilt)
        self.dropped += [str(warning.message) for warning in caught]
        raw = self._folder.attempt(self._folder.one(".rawtlt"), read_angles)
        stage = raw if raw is not None and len(raw) == n else tuple(view.tilt_deg for view in alignment.tilts)
        alignment, volume = self._as_tilt_does(alignment, tilt_com, newst)
        alignment = self._left_out(alignment, tilt_com, edf)
        series = TiltSeries(
            name=self.name,
            pixel_A=pixel_A,
            shape_yx=shape_yx,
            tilts=tuple(Tilt(section=i, tilt_deg=stage[i], order=i) for i in range(n)),
            tilt_axis_deg=float(np.median([view.axis_deg for view in alignment.tilts])),
        )
        found = ProcessedSeries(
            series=series,
            alignment=alignment,
            ctf=self._ctf(alignment),
            volume=volume,
            particles=self._particles(volume),
            files=SeriesFiles(stack=stack.path if stack else None, tomogram=self._tomogram(volume)),
        )
        self._folder.say_what_is_left()
        self.dropped.append(
            f"{self.source}: etomo's files tell no order of acquisition and no exposures; the order is"
            " taken to be that of the sections."
        )
        return found

    def _settings(self) -> Options | None:
        """Return the settings of the .edf."""
        edf = self._folder.edf()
        named = edf.text("Setup.DatasetName") if edf else ""
        if edf is not None and named not in ("", self.name):
            self.dropped.append(f"{edf.path}: Setup.DatasetName {named[:60]!r} has no .xf here; {self.name} was read.")
        return edf

    def _xtilt(self, com: Options | None, tlt: Path) -> Path | None:
        """Return the file of tilts about x if `tilt` uses it, and tell where it was told of other files of tilts."""
        xtilt = self._folder.one(".xtilt")
        if com is None:
            return xtilt
        if xtilt is not None and not com.text("XTILTFILE"):
            self.dropped.append(f"{xtilt}: not read, as tilt.com has no XTILTFILE.")
            xtilt = None
        for option, used in (("TILTFILE", tlt), ("XTILTFILE", xtilt)):
            named = com.text(option)
            if named and (used is None or Path(named).name != used.name):
                instead = f"{used.name} was" if used else "no tilts about x were"
                self.dropped.append(f"{com.path}: {option} {named[:60]} was not read; {instead}.")
        return xtilt

    def _images(
        self, stack: MrcImage | None, com: Options | None, edf: Options | None, xf: Path
    ) -> tuple[tuple[int, int], float]:
        """Return the shape and the pixel of the recorded images."""
        pixel_A = self._pixel_A or (stack.pixel_A if stack else None)
        if pixel_A is None:
            try:
                pixel_A = float(edf.text("Setup.PixelSize") if edf else "nan") * 10  # in nm
            except ValueError:
                pixel_A = math.nan
            if not 0.01 <= pixel_A <= 1e4:
                raise InputError(
                    f"{self.source}: no pixel size; no stack with one is there.",
                    f"Put the stack there as {self.name}.mrc.",
                )
        if stack is not None:
            _, rows, columns = stack.data.shape
            return (rows, columns), pixel_A
        full = com.numbers("FULLIMAGE", (2,)) if com else ()
        if not full or not all(1 <= side < 1 << 20 for side in full):
            raise InputError(
                f"{self.source}: nothing tells the size of the images.",
                f"Put the stack there as {self.name}.mrc.",
            )
        a = read_xf(xf)[0]
        columns, rows = (round(side) for side in full)
        # etomo gives the size as it is once the axis is vertical.
        return ((columns, rows) if abs(a[0, 1]) > abs(a[0, 0]) else (rows, columns)), pixel_A

    def _as_tilt_does(
        self, alignment: Alignment, com: Options | None, newst: Options | None
    ) -> tuple[Alignment, Volume | None]:
        """Return the alignment and the grid with which a reconstruction is what tilt.com gives."""
        if com is None:
            self.dropped.append(
                f"{self.source.with_name('tilt.com')}: there is none; the tomogram's place is not known."
            )
            return alignment, None
        x_axis = com.number("XAXISTILT", 0.0)
        offset = (*com.numbers("OFFSET", (1, 2)), 0.0)[0]
        binning = round(com.number("IMAGEBINNED", 1))
        if not 1 <= binning <= 64:
            raise FormatError(f"{com.path}: IMAGEBINNED {binning} cannot be.")
        for option, what in (
            ("LOCALFILE", "local alignments"),
            ("ZFACTORFILE", "Z factors"),
            ("COMPRESS", "compression of the specimen"),
            ("LOCALSCALE", "the scale of local alignments"),
        ):
            if com.text(option):
                self.dropped.append(f"{com.path}: {option} {com.text(option)[:60]}: {what} were not read.")
        if newst is not None:
            if any(newst.numbers("OffsetsInXandY", (2,))):
                self.dropped.append(f"{newst.path}: OffsetsInXandY were not read; the tomogram lies elsewhere by them.")
            if newst.text("DistortionField") or newst.text("GradientFile"):
                self.dropped.append(f"{newst.path}: its distortion field or magnification gradients were not read.")
        grid = grid_of(com, self._aligned_size(newst, binning), binning)
        middle = grid.centre_xy if grid else (0.0, 0.0)
        views = []
        for view in alignment.tilts:
            # Where the aligned image shows the middle that `tilt` turns about, put back into the recorded one.
            x, y = np.array(middle) * binning * alignment.pixel_A * view.magnification
            c, s = math.cos(math.radians(view.axis_deg)), math.sin(math.radians(view.axis_deg))
            row, column = view.shift_yx_A
            views.append(
                view.replace(
                    tilt_deg=view.tilt_deg + offset,
                    x_tilt_deg=view.x_tilt_deg - x_axis,
                    shift_yx_A=(row + s * x + c * y, column + c * x - s * y),
                )
            )
        alignment = alignment.replace(tilts=tuple(views))
        if grid is None:
            self.dropped.append(f"{com.path}: has no THICKNESS or size; the tomogram's place is not known.")
            return alignment, None
        return self._onto(alignment, grid, alignment.pixel_A * binning)

    def _onto(self, alignment: Alignment, grid: TiltGrid, voxel_A: float) -> tuple[Alignment, Volume]:
        z, y, x = (place * voxel_A for place in grid.moved_zyx())
        return alignment.moved((z, y, x)), Volume(shape_zyx=grid.shape_zyx, voxel_A=voxel_A)

    def _aligned_size(self, newst: Options | None, binning: int) -> tuple[int, int] | None:
        aligned = self._folder.attempt(self._folder.one(*ALIGNED), open_mrc)
        if aligned is not None:
            _, rows, columns = aligned.data.shape
            return columns, rows
        size = newst.numbers("SizeToOutputInXandY", (2,)) if newst else ()
        if newst is None or not size:
            return None
        binned = round(newst.number("BinByFactor", 1))
        if binned != binning:
            self.dropped.append(
                f"{newst.path}: its size was not read; BinByFactor is {binned}, IMAGEBINNED of tilt.com {binning}."
            )
            return None
        return max(1, round(size[0])), max(1, round(size[1]))

    def _left_out(self, alignment: Alignment, com: Options | None, edf: Options | None) -> Alignment:
        out: frozenset[int] = frozenset()
        for options, name in ((com, "EXCLUDE"), (edf, "Setup.AxisA.ExcludeProjections")):
            if options is None:
                continue
            try:
                out |= parse_views(options.text(name))
            except FormatError as error:
                self.dropped.append(f"{options.path}: the views left out were not read ({error.what})")
        return alignment.replace(
            tilts=tuple(
                view.replace(used=False, reason=_LEFT_OUT) if view.section in out else view for view in alignment.tilts
            )
        )

    def _ctf(self, alignment: Alignment) -> SeriesCTF | None:
        com = self._folder.com("ctfcorrection.com", "ctfphaseflip")
        found = self._folder.attempt(self._folder.one(".defocus"), lambda path: read_defocus(path, alignment, com))
        if found is None:
            return None
        self.dropped += found[1]
        return found[0]

    def _particles(self, volume: Volume | None) -> tuple[Particle, ...]:
        path = self._folder.one("_particles.mod")
        model = self._folder.attempt(path, read_imod_model)
        if model is None or path is None:
            return ()
        if volume is None or model.size_xyz != volume.shape_zyx[::-1]:
            self.dropped.append(f"{path}: its points were not read; they are of a volume of another size.")
            return ()
        particles = (
            # IMOD counts x and y from the edge of the first voxel, z from its middle.
            Particle(
                position_zyx_A=(
                    (float(z) - volume.shape_zyx[0] // 2) * volume.voxel_A,
                    (float(y) - 0.5 - volume.shape_zyx[1] // 2) * volume.voxel_A,
                    (float(x) - 0.5 - volume.shape_zyx[2] // 2) * volume.voxel_A,
                ),
                label=one.name,
            )
            for one in model.objects
            for contour in one.contours
            for x, y, z in contour
            if np.isfinite((x, y, z)).all()
        )
        found = tuple(islice(particles, _MAX_POINTS))
        if len(found) == _MAX_POINTS:
            self.dropped.append(f"{path}: only its first {_MAX_POINTS} points were read.")
        return found

    def _tomogram(self, volume: Volume | None) -> Path | None:
        tomogram = self._folder.attempt(self._folder.one(*TOMOGRAMS), open_mrc)
        if tomogram is None:
            return None
        with tomogram.path.open("rb") as file:
            labels = file.read(1024)[224:]
        if volume is not None and tomogram.data.shape == volume.shape_zyx and _TURNED.search(labels):
            return tomogram.path
        self.dropped.append(
            f"{tomogram.path}: the tomogram was not taken; it was trimmed, or its header does not say that it was"
            " turned by trimvol -rx, as ours are (-yz mirrors)."
        )
        return None
