"""`process_movies`: the movies of a series to a tomogram and a report: gain, motion and sums before all the rest."""

import warnings

import torch

from eucentric.assessment import HalvesOf
from eucentric.core import SILENT, DataWarning, InputError, Reporter, TiltSeries, write_text
from eucentric.design import Plan
from eucentric.io import LoadedSeries, open_mrc
from eucentric.io.movie_series import MovieSeries
from eucentric.optics import Lens
from eucentric.processing.motion import SeriesMotion, estimate_series
from eucentric.session import Session, StageRun
from eucentric.workflow.lens import lens_of
from eucentric.workflow.movie_frames import MovieFrames
from eucentric.workflow.movie_gain import find_gain
from eucentric.workflow.plan_check import compared_with_plan, planned
from eucentric.workflow.process import VERSIONS, SeriesRun
from eucentric.workflow.records import MotionStage, ProcessOutcome, ProcessSettings, Sums, SumsStage
from eucentric.workflow.stages import Stages, read_record
from eucentric.workflow.summed_movies import SummedMovies
from eucentric.workflow.summing import sum_series

_VOLTAGE_KV = 300.0  # where nobody says: nearly all tilt series are recorded at it


def process_movies(
    session: Session,
    movies: MovieSeries,
    settings: ProcessSettings,
    *,
    plan: Plan | None = None,
    device: torch.device | None = None,
    reporter: Reporter = SILENT,
    noticed: tuple[str, ...] = (),
) -> ProcessOutcome:
    """Process one series from its movies on; stages that are done as planned are not run again.

    A movie that is missing or broken costs its own tilt and no other; one frame costs that frame.

    Parameters
    ----------
    session
        Where results and the journal go.
    movies
        The series; its movies are only read, one at a time.
    settings
        Settings of all stages.
    plan
        That the series was acquired by, if it is known: its exposures and its defocus are compared with the series'.
    device
        Where to compute; the CPU if absent. It does not outdate results.
    reporter
        Where progress goes.
    noticed
        Warnings of the loading, for the report.

    Raises
    ------
    InputError
        If the series cannot be processed.
    OutputError
        If results cannot be written; finished stages are kept.

    Warns
    -----
    DataWarning
        `movie-left-out`, `frame-left-out`: what could not be read. `gain-unsure`: it cannot be told how the gain
        reference lies. `camera-pattern`: frames share what no gain took away. `exposure-plan`, `exposure-missing`:
        exposures that are not those of the plan, or not there.
        `no-ctf`, `hand-unsure`: what the images did not tell. `mended-pixels`: defective pixels were replaced.
    """
    outcome = _MoviesRun(session, movies, settings, plan, device or torch.device("cpu"), reporter, noticed).all_stages()
    for message in outcome.warnings[len(noticed) :]:
        warnings.warn(message, DataWarning, stacklevel=2)
    return outcome


class _MoviesRun:
    """One pass over the stages of one series from its movies on."""

    def __init__(
        self,
        session: Session,
        movies: MovieSeries,
        settings: ProcessSettings,
        plan: Plan | None,
        device: torch.device,
        reporter: Reporter,
        noticed: tuple[str, ...],
    ) -> None:
        name = movies.series.name
        if name == "tomogram":
            raise InputError(
                f"A series named {name} would have its stack where the tomogram goes; nothing was done.",
                "Give it another --name.",
            )
        self._stages = Stages(session, name, VERSIONS, reporter)
        self._movies, self._settings, self._plan = movies, settings, plan
        self._device, self._reporter, self._noticed = device, reporter, noticed
        self._series, self._said = movies.series, list[str]()
        if plan is not None:
            self._series, doubts = compared_with_plan(movies.series, plan, movies.sources[0].name)
            self._said += doubts
        self._paths = tuple(movie.path for movie in movies.movies if movie is not None)
        self._sections = tuple(section for section, movie in enumerate(movies.movies) if movie is not None)

    def all_stages(self) -> ProcessOutcome:
        """Run what is not done, and return what became of the series."""
        folder = self._stages.folder
        gain, corrector = find_gain(self._stages, self._movies, self._settings.gain, self._reporter)
        frames = MovieFrames(self._movies.movies, corrector, self._device)
        camera = (folder / "defects.npz", *((self._movies.gain,) if self._movies.gain else ()))
        settings = MotionStage(
            pixel_A=self._series.pixel_A, sections=self._sections, gain=gain.lies, motion=self._settings.motion
        )
        self._stages.run("motion", settings, (*camera, *self._paths), lambda run: self._motion(run, frames))
        motion = read_record(folder / "motion.json", SeriesMotion)
        summing = SumsStage(
            series=self._series,
            frames=tuple(movie.shape[0] if movie else 0 for movie in self._movies.movies),
            gain=gain.lies,
            dose_weighting=self._settings.dose_weighting,
            voltage_kV=self._voltage_kV() or _VOLTAGE_KV,
        )
        self._stages.run(
            "sums",
            summing,
            (folder / "motion.json", *camera, *self._paths),
            lambda run: sum_series(run, frames, motion, summing, self._movies.missing, self._reporter),
        )
        sums = read_record(folder / "sums.json", Sums)
        self._tell_exposures(sums)
        self._tell_frames(sums, motion)
        name = self._series.name
        stack = folder / f"{name}.mrc"
        summed = SummedMovies(
            tilts=len(self._series.tilts),
            missing=frozenset(self._movies.missing),
            sums=sums,
            gain=gain,
            motion=motion,
            unweighted=folder / f"{name}_unweighted.mrc",
            even=folder / f"{name}_even.mrc",
            odd=folder / f"{name}_odd.mrc",
            halves=self._halves(sums),
            target_defocus_A=self._target_defocus_A(sums),
            lens=self._lens(),
        )
        loaded = LoadedSeries(sums.series, open_mrc(stack).data, (stack,), ())
        noticed = (*self._noticed, *self._said)
        rest = SeriesRun(self._stages, loaded, self._settings, self._device, self._reporter, noticed, summed)
        return rest.all_stages()

    def _motion(self, run: StageRun, frames: MovieFrames) -> None:
        readers = [frames.transforms(section) if movie else None for section, movie in enumerate(self._movies.movies)]
        found = estimate_series(readers, self._series.pixel_A, self._settings.motion, reporter=self._reporter)
        # The estimate counts the frames that it was given; the record says which of the movie's they are.
        tracks = [
            track and track.replace(frames=tuple(frames.readable[section][frame] for frame in track.frames))
            for section, track in enumerate(found.tracks)
        ]
        motion = found.replace(tracks=tuple(tracks), reasons={**found.reasons, **self._movies.missing})
        path = run.folder / "motion.json"
        write_text(path, motion.model_dump_json(indent=1))
        run.output(path)
        run.metric("total_A", [track and round(track.total_A, 2) for track in motion.tracks])
        run.metric("left_out", motion.reasons)

    def _halves(self, sums: Sums) -> HalvesOf:
        asked = self._settings.halves
        short = [section for section, n in zip(sums.sections, sums.frames, strict=True) if n < 2]
        if asked == "counts" and self._settings.dose_weighting:
            raise InputError(
                f"{self._series.name}: counts that were weighted by exposure cannot be split into halves; the sums "
                "were made, and no tomogram.",
                "Use --halves tilts, or counts with --no-dose-weighting." if short else "Use --halves frames.",
            )
        if asked == "frames" and short:
            raise InputError(
                f"{self._series.name}: halves of frames need two frames in every movie, and those of sections "
                f"{short[:5]} have one; the sums were made, and no tomogram.",
                "Use --halves tilts.",
            )
        if asked is None and short:
            self._reporter.say(f"{self._series.name}: {len(short)} movies have one frame: the halves are of tilts.")
        return asked or ("tilts" if short else "frames")

    def _target_defocus_A(self, sums: Sums) -> tuple[float | None, ...]:
        meant = planned(self._series, self._plan) if self._plan else (None,) * len(self._series.tilts)
        asked = []
        for section in sums.sections:
            exposure, given = meant[section], self._movies.target_defocus_A[section]
            asked.append(exposure.defocus_A if given is None and exposure is not None else given)
        return tuple(asked)

    def _voltage_kV(self) -> float | None:
        planned_kV = self._plan.design.lens.voltage_kV if self._plan else None
        return self._settings.lens.voltage_kV or self._series.voltage_kV or planned_kV

    def _lens(self) -> Lens | None:
        """Return the lens: what the user says, else the plan, else what is usual; None without a voltage."""
        return lens_of(self._voltage_kV(), self._settings.lens, self._plan)

    def _tell_exposures(self, sums: Sums) -> None:
        unknown = [tilt.section for tilt in sums.series.tilts if not _weighable(sums.series, tilt.section)]
        if self._settings.dose_weighting and unknown:
            self._said.append(
                f"{self._series.name}: the exposures of {len(unknown)} of {len(sums.series.tilts)} tilts are not "
                "known; their frames were not weighted by it. [exposure-missing]"
            )

    def _tell_frames(self, sums: Sums, motion: SeriesMotion) -> None:
        for section in sums.sections:
            movie, track = self._movies.movies[section], motion.tracks[section]
            if movie is None or track is None:
                continue
            lost = sorted(set(range(movie.shape[0])) - set(track.frames))
            if lost:
                listed = ", ".join(str(frame) for frame in lost[:5])
                self._said.append(
                    f"{movie.path}: frames {listed}{' and others' if len(lost) > 5 else ''} of {movie.shape[0]} cannot "
                    "be read; its tilt is the sum of the others. [frame-left-out]"
                )


def _weighable(series: TiltSeries, section: int) -> bool:
    tilt = series.tilts[section]
    return tilt.exposure_e_A2 is not None and tilt.pre_exposure_e_A2 is not None
