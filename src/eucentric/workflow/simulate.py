"""`simulate`: a plan acquired on the twin: movies, gain reference, .mdoc, stack, and the whole truth beside them.

Everything follows from the plan, the settings and the seed. A tilt whose movie and truth are on disk is done: a run
that goes on replays it without pixels, and everything after it is the same to the byte as if nothing had happened.
"""

from collections.abc import Sequence
from pathlib import Path
from typing import Annotated, Literal

from pydantic import Field, ValidationError

from eucentric.acquisition.movie_sums import stack_scale
from eucentric.acquisition.series_files import SeriesFiles, SeriesImage, serialem_scheme
from eucentric.core import SILENT, InputError, Record, Reporter, stream, write_text
from eucentric.design import Exposure, Plan
from eucentric.detector import DETECTORS
from eucentric.io import open_mrc, write_mrc, write_plan
from eucentric.io.movies import Compression, write_movie
from eucentric.microscope import ExposureRequest
from eucentric.session import RunStatus, Session, StagePlan, StageRun
from eucentric.specimen.sample import Sample
from eucentric.twin import Effects, Twin, TwinSettings
from eucentric.workflow.simulated_truth import SimulatedTilt, write_truth
from eucentric.workflow.twin_microscope import specimen_for

_VERSION = 1
_TITLE = "Digitized on the twin of Eucentric"
_SLIT_eV = (20.0, 0.0)  # width and energy loss
_TILTS = "tilts.json"


class SimulateSettings(Record):
    """How a plan is simulated.

    Attributes
    ----------
    specimen
        Name of one of the twin's own, or the path of a specimen file.
    name
        Of the series.
    size
        Pixels a side of the camera.
    pixel_A
        In place of the plan's.
    frames
        Of each movie, in place of the plan's.
    seed
        Of the specimen and of all that is random.
    format, compression
        Of the movies.
    frame_paths
        How the .mdoc names movies: as a POSIX path from the session's folder, or as a Windows camera computer would.
    detector
        Name of the camera.
    effects
        What is on.
    twin
        The microscope; its `detector` is replaced.
    """

    specimen: str = "cell"
    name: Annotated[str, Field(pattern=r"^[A-Za-z0-9_][A-Za-z0-9_.-]*$")] = "TS_001"
    size: Annotated[int, Field(ge=32, le=16_384)] = 1024
    pixel_A: Annotated[float, Field(ge=0.1, le=200)] | None = None
    frames: Annotated[int, Field(ge=1, le=1000)] | None = None
    seed: Annotated[int, Field(ge=0)] = 0
    format: Literal["tiff", "mrc"] = "tiff"
    compression: Compression = "lzw"
    frame_paths: Literal["posix", "windows"] = "posix"
    detector: str = "k2"
    effects: Effects = Effects()
    twin: TwinSettings = TwinSettings()


class SimulateOutcome(Record):
    """What was written, and what is true of all of it.

    Attributes
    ----------
    folder, stack, mdoc, gain, truth
        The session, and what is in it of this series.
    tilts, made_now
        How many there are, and how many of them this run exposed.
    exposure_e_A2, virtual_s
        In all; and how long it took by the microscope's own clock.
    molecules
        In the specimen.
    counts_per_electron
        In the stack.
    detection
        Share of the arriving electrons that are counted.
    thickness_A, axis_deg
        Of the ice, in the mean; of the tilt axis in the images.
    """

    folder: Path
    stack: Path
    mdoc: Path
    gain: Path
    truth: Path
    tilts: int
    made_now: int
    exposure_e_A2: float
    virtual_s: float
    molecules: int
    counts_per_electron: float
    detection: float
    thickness_A: float
    axis_deg: float


def simulate(
    session: Session, plan: Plan, settings: SimulateSettings, *, resume: bool = False, reporter: Reporter = SILENT
) -> SimulateOutcome:
    """Acquire a plan on the twin and write all that a microscope would, with the truth.

    Parameters
    ----------
    session
        Where it goes; the plan is kept in it.
    plan
        What is acquired.
    settings
        Specimen, camera, effects, seed.
    resume
        Go on where an earlier run of the same settings stopped.
    reporter
        Where progress goes.

    Raises
    ------
    InputError
        If the specimen cannot be made, or the session holds a simulation already and this is not to go on with it, or
        one of another plan or other settings.
    OutputError
        If a file cannot be written; finished tilts are kept.
    """
    return _Simulation(session, plan, settings, reporter).run(resume)


class _Simulation:
    """One series on its way to disk."""

    def __init__(self, session: Session, plan: Plan, settings: SimulateSettings, reporter: Reporter) -> None:
        self.session, self.plan, self.settings, self.reporter = session, plan, settings, reporter
        self.truth = session.folder / "truth" / settings.name
        self.pixel_A = settings.pixel_A or plan.design.camera.pixel_A
        self.suffix = ".tif" if settings.format == "tiff" else ".mrc"
        if settings.detector not in DETECTORS:
            raise InputError(
                f"--detector {settings.detector}: there is no such camera.", f"Use {', '.join(DETECTORS)}."
            )
        self.files = self._files()
        self.gain = self.files.frames_folder / "gain.mrc"

    def run(self, resume: bool) -> SimulateOutcome:
        plan_path = self.session.folder / "plan.yaml"
        self._refuse_another(resume, plan_path)
        sample = self._sample()
        if not plan_path.exists():
            write_plan(plan_path, self.plan)
        stage = StagePlan(
            series=self.settings.name,
            stage="simulate",
            version=_VERSION,
            settings=self.settings,
            inputs=(plan_path,),
        )
        with self.session.run(stage) as run:
            return self._all_tilts(run, sample)

    def _refuse_another(self, resume: bool, plan_path: Path) -> None:
        last = self.session.last(self.settings.name, "simulate")
        folder = self.session.folder
        if last is None:
            if resume:
                raise InputError(f"{folder}: there is no simulation of {self.settings.name} to go on with.")
            if plan_path.exists() and _other_plan(plan_path, self.plan):
                raise InputError(
                    f"{folder}: this session has another plan; nothing was changed.", "Choose another --output."
                )
            return
        if not resume:
            how = "is complete" if last.status is RunStatus.FINISHED else f"stopped ({last.reason or last.status})"
            raise InputError(
                f"{folder}: a simulation of {self.settings.name} is here already and {how}; nothing was changed.",
                "Add --resume to go on with it, or choose another --output.",
            )
        try:
            before = SimulateSettings.model_validate(last.settings)
        except ValidationError as error:
            raise InputError(f"{folder}: its simulation was made by another version; it cannot go on.") from error
        if before != self.settings:
            fields = [
                name for name in type(before).model_fields if getattr(before, name) != getattr(self.settings, name)
            ]
            raise InputError(
                f"{folder}: the simulation there has other settings ({', '.join(fields)}); nothing was changed.",
                "Give the same ones to go on, or choose another --output.",
            )
        if _other_plan(plan_path, self.plan):
            raise InputError(f"{folder}: the simulation there is of another plan; nothing was changed.")

    def _sample(self) -> Sample:
        with self.reporter.task("Freezing the specimen", 1) as step:
            sample = specimen_for(
                self.plan, self.settings.specimen, seed=self.settings.seed, field_A=self.settings.size * self.pixel_A
            )
            step()
        return sample

    def _twin(self, sample: Sample) -> Twin:
        design, settings = self.plan.design, self.settings
        twin = settings.twin.replace(
            detector=DETECTORS[settings.detector], mean_free_path_A=design.specimen.mean_free_path_A
        )
        return Twin(
            sample,
            pixel_A=self.pixel_A,
            shape_yx=(settings.size, settings.size),
            lens=design.lens,
            settings=twin,
            effects=settings.effects,
            seed=settings.seed,
            stage=design.stage,
            routine=design.routine,
        )

    def _all_tilts(self, run: StageRun, sample: Sample) -> SimulateOutcome:
        twin = self._twin(sample)
        files = self.files.replace(binning=twin.binning)
        write_mrc(self.gain, twin.sensor.gain_reference[None], self.pixel_A, kind="stack", label="Gain reference")
        run.output(self.gain)
        done = self._done()
        tilts: list[SimulatedTilt] = []
        made = 0
        # A low-magnification view, by which the target was found: it costs exposure, as everywhere.
        twin.pixels = False
        twin.view(8 * self.settings.size * self.pixel_A, 64)
        with self.reporter.task(f"Exposing {self.settings.name}", len(self.plan)) as step:
            for exposure in self.plan:
                self._prepare(twin, exposure)
                path = files.movie_path(exposure.order, exposure.tilt_deg, self.suffix)
                kept = done.get(exposure.order)
                request = self._request(exposure)
                if kept is not None:
                    twin.pixels = False
                    twin.expose(request)
                    tilts.append(kept)
                else:
                    twin.pixels = True
                    tilts.append(self._expose(twin, request, path))
                    made += 1
                    self._write_progress(tilts, done)
                    files.write_mdoc(self._images(tilts))
                run.output(path)
                twin.pixels = False
                twin.wait(twin.routine.overhead_s)
                step()
        self._write_stack(files, tilts, twin)
        with self.reporter.task("Writing the truth", 1) as step:
            written = write_truth(self.truth, sample, twin, tilts, self.pixel_A, self.settings.size)
            step()
        for path in (files.mdoc, files.stack, *written):
            run.output(path)
        run.metric("tilts", len(tilts))
        return SimulateOutcome(
            folder=self.session.folder,
            stack=files.stack,
            mdoc=files.mdoc,
            gain=self.gain,
            truth=self.truth,
            tilts=len(tilts),
            made_now=made,
            exposure_e_A2=sum(tilt.truth.exposure_e_A2 for tilt in tilts),
            virtual_s=(twin.now() - self.settings.twin.began).total_seconds(),
            molecules=sample.molecules,
            counts_per_electron=files.counts_per_electron,
            detection=twin.detection,
            thickness_A=sample.matrix.thickness_A,
            axis_deg=twin.settings.axis_deg,
        )

    def _prepare(self, twin: Twin, exposure: Exposure) -> None:
        """Do what a routine does before an exposure: tilt, track, focus; what tracking in place costs is booked."""
        routine, twin_settings = twin.routine, twin.settings
        twin.tilt_to(exposure.tilt_deg)
        twin.wait(routine.tracking_s)
        if exposure.order % routine.focus_every == 0:
            twin.wait(routine.focus_s)
        if routine.moves_e_A2:
            twin.pixels = False
            twin.expose(ExposureRequest(exposure_e_A2=routine.moves_e_A2, purpose="track", order=exposure.order))
        draw = stream(self.settings.seed, "routine", exposure.order)
        missed = draw.normal(size=2) * twin_settings.tracking_error_A
        (y, x), height_A = twin.true_offset_A()
        place = (y + float(missed[0]), x + float(missed[1]))
        twin.set_image_shift_A(place)
        twin.set_beam_shift_A(place)
        # The focus routine sees the height that the specimen has, whichever way the hand makes it count.
        blurred = draw.normal() * twin_settings.focus_error_A
        twin.set_defocus_A(exposure.defocus_A - twin_settings.hand * height_A + float(blurred))

    def _request(self, exposure: Exposure) -> ExposureRequest:
        return ExposureRequest(
            exposure_e_A2=exposure.exposure_e_A2,
            frames=self.settings.frames or exposure.frames,
            purpose="record",
            target=self.settings.name,
            order=exposure.order,
        )

    def _expose(self, twin: Twin, request: ExposureRequest, path: Path) -> SimulatedTilt:
        exposed = twin.expose_and_tell(request)
        write_movie(path, exposed.movie.frames, self.pixel_A, compression=self.settings.compression)
        expected = self.truth / "expected" / f"{path.stem}.mrc"
        write_mrc(expected, exposed.expected_e_px[None], self.pixel_A, kind="stack", label="Expected electrons a pixel")
        return SimulatedTilt(
            movie=path.name, nominal=exposed.movie.readback, truth=exposed.truth, bytes=path.stat().st_size
        )

    @property
    def _progress_path(self) -> Path:
        return self.truth / _TILTS

    def _write_progress(self, tilts: Sequence[SimulatedTilt], done: dict[int, SimulatedTilt]) -> None:
        """Write what there is: the tilts of this run, and what an earlier one left of those to come."""
        later = [tilt for order, tilt in sorted(done.items()) if order >= len(tilts)]
        write_text(self._progress_path, _Progress(tilts=(*tilts, *later)).model_dump_json(indent=1))

    def _done(self) -> dict[int, SimulatedTilt]:
        """Return the tilts whose movie and truth an earlier run of the same settings left whole."""
        if not self._progress_path.exists():
            return {}
        done = {}
        for tilt in read_tilts(self.truth):
            movie = self.files.frames_folder / tilt.movie
            if tilt.truth.order is not None and movie.exists() and movie.stat().st_size == tilt.bytes:
                done[tilt.truth.order] = tilt
        return done

    def _files(self) -> SeriesFiles:
        plan, settings = self.plan, self.settings
        return SeriesFiles(
            name=settings.name,
            folder=self.session.folder,
            pixel_A=self.pixel_A,
            shape_yx=(settings.size, settings.size),
            voltage_kV=plan.design.lens.voltage_kV,
            scheme=serialem_scheme(plan.design.scheme.kind),
            frame_paths=settings.frame_paths,
            counts_per_electron=stack_scale((exposure.exposure_e_A2 for exposure in plan), self.pixel_A),
            slit=_SLIT_eV if settings.effects.energy_filter else None,
            began=settings.twin.began,
            title=_TITLE,
        )

    def _images(self, tilts: Sequence[SimulatedTilt]) -> list[SeriesImage]:
        """Return what the .mdoc tells: before an image, the exposures of the images before it and no others."""
        images, before_e_A2 = [], 0.0
        for tilt, exposure in zip(tilts, self.plan, strict=False):
            images.append(
                SeriesImage(
                    movie=tilt.movie,
                    frames=len(tilt.truth.frames),
                    readback=tilt.nominal,
                    target_defocus_A=exposure.defocus_A,
                    pre_exposure_e_A2=before_e_A2,
                )
            )
            before_e_A2 += tilt.nominal.exposure_e_A2
        return images

    def _write_stack(self, files: SeriesFiles, tilts: Sequence[SimulatedTilt], twin: Twin) -> None:
        stack = files.write_stack(self._images(tilts), twin.sensor.gain_reference, self.reporter)
        lost = len(tilts) - (0 if stack is None else len(open_mrc(stack).data))
        if lost:  # the truth counts its sections by the tilts, and must not be that of another stack
            raise InputError(
                f"{files.frames_folder}: {lost} of the {len(tilts)} movies of {self.settings.name} cannot be read.",
                "Remove those that the warnings name, and add --resume: they are made again.",
            )


class _Progress(Record):
    """What has been exposed, in the order of acquisition."""

    tilts: tuple[SimulatedTilt, ...]


def read_tilts(truth: Path) -> tuple[SimulatedTilt, ...]:
    """Return the tilts of a simulated series, in the order of acquisition, from its folder of truth."""
    return _Progress.model_validate_json((truth / _TILTS).read_text(encoding="utf-8")).tilts


def _other_plan(path: Path, plan: Plan) -> bool:
    from eucentric.io import read_plan

    return path.exists() and read_plan(path) != plan
