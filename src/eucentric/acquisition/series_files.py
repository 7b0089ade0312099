"""The files of an acquired series: where its movies are, its .mdoc, its stack, and both sorted by tilt for export.

Whoever acquires, the engine or the simulation, writes them here, so that readers find the same files after both.
"""

import warnings
from collections.abc import Sequence
from datetime import datetime, timedelta
from pathlib import Path
from typing import Annotated, Literal

import numpy as np
from numpy.typing import NDArray
from pydantic import Field

from eucentric.acquisition.movie_sums import sum_movies
from eucentric.core import SILENT, Angstrom, DataWarning, ElectronsPerA2, InputError, Record, Reporter, whole_or_nothing
from eucentric.io import mdoc_writer, write_angles, write_mrc
from eucentric.io.mdoc_writer import MdocHeader, MdocImage
from eucentric.microscope import Readback

_FOLDERS = {"posix": "frames/", "windows": "X:\\eucentric\\frames\\"}  # as the .mdoc names that of the movies
_SECTION = "\n[ZValue = "

ElectronVolts = Annotated[float, Field(allow_inf_nan=False)]
Scheme = Literal["dosym", "bidir"]
_SCHEMES: dict[str, Scheme] = {"dose-symmetric": "dosym", "bidirectional": "bidir"}


class SeriesImage(Record):
    """One image of a series.

    Attributes
    ----------
    movie
        Name of its movie, in the folder of movies.
    frames, asked_frames
        How many the movie has, and how many the exposure was divided into, where some are missing. A movie of one
        frame is the sum of all.
    readback
        What the microscope said of the exposure.
    target_defocus_A
        What was asked for, underfocus positive.
    pre_exposure_e_A2
        What the target had received before, from exposures of every purpose.
    """

    movie: Annotated[str, Field(pattern=r"^[^/\\]+$")]
    frames: Annotated[int, Field(ge=1)]
    asked_frames: Annotated[int, Field(ge=1)] | None = None
    readback: Readback
    target_defocus_A: Angstrom
    pre_exposure_e_A2: ElectronsPerA2


class SeriesFiles(Record):
    """Where the files of a series are, and what is the same for all its images.

    Attributes
    ----------
    name
        Of the series.
    folder
        The session's.
    pixel_A, shape_yx, voltage_kV
        Of the images and the microscope.
    scheme
        SerialEM's word for the order of the tilts, where it has one (`serialem_scheme`).
    frame_paths
        How the .mdoc names movies: as a POSIX path from the session's folder, or as a Windows camera computer would.
    counts_per_electron
        In the stack (`movie_sums.stack_scale`), of movies that count electrons; None leaves counts as they are.
    binning, spot_size
        Of camera and illumination, as the .mdoc tells them.
    slit
        Width and energy loss of the filter (eV), if there is one.
    began
        When the series began, by the microscope's clock, and the same whenever its files are written: no image is
        dated within a second of it.
    title
        Of the .mdoc.
    """

    name: Annotated[str, Field(pattern=r"^[A-Za-z0-9_][A-Za-z0-9_.-]*$")]
    folder: Path
    pixel_A: Annotated[float, Field(ge=0.01, le=1e6)]
    shape_yx: tuple[Annotated[int, Field(ge=1)], Annotated[int, Field(ge=1)]]
    voltage_kV: Annotated[float, Field(ge=1, le=1e4)]
    scheme: Scheme | None = None
    frame_paths: Literal["posix", "windows"] = "posix"
    counts_per_electron: Annotated[float, Field(ge=1e-6, allow_inf_nan=False)] | None = None
    binning: Annotated[float, Field(ge=1e-6, allow_inf_nan=False)] = 1.0
    spot_size: Annotated[int, Field(ge=1)] = 5
    slit: tuple[Annotated[ElectronVolts, Field(ge=0)], ElectronVolts] | None = None
    began: datetime
    title: str = "Acquired by Eucentric"

    @property
    def frames_folder(self) -> Path:
        """Where the movies are."""
        return self.folder / "frames"

    @property
    def stack(self) -> Path:
        """The sums of the movies, in the order of acquisition."""
        return self.folder / "mdoc" / f"{self.name}.mrc"

    @property
    def mdoc(self) -> Path:
        """The .mdoc of the stack."""
        return self.stack.with_name(f"{self.stack.name}.mdoc")

    def movie_path(self, order: int, tilt_deg: float, suffix: str) -> Path:
        """Return where the movie of a tilt goes; `order` is its place in the acquisition, from 0."""
        # As SerialEM names them: series, number, angle.
        return self.frames_folder / f"{self.name}_{order:03d}_{tilt_deg:.1f}{suffix}"

    def write_mdoc(self, images: Sequence[SeriesImage]) -> Path:
        """Write the .mdoc of the images so far, in the order of acquisition, whole or not at all.

        Raises
        ------
        InputError
            If there is no image, or the exposures before them do not grow; the file is as it was.
        OutputError
            If it cannot be written; the file is as it was.
        """
        mdoc_writer.write_mdoc(self.mdoc, self._header(self.mdoc, images), self._mdoc_images(images))
        return self.mdoc

    def write_stack(
        self, images: Sequence[SeriesImage], gain: NDArray[np.float32] | None = None, reporter: Reporter = SILENT
    ) -> Path | None:
        """Write the sums of the frames, as a camera's program does, and the .mdoc of the images in the stack.

        Parameters
        ----------
        images
            In the order of acquisition.
        gain
            Gain reference of the images' shape, by which the counts are multiplied.
        reporter
            Where progress goes.

        Returns
        -------
        Path or None
            The stack; None if no movie could be read, and stack and .mdoc are as they were.

        Raises
        ------
        InputError
            If there is no image, or the gain reference is of another shape; nothing is written.
        OutputError
            If a file cannot be written.

        Warns
        -----
        DataWarning
            `movie-left-out`: a movie is missing, unreadable, or not the one that was recorded; its tilt is left out
            of stack and .mdoc. `no-movies`: there was none that could be read.
        """
        header = self._header(self.mdoc, images)
        kept = self._write_sums(self.stack, images, gain, reporter)
        if not kept:
            return None
        every = self._mdoc_images(images)
        mdoc_writer.write_mdoc(self.mdoc, header, [every[order] for order in kept])
        return self.stack

    def write_sorted(
        self,
        images: Sequence[SeriesImage],
        folder: Path,
        gain: NDArray[np.float32] | None = None,
        reporter: Reporter = SILENT,
    ) -> list[Path]:
        """Write the stack sorted by tilt, from the lowest, with its .rawtlt and .mdoc, into another folder.

        The sections of the .mdoc are those of the sorted stack; their times and prior exposures tell the order of
        acquisition. Parameters and warnings are those of `write_stack`.

        Returns
        -------
        list of Path
            Stack, angles and .mdoc; none where no movie could be read.

        Raises
        ------
        InputError
            If there is no image, the gain reference is of another shape, or the folder is that of the unsorted stack;
            nothing is written.
        OutputError
            If a file cannot be written.
        """
        stack = Path(folder) / self.stack.name
        angles, mdoc = stack.with_suffix(".rawtlt"), stack.with_name(self.mdoc.name)
        if stack.resolve() == self.stack.resolve():
            raise InputError(
                f"{folder}: the stack in the order of acquisition is here; nothing was written.",
                "Choose another folder for the sorted one.",
            )
        header = self._header(mdoc, images)
        by_tilt = sorted(range(len(images)), key=lambda order: (images[order].readback.tilt_deg, order))
        summed = self._write_sums(stack, [images[order] for order in by_tilt], gain, reporter)
        if not summed:
            return []
        kept = [by_tilt[index] for index in summed]
        write_angles(angles, [images[order].readback.tilt_deg for order in kept])
        every, acquired = self._mdoc_images(images), sorted(kept)
        with whole_or_nothing(mdoc) as partial:
            mdoc_writer.write_mdoc(partial, header, [every[order] for order in acquired])
            text = _rearranged(partial.read_text(encoding="utf-8"), [acquired.index(order) for order in kept])
            partial.write_text(text, encoding="utf-8")
        return [stack, angles, mdoc]

    def _header(self, path: Path, images: Sequence[SeriesImage]) -> MdocHeader:
        if not images:
            raise InputError(f"{path}: there are no images to write.")
        first = images[0].readback
        return MdocHeader(
            pixel_A=self.pixel_A,
            voltage_kV=self.voltage_kV,
            image_file=self.stack.name,
            shape_yx=self.shape_yx,
            tilt_axis_deg=first.axis_deg,
            scheme=self.scheme,
            scheme_start_deg=first.tilt_deg,
            title=self.title,
        )

    def _mdoc_images(self, images: Sequence[SeriesImage]) -> list[MdocImage]:
        """Describe all images, so that the date of one does not hang on which others are left out."""
        described, last = [], self._local(self.began)
        for image in images:
            ended = self._local(image.readback.began) + timedelta(seconds=image.readback.seconds)
            # Readers tell the order by whole seconds, which a routine without any pause would outrun.
            last = max(ended, last + timedelta(seconds=1))
            described.append(self._mdoc_image(image, last))
        return described

    def _local(self, time: datetime) -> datetime:
        """Return the time that a clock in the zone of `began` shows: an .mdoc has no zones."""
        if time.tzinfo is not None and self.began.tzinfo is not None:
            time = time.astimezone(self.began.tzinfo)
        return time.replace(tzinfo=None)

    def _mdoc_image(self, image: SeriesImage, recorded: datetime) -> MdocImage:
        readback, scale = image.readback, self.counts_per_electron or 1.0
        divided = image.asked_frames if image.asked_frames and image.frames > 1 else image.frames
        return MdocImage(
            tilt_deg=readback.tilt_deg,
            exposure_e_A2=readback.exposure_e_A2,
            pre_exposure_e_A2=image.pre_exposure_e_A2,
            defocus_A=readback.defocus_A,
            target_defocus_A=image.target_defocus_A,
            exposure_s=readback.seconds,
            recorded=recorded,
            frame_path=_FOLDERS[self.frame_paths] + image.movie,
            n_frames=image.frames,
            pixel_A=self.pixel_A,
            spot_size=self.spot_size,
            stage_xy_A=(readback.stage.x_A, readback.stage.y_A),
            stage_z_A=readback.stage.z_A,
            image_shift_xy_A=readback.image_shift_yx_A[::-1],
            dose_rate_e_px_s=readback.dose_rate_e_px_s,
            frame_exposures=((readback.exposure_e_A2 / divided, image.frames),),
            counts_per_electron=self.counts_per_electron,
            binning=self.binning,
            min_max_mean=(
                round(readback.counts_min * scale),
                round(readback.counts_max * scale),
                round(readback.counts_mean * scale, 2),
            ),
            slit=self.slit,
        )

    def _write_sums(
        self, path: Path, images: Sequence[SeriesImage], gain: NDArray[np.float32] | None, reporter: Reporter
    ) -> tuple[int, ...]:
        """Write the sums of the images' movies, one a section, and return which images these are."""
        movies = [(self.frames_folder / image.movie, image.frames) for image in images]
        summed = sum_movies(movies, self.shape_yx, scale=self.counts_per_electron or 1.0, gain=gain, reporter=reporter)
        if summed.kept:
            label = "Sums of frames" if gain is None else "Sums of frames, gain corrected"
            write_mrc(path, summed.sums, self.pixel_A, kind="stack", label=label)
        else:
            message = f"{path}: none of its {len(images)} movies could be read, and no stack was written. [no-movies]"
            warnings.warn(message, DataWarning, stacklevel=3)
        return summed.kept


def serialem_scheme(kind: str) -> Scheme | None:
    """Return SerialEM's word for a kind of tilt scheme (its title lines: dosym, bidir), None where it has none."""
    return _SCHEMES.get(kind)


def _rearranged(mdoc: str, ranks: Sequence[int]) -> str:
    """Return the text of an .mdoc with section ``ranks[z]`` as section z."""
    head, *sections = mdoc.split(_SECTION)
    bodies = [section.partition("]")[2] for section in sections]
    return head + "".join(f"{_SECTION}{z}]{bodies[rank]}" for z, rank in enumerate(ranks))
