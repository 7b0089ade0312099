"""`acquire`: a plan and targets acquired into a session, on the twin or on a microscope, begun or taken up again."""

import hashlib
import json
import math
import warnings
from collections.abc import Callable, Sequence
from datetime import datetime
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from pydantic import ValidationError

from eucentric.acquisition import (
    Engine,
    Eyes,
    ImageEyes,
    Listener,
    MovieFiles,
    Program,
    skip_uncertain,
)
from eucentric.acquisition.movie_sums import stack_scale
from eucentric.acquisition.past import RECORD
from eucentric.acquisition.series_files import SeriesFiles, serialem_scheme
from eucentric.core import SILENT, DataWarning, InputError, OutputError, Reporter
from eucentric.design import TRACKING, Place, Plan, Target, Targets
from eucentric.io import open_mrc, read_plan, write_mrc, write_plan
from eucentric.io.targets import read_targets, write_targets
from eucentric.microscope import Microscope
from eucentric.session import ExposureBook, ExposureRecord, ExposureState, Session
from eucentric.twin import Twin
from eucentric.workflow.acquire_records import AcquiredSeries, AcquireOutcome, AcquireSettings, Beginning
from eucentric.workflow.twin_eyes import TwinEyes
from eucentric.workflow.twin_microscope import make_twin, true_places

SERIES = "acquisition.series"
PLAN, TARGETS, TRUTH = "plan.yaml", "targets.yaml", "truth"
GAIN = "gain.mrc"


def default_targets(plan: Plan, name: str, field_A: float) -> Targets:
    """Return one target on the optical axis, with a tracking area beside it along the tilt axis."""
    aside_A = min(3.0 * field_A, 100_000.0)  # beams that cover the field have 1.8 fields' diameter
    return Targets(targets=(Target(name=name),), tracking=Place(y_A=aside_A))


def begin(session: Session, beginning: Beginning) -> None:
    """Write into a session what is to be acquired.

    Raises
    ------
    InputError
        If it holds an acquisition that exposed something, or a plan of something else; nothing is changed then.
    """
    folder = session.folder
    known = session.events("acquisition.program")
    exposed = ExposureBook(session).records()
    if known and exposed:
        made = sum(one.purpose == RECORD and one.received for one in exposed)
        other = known[-1].body["fingerprint"] != _fingerprint(beginning.plan, beginning.targets)
        what = "of another plan or other targets" if other else "of this plan"
        raise InputError(
            f"{folder}: an acquisition {what} is here already, with {made} exposures made; nothing was moved.",
            f"Choose another --output{'' if other else f', or go on with `eucentric acquire --resume {folder}`'}.",
        )
    if not known and (folder / PLAN).exists() and read_plan(folder / PLAN) != beginning.plan:
        raise InputError(
            f"{folder}: this session has another plan; nothing was moved.", "Choose another --output for this one."
        )
    write_plan(folder / PLAN, beginning.plan)
    write_targets(folder / TARGETS, beginning.targets)
    session.note(
        "acquisition.program",
        {
            "fingerprint": _fingerprint(beginning.plan, beginning.targets),
            "settings": beginning.settings.model_dump(mode="json"),
        },
    )


def take_up(session: Session) -> Beginning:
    """Return what a session was begun with.

    Raises
    ------
    InputError
        If no acquisition was begun there, or its plan or targets were changed since.
    """
    folder, known = session.folder, session.events("acquisition.program")
    if not known:
        raise InputError(
            f"{folder}: no acquisition was begun in this session; nothing was moved.",
            "Begin one: eucentric acquire plan.yaml --targets targets.yaml --output SESSION.",
        )
    plan, targets = read_plan(folder / PLAN), read_targets(folder / TARGETS)
    if _fingerprint(plan, targets) != known[-1].body["fingerprint"]:
        raise InputError(
            f"{folder}: {PLAN} or {TARGETS} was changed since the acquisition began; nothing was moved.",
            "Put them back, or begin another session.",
        )
    try:
        settings = AcquireSettings.model_validate_json(json.dumps(known[-1].body["settings"]))
    except ValidationError as error:
        raise InputError(f"{folder}: its acquisition was begun by another version; it cannot go on.") from error
    return Beginning(plan, targets, settings)


def acquire(
    session: Session,
    beginning: Beginning,
    *,
    faults: Sequence[str] = (),
    retake: Callable[[ExposureRecord], bool] = skip_uncertain,
    listeners: Sequence[Listener] = (),
    started: Callable[[Engine], None] = lambda engine: None,
    reporter: Reporter = SILENT,
) -> AcquireOutcome:
    """Acquire what is left of a session's plan.

    Parameters
    ----------
    session
        With what `begin` wrote.
    beginning
        That.
    faults
        What is to go wrong on the twin (`twin.fault`).
    retake, listeners
        As for the `Engine`.
    started
        Given the engine before it runs, so that it can be paused.
    reporter
        Where progress of what comes before and after goes.

    Raises
    ------
    InputError
        If the plan cannot be carried out; nothing has moved then.
    MicroscopeError
        If there is no microscope.
    """
    program, settings = Program(beginning.plan, beginning.targets), beginning.settings
    scope, eyes, twin = _microscope(session, program, settings, faults, reporter)
    program.check(scope.limits())
    _warn_of_neighbours(program, settings.field_A(program.plan))
    series = _series_files(session, program, settings, scope, twin)
    for files in series.values():
        _note_series(session, files)
    engine = Engine(
        scope,
        program,
        session,
        eyes,
        series,
        movies=MovieFiles(".tif" if settings.format == "tiff" else ".mrc", settings.compression),
        listeners=listeners,
        retake=retake,
    )
    left_s = engine.remaining_s()
    started(engine)
    try:
        ended = engine.run()
    finally:
        close = getattr(scope, "close", None)  # of a microscope that somebody else uses after us
        if close is not None:
            close()
    for name, files in series.items():
        if engine.series(name) != files:  # a camera gave the size of its images with the first of them
            _note_series(session, engine.series(name))
    stacks = _write_stacks(session, engine, reporter) if settings.pixels else {}
    return AcquireOutcome(
        folder=session.folder,
        finish=ended.finish,
        reason=ended.reason,
        series=tuple(_acquired(session, engine, name, stacks.get(name)) for name in program.names),
        tracking_e_A2=engine.past.received_e_A2.get(TRACKING, 0.0),
        seconds=ended.seconds,
        predicted_s=left_s,
        struck=tuple(getattr(scope, "struck", ())),
        idle=tuple(str(fault) for fault in getattr(scope, "idle", ())),
    )


def _microscope(
    session: Session, program: Program, settings: AcquireSettings, faults: Sequence[str], reporter: Reporter
) -> tuple[Microscope, Eyes, Twin | None]:
    references = session.folder / "tracking"
    if settings.microscope == "serialem":
        if faults:
            raise InputError("--fail: faults can be injected into the twin alone; nothing was moved.")
        from eucentric.microscope.serialem import SerialEM  # a driver loads for those who have the microscope

        rate = program.plan.design.routine.dose_rate_e_A2_per_s
        known = session.events("acquisition.microscope")
        zero = (known[0].body["beam_tilt_zero"][0], known[0].body["beam_tilt_zero"][1]) if known else None
        scope = SerialEM.connect(settings.host, settings.port, dose_rate_e_A2_per_s=rate, beam_tilt_zero=zero)
        if not known:  # for a run that goes on after a crash, which may leave the beam tilted
            session.note("acquisition.microscope", {"beam_tilt_zero": list(scope.beam_tilt_zero())})
        return scope, ImageEyes(program.slab_deg, references), None
    twin = make_twin(program, settings, session.folder / TRUTH, reporter)
    if settings.pixels:
        gain = session.folder / "frames" / GAIN
        write_mrc(gain, twin.sensor.gain_reference[None], twin.pixel_A, kind="stack", label="Gain reference")
        eyes: Eyes = ImageEyes(program.slab_deg, references, twin.sensor.gain_reference)
    else:
        eyes = TwinEyes(twin, true_places(program, settings), settings.seed)
    if not faults:
        return twin, eyes, twin
    from eucentric.twin.fault import Fault
    from eucentric.twin.faulty import Faulty

    return Faulty(twin, [Fault.parse(text) for text in faults], seed=settings.seed), eyes, twin


def _warn_of_neighbours(program: Program, field_A: float) -> None:
    """Warn of places so close that the beam on one of them falls on the other too, which no record counts."""
    places = list(program.picked.items())
    for at, (name, place) in enumerate(places):
        for other, there in places[:at]:
            if math.hypot(place.y_A - there.y_A, place.x_A - there.x_A) < field_A:
                message = (
                    f"{other} and {name} are less than a field ({field_A / 1e4:.2f} µm) apart: what one receives falls "
                    "on the other too, and is not in its PriorRecordDose. [neighbours]"
                )
                warnings.warn(message, DataWarning, stacklevel=3)


def _note_series(session: Session, files: SeriesFiles) -> None:
    session.note(SERIES, files.model_dump(mode="json", exclude={"folder"}), series=files.name)


def _series_files(
    session: Session, program: Program, settings: AcquireSettings, scope: Microscope, twin: Twin | None
) -> dict[str, SeriesFiles]:
    design = program.plan.design
    pixel_A = twin.pixel_A if twin else design.camera.pixel_A
    shape_yx = twin.shape_yx if twin else (design.camera.rows, design.camera.columns)
    known = session.events(SERIES)
    # The same for a run that goes on, or its earlier images would be dated anew; local time, as an .mdoc has it.
    now = scope.now()
    began = datetime.fromisoformat(known[0].body["began"]) if known else now.astimezone() if now.tzinfo else now
    scale = stack_scale((one.exposure_e_A2 for one in program.plan), pixel_A) if twin else None
    return {
        name: SeriesFiles(
            name=name,
            folder=session.folder,
            pixel_A=pixel_A,
            shape_yx=shape_yx,
            voltage_kV=design.lens.voltage_kV,
            scheme=serialem_scheme(design.scheme.kind),
            counts_per_electron=scale,
            binning=float(twin.binning) if twin else 1.0,
            slit=(20.0, 0.0) if twin is None or settings.effects.energy_filter else None,
            began=began,
        )
        for name in program.names
    }


def _write_stacks(session: Session, engine: Engine, reporter: Reporter) -> dict[str, Path]:
    """Write the stack of each target that has images, in the order of acquisition."""
    gain = gain_of(session.folder)
    stacks = {}
    for name, images in engine.past.images.items():
        try:
            stack = engine.series(name).write_stack(images, gain, reporter)
        except OutputError as error:  # movies and journal are whole: the stack can be made again
            fix = f"`eucentric session stacks {session.folder} --output FOLDER` makes it again."
            warnings.warn(f"{error.what} {fix} [no-stack]", DataWarning, stacklevel=3)
            continue
        if stack is not None:
            stacks[name] = stack
    return stacks


def gain_of(folder: Path) -> NDArray[np.float32] | None:
    """Return the gain reference of a session's movies, None where they need none."""
    path = folder / "frames" / GAIN
    return np.asarray(open_mrc(path).data[0], dtype=np.float32) if path.exists() else None


def _acquired(session: Session, engine: Engine, name: str, stack: Path | None) -> AcquiredSeries:
    records = [one for one in engine.records() if one.target == name and one.purpose == "record"]
    mdoc = engine.series(name).mdoc
    return AcquiredSeries(
        name=name,
        images=len(engine.past.images.get(name, [])),
        delivered=sum(one.state is ExposureState.DELIVERED for one in records),
        uncertain=sum(one.state is ExposureState.UNCERTAIN for one in records),
        skipped=sum(one.state is ExposureState.SKIPPED for one in records),
        exposure_e_A2=engine.past.received_e_A2.get(name, 0.0),
        mdoc=mdoc if mdoc.exists() else None,
        stack=stack,
    )


def _fingerprint(plan: Plan, targets: Targets) -> str:
    return hashlib.sha256(f"{plan.model_dump_json()}\n{targets.model_dump_json()}".encode()).hexdigest()
