"""`Recorder`: exposes, and sees to it that no exposure goes unrecorded and none is made twice.

The intent is on disk before the shutter opens; the outcome follows as soon as it is known, and before anything else is
done. Only then is the movie written, and the .mdoc of its series, each whole or not at all.
"""

from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from tempfile import gettempdir
from typing import Any, TypeVar
from uuid import uuid4

from eucentric.acquisition.past import RECORD, Past, details_of
from eucentric.acquisition.program import Step
from eucentric.acquisition.reacting import GiveUpError, Reactions, trouble_of
from eucentric.acquisition.series_files import SeriesFiles
from eucentric.core import EucentricError, OutputError, make_folder
from eucentric.io.movies import Compression, write_movie
from eucentric.microscope import BeamLostError, ExposureRequest, Microscope, MicroscopeError, Movie
from eucentric.session import ExposureBook, ExposureRecord, ExposureState, Intent

FreeBytes = Callable[[], float]
T = TypeVar("T")

_GB = 1e9


@dataclass(frozen=True)
class Shot:
    """What became of an exposure.

    `movie` is None where there is no image of it; `trouble` says why; `nothing_delivered` that it may be made again;
    `beam_lost` that there was no beam.
    """

    movie: Movie | None
    trouble: str = ""
    nothing_delivered: bool = False
    beam_lost: bool = False


@dataclass(frozen=True)
class MovieFiles:
    """How movies are written."""

    suffix: str = ".tif"
    compression: Compression = "lzw"


class Recorder:
    """Makes exposures and keeps their record.

    Parameters
    ----------
    microscope
        Which exposes.
    book
        Where exposures are noted.
    past
        What was received before; kept up to date.
    series
        The files of each target.
    movies
        How they are written.
    reactions
        The policies, for what comes before an exposure.
    patience
        The policies, for what comes after it: with a wait that no pause ends, while outcome and movie are in memory.
    least_GB, free_bytes
        What must be left on the disk, and what is.
    """

    def __init__(
        self,
        microscope: Microscope,
        book: ExposureBook,
        past: Past,
        series: Mapping[str, SeriesFiles],
        movies: MovieFiles,
        reactions: Reactions,
        patience: Reactions,
        least_GB: float,
        free_bytes: FreeBytes,
    ) -> None:
        self._microscope = microscope
        self._book = book
        self._past = past
        self._series = dict(series)
        self._movies = movies
        self._reactions = reactions
        self._patience = patience
        self._least_GB = least_GB
        self._free_bytes = free_bytes

    def series(self, name: str) -> SeriesFiles:
        """Return the files of a target, with the size that its images have."""
        return self._series[name]

    def expose(self, target: str, step: Step, request: ExposureRequest, defocus_A: float, **details: Any) -> Shot:
        """Expose once, and return what became of it, whatever the microscope does.

        Parameters
        ----------
        target
            The place that is hit.
        step
            The tilt of the plan that it belongs to.
        request
            What is asked for; its target and order are filled in.
        defocus_A
            What was wanted at the place.
        details
            What else is noted with the intent.

        Raises
        ------
        GiveUpError
            If the disk is full and the policy says so, or the operator stopped the microscope. If the exposure was
            made, its outcome is noted as soon as the journal can be written to again, at the latest when the session is
            next opened, as uncertain.
        """
        request = request.replace(target=target, order=step.order)
        try:
            tilt_deg = self._microscope.stage().tilt_deg
        except MicroscopeError as error:  # a microscope that does not say where it is, is not asked to expose
            return Shot(None, trouble_of(error), nothing_delivered=True)
        intent = Intent(
            target=target,
            order=step.order,
            tilt_deg=tilt_deg,
            exposure_e_A2=request.exposure_e_A2,
            purpose=request.purpose,
        )
        self._room(target, step)
        number = self._kept(lambda: self._book.intend(intent, frames=request.frames, **details), target, step)
        try:
            movie = self._microscope.expose(request)
        except MicroscopeError as error:
            shot = self._failed(error, number, intent, step)
            trouble_of(error)
            return shot
        except BaseException as error:
            # A fault of the driver's, or the user's second Ctrl-C: nobody knows how far the exposure came.
            self._received(intent, ExposureState.UNCERTAIN)
            with suppress(EucentricError):  # without a note it is uncertain all the same, once the session is opened
                self._book.uncertain(number, target, f"{type(error).__name__}: {error}")
            raise
        self._delivered(number, intent, movie, step, defocus_A, request.frames)
        return Shot(movie)

    def skip(self, target: str, step: Step, reason: str) -> None:
        """Note that an exposure of the plan is given up."""
        intent = self._planned(target, step)
        self._kept(lambda: self._book.skip(intent, reason), target, step)
        self._past.add(ExposureRecord(**dict(intent), state=ExposureState.SKIPPED))

    def _failed(self, error: MicroscopeError, number: int, intent: Intent, step: Step) -> Shot:
        target, reason, beam_lost = intent.target, error.what, isinstance(error, BeamLostError)
        if error.delivered_e_A2 is None:
            self._received(intent, ExposureState.UNCERTAIN)
            self._kept(lambda: self._book.uncertain(number, target, reason), target, step)
            return Shot(None, reason, beam_lost=beam_lost)
        if error.delivered_e_A2 == 0:
            self._kept(lambda: self._book.withheld(number, target, reason), target, step)
            return Shot(None, reason, nothing_delivered=True, beam_lost=beam_lost)
        delivered = intent.replace(exposure_e_A2=error.delivered_e_A2)
        self._received(delivered, ExposureState.DELIVERED)
        self._kept(
            lambda: self._book.delivered(
                number,
                target,
                exposure_e_A2=delivered.exposure_e_A2,
                tilt_deg=intent.tilt_deg,
                reason=reason,
                movie=None,
            ),
            target,
            step,
        )
        return Shot(None, reason, beam_lost=beam_lost)

    def _delivered(
        self, number: int, intent: Intent, movie: Movie, step: Step, defocus_A: float, asked_frames: int
    ) -> None:
        readback, target = movie.readback, intent.target
        path = self._movie_path(intent, step)
        details = details_of(path.name if path else None, movie.frames.shape, readback, defocus_A)
        # Settled from here on, whatever becomes of the journal and the disk.
        delivered = intent.replace(exposure_e_A2=readback.exposure_e_A2, tilt_deg=readback.tilt_deg)
        image = self._received(delivered, ExposureState.DELIVERED, {**details, "frames": asked_frames})
        try:
            self._kept(
                lambda: self._book.delivered(
                    number, target, exposure_e_A2=readback.exposure_e_A2, tilt_deg=readback.tilt_deg, **details
                ),
                target,
                step,
            )
        except BaseException as ended:
            if path is not None and movie.frames.size:
                raise self._rescued(path, movie, ended) from ended
            raise
        if path is None or image is None:
            return
        series = self._series[target]
        if movie.frames.size:
            # A camera gives the size of its images with the first of them.
            series = series.replace(shape_yx=movie.frames.shape[1:], pixel_A=movie.pixel_A)
            self._series[target] = series
            self._save(path, movie, target, step)
        self._past.images.setdefault(target, []).append(image)
        self._kept(lambda: series.write_mdoc(self._past.images[target]), target, step)

    def _save(self, path: Path, movie: Movie, target: str, step: Step) -> None:
        """Write a movie; where its own disk stays full to the end, into the system's temporary folder."""
        try:
            self._kept(lambda: self._write(path, movie), target, step)
        except BaseException as ended:
            raise self._rescued(path, movie, ended) from ended

    def _rescued(self, path: Path, movie: Movie, ended: BaseException) -> GiveUpError:
        """Write a movie elsewhere; return the error that ends the run and says where it is."""
        session = path.parent.parent.name
        rescued = Path(gettempdir()) / "eucentric-rescued" / f"{session}-{uuid4().hex[:8]}" / path.name
        try:
            self._write(rescued, movie)
        except EucentricError:
            return GiveUpError("abort", f"{ended} The movie {path.name} is lost: it was exposed, and no disk had room.")
        return GiveUpError("abort", f"{ended} The movie was saved as {rescued}: move it to {path.parent}.")

    def _write(self, path: Path, movie: Movie) -> None:
        make_folder(path.parent)
        write_movie(path, movie.frames, movie.pixel_A, compression=self._movies.compression)

    def write_mdocs(self) -> None:
        """Write the .mdoc of every target that has images, as after the last of them.

        Raises
        ------
        OutputError
            If one cannot be written.
        """
        for target, images in self._past.images.items():
            if images:
                self._series[target].write_mdoc(images)

    def _received(self, intent: Intent, state: ExposureState, details: dict[str, Any] | None = None) -> Any:
        return self._past.add(ExposureRecord(**dict(intent), state=state, details=details or {}))

    def _movie_path(self, intent: Intent, step: Step) -> Path | None:
        if intent.purpose != RECORD:
            return None
        return self._series[intent.target].movie_path(step.order, step.tilt_deg, self._movies.suffix)

    @staticmethod
    def _planned(target: str, step: Step) -> Intent:
        return Intent(
            target=target,
            order=step.order,
            tilt_deg=step.tilt_deg,
            exposure_e_A2=step.exposure.exposure_e_A2,
            purpose=RECORD,
        )

    def _room(self, target: str, step: Step) -> None:
        """Return once the disk has room, as the policy wants it, before anything is exposed."""
        attempt = 0
        while (free := self._free_bytes() / _GB) < self._least_GB:
            reason = f"the disk has {free:.1f} GB left; {self._least_GB:g} are to be kept"
            if not self._reactions.again("disk_low", reason, attempt, target=target, order=step.order):
                return
            attempt += 1

    def _kept(self, write: Callable[[], T], target: str, step: Step) -> T:
        """Write, and write again as the policy for a full disk says, keeping in memory what is to be written."""
        attempt = 0
        while True:
            try:
                return write()
            except OutputError as error:
                if not self._patience.again("disk_low", error.what, attempt, target=target, order=step.order):
                    raise
                attempt += 1
