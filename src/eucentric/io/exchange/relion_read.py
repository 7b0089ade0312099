"""A series as RELION-5 has it, into our record: its row of the global table, and the table of its tilts."""

import math
from collections import Counter
from collections.abc import Iterator, Sequence
from pathlib import Path, PurePosixPath
from urllib.parse import unquote

import numpy as np

from eucentric.core import Alignment, FormatError, Tilt, TiltSeries
from eucentric.io.exchange.records import ProcessedSeries, SeriesFiles, Volume
from eucentric.io.exchange.relion_ctf import read_ctf
from eucentric.io.exchange.relion_files import find, mrc_size
from eucentric.io.exchange.relion_geometry import Matrices, read_angles, read_matrices, turns_of
from eucentric.io.exchange.relion_labels import (
    EULER,
    IMAGES,
    MATRIX,
    SIZES,
    VOLUMES,
)
from eucentric.io.exchange.relion_tables import Tilts
from eucentric.io.exchange.remembering import Remembering
from eucentric.io.exchange.star import MISSING, StarBlock, median, numbers, texts

Size = tuple[float, float, float]


class SeriesReader:
    """Reads one series of a global table; `dropped` has then what was not read, but for whole columns."""

    def __init__(self, source: Path, row: Remembering[str], tilts: Tilts, folders: Sequence[Path]) -> None:
        """Take the row of `source`, and the table of its tilts."""
        self._source, self._row, self._path, self._block, self._folders = source, row, tilts.path, tilts.block, folders
        self._name, self._n = row["rlnTomoName"], len(tilts.block)
        self._used = [i < self._n - tilts.excluded for i in range(self._n)]
        self._global = StarBlock(Remembering({label: (value,) for label, value in row.items()}, row.asked))
        self.dropped: list[str] = []

    def read(self) -> ProcessedSeries:
        """Return the series.

        Raises
        ------
        FormatError
            If something that is needed is missing, or no number.
        pydantic.ValidationError
            If a number cannot be what it should.
        """
        original_A = self._one("rlnMicrographOriginalPixelSize", 0.0)
        pixel_A = self._one("rlnTomoTiltSeriesPixelSize", 0.0) or original_A
        if not 0.01 < pixel_A < 1e6:  # as in an MRC header: what is beyond is a mistake, or 0 where nothing is said
            raise FormatError(
                f"{self._source}: {self._name} has no pixel size that can be.", "Name the file that RELION wrote last."
            )
        self._pixel_A = pixel_A
        stack = self._stack()
        rows = self._rows_by_section(by_row=stack is not None)
        shape_yx = self._shape_yx(stack)
        series = self._series(rows, shape_yx)
        alignment = self._alignment(rows, shape_yx)
        ctf = read_ctf(self._path, self._global, self._block, rows, series, alignment)
        self._say_what_does_not_agree(with_ctf=ctf is not None)
        movies, images = self._found("rlnMicrographMovieName", rows), {}
        if stack is None:
            images = {kind: self._found(label, rows) for kind, label in IMAGES.items()}
            if self._has(IMAGES["images"]) and not images["images"]:
                self._drop("none of its images lies here, under the names in rlnMicrographName")
        frames = tuple(int(value) or None for value in self._column("rlnTomoTiltMovieFrameCount", rows, 0.0))
        targets = self._column("rlnTomoNominalDefocus", rows) if "rlnTomoNominalDefocus" in self._block.columns else []
        volume, volumes = self._volume()
        return ProcessedSeries(
            series=series,
            movie_pixel_A=original_A if original_A and not math.isclose(original_A, pixel_A, rel_tol=1e-6) else None,
            frames=frames if any(frames) else (),
            target_defocus_A=tuple(-1e4 * value for value in targets),
            alignment=alignment,
            ctf=ctf,
            volume=volume,
            files=SeriesFiles(stack=stack, movies=movies, **images, **volumes),
        )

    @property
    def size_xyz(self) -> Size | None:
        """The tomogram's size in unbinned pixels, where it is told."""
        if not all(label in self._row for label in SIZES):
            return None
        x, y, z = (self._one(label, 0.0) for label in SIZES)
        return (x, y, z) if min(x, y, z) >= 1 else None

    def _one(self, label: str, default: float | None = None) -> float:
        return numbers(self._source, self._global, label, default)[0]

    def _column(self, label: str, rows: Sequence[int], default: float | None = None) -> list[float]:
        values = numbers(self._path, self._block, label, default)
        return [values[row] for row in rows]

    def _say_what_does_not_agree(self, *, with_ctf: bool) -> None:
        optics = ("rlnSphericalAberration", "rlnAmplitudeContrast", "rlnTomoHand")
        if not with_ctf and (told := [f"{label} {self._row[label]}" for label in optics if label in self._row]):
            self._drop(f"without a CTF yet there is no place for {', '.join(told)[:200]}")
        if (hand := self._one("rlnTomoHand", 0.0)) not in (-1, 0, 1):
            self._drop(f"rlnTomoHand {hand:g} is neither 1 nor -1; its sign was read")
        if (count := self._one("rlnTomoFrameCount", self._n)) != self._n:
            self._drop(f"rlnTomoFrameCount says {count:g} tilts, the table has {self._n}, which were read")

    def _drop(self, what: str) -> None:
        self.dropped.append(f"{self._path}: {self._name}: {what}.")

    def _rows_by_section(self, *, by_row: bool) -> list[int]:
        """Return the row of each section: as our own export numbered them, as in the stack, or by tilt angle."""
        if by_row:
            return list(range(self._n))
        numbered = self._column("rlnMicrographId", range(self._n), 0.0)
        if len(set(numbered)) < self._n:
            numbered = self._stage_deg()
        return sorted(range(self._n), key=lambda row: numbered[row])

    def _stage_deg(self) -> list[float]:
        angles = "rlnTomoNominalStageTiltAngle"
        return numbers(self._path, self._block, angles if angles in self._block.columns else "rlnTomoYTilt")

    def _series(self, rows: Sequence[int], shape_yx: tuple[int, int]) -> TiltSeries:
        exact = "rlnMicrographPreExposure" in self._block.columns
        before = self._column("rlnMicrographPreExposure", range(self._n), 0.0)
        index = self._column("rlnTomoTiltMovieIndex", range(self._n), 0.0)
        chronology = index if len(set(index)) == self._n else before
        rank = {row: order for order, row in enumerate(sorted(range(self._n), key=lambda row: chronology[row]))}
        each = self._exposure_e_A2(before)
        if exact and each and min(before) > 0.5 * each and (index and min(index) <= 1):
            self._drop(
                f"the first tilt has {min(before):g} e/Å² before it: it is not the first of all, or RELION's importer"
                " took exposures from the .mdoc, and so counted each tilt's own; nothing was changed"
            )
        stage, movies = self._stage_deg(), texts(self._path, self._block, "rlnMicrographMovieName", MISSING)
        return TiltSeries(
            name=self._name,
            pixel_A=self._pixel_A,
            shape_yx=shape_yx,
            tilts=tuple(
                Tilt(
                    section=section,
                    tilt_deg=stage[row],
                    order=rank[row],
                    exposure_e_A2=each,
                    pre_exposure_e_A2=before[row] if exact else None,
                    movie=PurePosixPath(movies[row].replace("\\", "/")).name if movies[row] != MISSING else None,
                )
                for section, row in enumerate(rows)
            ),
            order_known=len(set(chronology)) == self._n,
            tilt_axis_deg=median(self._path, self._block, "rlnTomoNominalTiltAxisAngle", self.dropped),
            voltage_kV=self._one("rlnVoltage") if "rlnVoltage" in self._row else None,
        )

    def _has(self, *labels: str) -> bool:
        return all(label in self._block.columns for label in labels)

    def _exposure_e_A2(self, before: Sequence[float]) -> float | None:
        """Return what each tilt received: as told, or the one step that all pre-exposures are multiples of."""
        if told := self._one("rlnTomoImportFractionalDose", 0.0):
            return told
        steps = np.diff(np.sort(before))
        smallest = float(steps.min()) if len(steps) else 0.0
        if smallest < 1e-3:
            return None
        if np.abs(steps / smallest - np.round(steps / smallest)).max() < 0.02:
            return smallest
        self._drop("pre-exposures rise unevenly, so the exposure of each tilt is not known")
        return None

    def _found(self, label: str, rows: Sequence[int]) -> tuple[Path | None, ...]:
        """Return the files that a column names, by section, None for one that is not here; nothing if none is."""
        names = texts(self._path, self._block, label, MISSING)
        found = tuple(find(names[row], self._folders) for row in rows)
        return found if any(found) else ()

    def _stack(self) -> Path | None:
        """Return the stack of the older layout, if it lies here and has these sections."""
        named = self._row.get("rlnTomoTiltSeriesName", MISSING)
        path = find(named, self._folders)
        size = mrc_size(path)
        if path is None or size is None or size[0] != self._n:
            if named != MISSING:
                self._drop(f"the stack {named[:200]} does not lie here, or has another number of sections")
            return None
        return path

    def _shape_yx(self, stack: Path | None) -> tuple[int, int]:
        told = None
        if "rlnImageSizeX" in self._row and "rlnImageSizeY" in self._row:
            told = int(self._one("rlnImageSizeY")), int(self._one("rlnImageSizeX"))
        if sizes := Counter(self._sizes_of_images(stack)):
            shape_yx = sizes.most_common(1)[0][0]  # an image that is not as the others is told when it is read
            if told not in (None, shape_yx):
                self._drop(f"the images are not as large as rlnImageSizeX and rlnImageSizeY say, but {shape_yx[::-1]}")
            return shape_yx
        if told:
            return told
        if self._has(*MATRIX):
            return self._shape_from_both()
        tomogram = self.size_xyz
        if tomogram is None:
            raise FormatError(
                f"{self._path}: how large the images of {self._name} are is nowhere said, and none of them lies here.",
                "Put the images beside the file, under the names that it gives them.",
            )
        self._drop(
            f"the images were taken to be as large as the tomogram, {tomogram[0]:g} x {tomogram[1]:g}; none lies here"
        )
        return int(tomogram[1]), int(tomogram[0])

    def _sizes_of_images(self, stack: Path | None) -> Iterator[tuple[int, int]]:
        names = texts(self._path, self._block, IMAGES["images"], MISSING)
        for path in (stack,) if stack else (find(name, self._folders) for name in names[:100]):
            size = mrc_size(path)
            if size is not None:
                yield size[1:]

    def _middles_seen(self, matrices: Matrices) -> Matrices:
        """Return where matrices see the middle of the tomogram, half its size, in pixels from the images' corner."""
        size = self.size_xyz
        if size is None:
            raise FormatError(f"{self._path}: matrices of {self._name}, and no rlnTomoSizeX, Y and Z.")
        seen: Matrices = matrices[:, :2, :3] @ (np.array(size) / 2) + matrices[:, :2, 3]
        return seen

    def _shape_from_both(self) -> tuple[int, int]:
        """Find the middle of the images from matrices, which count from a corner, and shifts, which count from it."""
        if not self._has(*EULER):
            raise FormatError(
                f"{self._path}: projection matrices of {self._name} count from the images' corner, and no image lies"
                " here to tell where their middle is.",
                "Put the images beside the file, under the names that it gives them.",
            )
        shifts = read_angles(self._path, self._block).shifts_xy_A / self._pixel_A
        seen = self._middles_seen(read_matrices(self._path, self._block))
        columns, rows = (2 * round(float(value)) for value in np.median(seen - shifts, axis=0))
        if not (0 < rows < 1e6 and 0 < columns < 1e6):
            raise FormatError(f"{self._path}: matrices and shifts of {self._name} do not belong together.")
        self._drop(f"{columns} x {rows} pixels of the images follow from matrices and shifts; either may be one more")
        return rows, columns

    def _alignment(self, rows: Sequence[int], shape_yx: tuple[int, int]) -> Alignment | None:
        matrices = read_matrices(self._path, self._block) if self._has(*MATRIX) else None
        if self._has(*EULER):
            found = read_angles(self._path, self._block)
            if matrices is not None and found.differ_from(matrices):
                self._drop("angles and projection matrices differ: the angles were read, RELION takes the matrices")
        elif matrices is not None:
            middle = np.array([shape_yx[1] // 2, shape_yx[0] // 2])
            found = turns_of(self._path, matrices, (self._middles_seen(matrices) - middle) * self._pixel_A)
            if found.stretched:
                self._drop("matrices stretch or skew the specimen; that was left out")
        else:
            return None
        reasons = [unquote(text) for text in texts(self._path, self._block, "eucentricReason", "")]
        return Alignment(
            pixel_A=self._pixel_A,
            shape_yx=shape_yx,
            tilts=tuple(
                found.view(row, section).replace(
                    used=self._used[row], reason="" if self._used[row] or reasons[row] == MISSING else reasons[row]
                )
                for section, row in enumerate(rows)
            ),
        )

    def _volume(self) -> tuple[Volume | None, dict[str, Path]]:
        named = {kind: self._row[label] for kind, label in VOLUMES.items() if self._row.get(label, MISSING) != MISSING}
        files = {kind: path for kind, name in named.items() if (path := find(name, self._folders)) is not None}
        for kind in named.keys() - files.keys():
            self._drop(f"the file {named[kind][:200]} does not lie here")
        size, binning = self.size_xyz, self._one("rlnTomoTomogramBinning", 1.0)
        if size is None or binning <= 0 or (binning == 1 and not named):
            return None, files  # without a tomogram the size is but that from which particles are counted
        x, y, z = (max(1, int(n / binning + 1e-3)) for n in size)
        shape = mrc_size(files.get("tomogram")) or (z, y, x)
        if any(abs(n / binning - voxels) > 0.01 for n, voxels in zip(size, shape[::-1], strict=True)):
            self._drop(f"{', '.join(SIZES)}, binned, are not {shape[::-1]} voxels, which were taken")
        return Volume(shape_zyx=shape, voxel_A=binning * self._pixel_A), files
