"""`rehearse`: a user's SerialEM script, unchanged, on a twin that is set up as its author left the microscope."""

import warnings
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Annotated

import numpy as np
from pydantic import Field

from eucentric.acquisition import Program
from eucentric.core import SILENT, DataWarning, InputError, Record, Reporter, make_folder, stream, write_text
from eucentric.design import Camera, ConstantExposure, Design, DoseSymmetric, Plan, Specimen, Target, Targets
from eucentric.io import write_mrc, write_plan
from eucentric.io.navigator import NavItem, write_navigator
from eucentric.io.pacetomo import PacetomoTarget, write_pacetomo
from eucentric.report.rehearsal import write_rehearsal_page
from eucentric.session import Session
from eucentric.twin import Effects, TwinSettings
from eucentric.twin.faulty import Faulty
from eucentric.twin.mechanics import UNTUNED
from eucentric.twin.serialem.answers import Answer, Answers
from eucentric.twin.serialem.bench import Bench
from eucentric.twin.serialem.doings import Doings
from eucentric.twin.serialem.failing import CommandFaults, ParsedFaults, parse_faults
from eucentric.twin.serialem.geometry import UM, Array, Geometry, ours_A
from eucentric.twin.serialem.log import ScriptLog
from eucentric.twin.serialem.module import SimulatedSerialEM
from eucentric.twin.serialem.runner import run_script
from eucentric.twin.serialem.setting_up import usual_sets
from eucentric.workflow.acquire import GAIN, PLAN, TRUTH
from eucentric.workflow.acquire_records import AcquireSettings
from eucentric.workflow.twin_microscope import make_twin

DOINGS, REPORT = "rehearsal.json", "rehearsal.html"
STACKS, FRAMES, PICKED = "mdoc", "frames", "targets"
NAME = "rehearsal"

_LAMELLA_DEG = 9.0  # pre-tilt of a lamella whose plan is not given: usual after milling
_PIXEL_A = 2.7  # usual for lamellae; a stage that misses by 100 nm loses half a field of finer ones at once
_APART_FIELDS = 2.5  # from the first target to the others: beams that cover the field have 1.8 fields' diameter
_AXIS_ERROR_UM = 0.1  # of the calibrated offset of the tilt axis, rms: chosen
_AWAY_UM = 8.0  # how far the stage goes after targets were picked


class RehearseSettings(Record):
    """What is rehearsed on.

    Attributes
    ----------
    specimen, size, pixel_A, seed, effects, detector, pixels
        Of the twin, as for `AcquireSettings`.
    targets
        How many; the first is the one that PACEtomo tracks.
    twin
        The microscope. Its hand is that of SerialEM's own geometry, in which a place at specimen Y comes under focus
        as the tilt grows, and which PACEtomo counts on.
    max_hours
        Of the microscope's time.
    silent_s
        Of wall time without a command, after which a script is ended.
    connected
        Whether the script runs inside SerialEM; else it must connect.
    """

    specimen: str = "lamella"
    targets: Annotated[int, Field(ge=1, le=200)] = 1
    size: Annotated[int, Field(ge=32, le=16_384)] = 512
    pixel_A: Annotated[float, Field(ge=0.1, le=200)] | None = None
    seed: Annotated[int, Field(ge=0)] = 0
    effects: Effects = Effects()
    detector: str = "k2"
    pixels: bool = True
    twin: TwinSettings = TwinSettings(stage=UNTUNED, hand=-1)
    max_hours: Annotated[float, Field(gt=0, le=1000)] = 48.0
    silent_s: Annotated[float, Field(gt=0)] = 300.0
    connected: bool = True


def usual_plan(specimen: str) -> Plan:
    """Return a plan for a script that brings none: 41 tilts about where the specimen lies flat, in groups of 2."""
    pre_tilt_deg = _LAMELLA_DEG if specimen == "lamella" else 0.0
    design = Design(
        scheme=DoseSymmetric(min_deg=-60, max_deg=60, group=2, order="pacetomo"),
        exposure=ConstantExposure(total_e_A2=123.0),
        specimen=Specimen(pre_tilt_deg=pre_tilt_deg),
        camera=Camera(pixel_A=_PIXEL_A),
    )
    return Plan(design=design)


def rehearse(
    script: Path,
    output: Path,
    settings: RehearseSettings,
    *,
    plan: Plan | None = None,
    answers: Sequence[Answer] = (),
    ask: Callable[[str, tuple[str, ...]], str] | None = None,
    faults: Sequence[str] = (),
    tell: Callable[[str], None] = lambda line: None,
    reporter: Reporter = SILENT,
) -> Doings:
    """Run a script on a twin, and return what it did; its files, the truth and a record of it all are in the output.

    Parameters
    ----------
    script
        A Python script for SerialEM.
    output
        A folder, new or empty: ``mdoc/`` is SerialEM's working directory, ``frames/`` has movies, ``targets/`` the
        images with which targets were picked, ``truth/`` what no script sees.
    settings
        The twin.
    plan
        What the script is to acquire: exposure, frames, pre-tilt and, for PACEtomo, its settings.
    answers, ask
        To dialogs: those that are known; a person, where there is one.
    faults
        What is to go wrong (`failing.parse_faults`).
    tell
        Given each line of SerialEM's log.
    reporter
        Where progress goes.

    Raises
    ------
    InputError
        If the script cannot be read, the output is not empty, or a setting cannot be met; nothing was simulated.

    Warns
    -----
    DataWarning
        `no-targets-file`: PACEtomo cannot acquire this plan, so that its targets file was not written.
    """
    script = Path(script).resolve()
    if not script.is_file():
        raise InputError(f"{script}: there is no such script.")
    parsed = parse_faults(faults)
    if output.is_dir() and any(output.iterdir()):
        raise InputError(f"{output}: this folder is not empty; nothing was simulated.", "Name a new one.")
    plan = plan or usual_plan(settings.specimen)
    folder = make_folder(output).resolve()
    with Session.create_or_open(folder) as session:  # which makes it one that `process` takes
        write_plan(folder / PLAN, plan)
        session.note("rehearsal.begun", {"script": script.name, "settings": settings.model_dump(mode="json")})
        doings = _rehearsed(script, folder, plan, settings, Answers(answers, ask), tell, parsed, reporter)
        ended = {"ending": doings.ending, "reason": doings.reason, "exposures": len(doings.taken)}
        session.note("rehearsal.ended", ended)
    shown = {"specimen": settings.specimen, "seed": str(settings.seed), "pixels": "yes" if settings.pixels else "no"}
    write_rehearsal_page(folder / REPORT, doings, settings=shown)
    return doings


def _rehearsed(
    script: Path,
    folder: Path,
    plan: Plan,
    settings: RehearseSettings,
    answers: Answers,
    tell: Callable[[str], None],
    faults: ParsedFaults,
    reporter: Reporter,
) -> Doings:
    """Set the microscope up, run the script, and return what it did, which is on disk then."""
    of_commands, of_microscope = faults
    serialem, targets_um = _set_up(folder, plan, settings, answers, tell, reporter)
    with reporter.task("Picking targets", 1) as step:
        _pick(folder, plan, serialem, targets_um)
        step()
    # Faults strike from here on: the targets were picked on a good day.
    bench = serialem.bench
    faulty = bench.scope = Faulty(bench.twin, of_microscope, settings.seed)
    serialem.faults = CommandFaults(of_commands)
    serialem.connected = settings.connected
    ended = run_script(script, serialem, silent_s=settings.silent_s)
    doings = Doings(
        script=script.name,
        ending=ended.ending,
        reason=ended.reason,
        line=ended.line,
        seconds=max(0.0, bench.elapsed_s()) if bench.started else 0.0,
        calls=dict(bench.calls),
        taken=tuple(bench.taken),
        asked=tuple(bench.asked),
        refused=tuple(bench.refused),
        struck=(*serialem.faults.struck, *faulty.struck),
        idle=(*serialem.faults.idle, *(str(fault) for fault in faulty.idle)),
        targets=tuple(targets_um),
        files=tuple(dict.fromkeys(serialem.files.written)),
    )
    write_text(folder / DOINGS, doings.model_dump_json(indent=1))
    return doings


def _set_up(
    folder: Path,
    plan: Plan,
    settings: RehearseSettings,
    answers: Answers,
    tell: Callable[[str], None],
    reporter: Reporter,
) -> tuple[SimulatedSerialEM, dict[str, Array]]:
    """Return SerialEM on a twin, and where the targets lie from the first (specimen X and Y, µm), by their names."""
    chosen = AcquireSettings(
        specimen=settings.specimen,
        size=settings.size,
        pixel_A=settings.pixel_A,
        seed=settings.seed,
        effects=settings.effects,
        detector=settings.detector,
        twin=settings.twin,
        pixels=settings.pixels,
    )
    true_um = settings.twin.with_effects(settings.effects).stage.axis_offset_x_A / UM
    offset_um = true_um + _AXIS_ERROR_UM * float(stream(settings.seed, "tilt axis offset").standard_normal())
    shifts_um = _shifts_um(settings.targets, chosen.field_A(plan))
    targets_um = {f"TS_{at:03d}": shift for at, shift in enumerate(shifts_um, 1)}
    places = {name: ours_A(shift + np.array([0.0, offset_um])) for name, shift in targets_um.items()}
    targets = tuple(Target(name=name, y_A=y, x_A=x) for name, (y, x) in places.items())
    twin = make_twin(Program(plan, Targets(targets=targets)), chosen, folder / TRUTH, reporter)
    working, frames = make_folder(folder / STACKS), make_folder(folder / FRAMES)
    if settings.pixels:
        gain = twin.sensor.gain_reference
        write_mrc(frames / GAIN, gain[None], twin.pixel_A, kind="stack", label="Gain reference of the twin")
    exposure, rate = plan[-1], plan.design.routine.dose_rate_e_A2_per_s
    bench = Bench(
        scope=twin,
        twin=twin,
        folder=working,
        frames_folder=frames,
        sets=usual_sets(exposure.exposure_e_A2 / rate, exposure.frames),
        answers=answers,
        log=ScriptLog(working / "serialem.log", tell),
        tilt_axis_offset_um=offset_um,
        max_s=settings.max_hours * 3600,
        seed=settings.seed,
    )
    low, high = twin.limits().tilt_deg
    bench.settings.properties["maximumtiltangle"] = min(-low, high)
    items = tuple(_item(at, name, shift, bench.geometry) for at, (name, shift) in enumerate(targets_um.items()))
    navigator = working / f"{NAME}.nav"
    write_navigator(navigator, items)
    picked = [
        PacetomoTarget(name=name, shift_um=_pair(shift), stage_um=item.stage_xyz_um[:2])
        for (name, shift), item in zip(targets_um.items(), items, strict=True)
    ]
    try:
        write_pacetomo(working / f"{NAME}_tgts.txt", plan, picked, images=f"../{PICKED}/")
    except InputError as error:  # which matters to PACEtomo alone
        warnings.warn(f"{error.what} There is no {NAME}_tgts.txt. [no-targets-file]", DataWarning, stacklevel=4)
    return SimulatedSerialEM(bench, items, navigator), targets_um


def _shifts_um(targets: int, field_A: float) -> list[Array]:
    """Return where targets lie from the first, in specimen coordinates: on rings about it, a beam or more apart."""
    shifts = [np.zeros(2)]
    ring = 1
    while len(shifts) < targets:
        around = 6 * ring
        for at in range(min(around, targets - len(shifts))):
            angle = 2 * np.pi * (at + 0.5 * (ring % 2)) / around
            radius = _APART_FIELDS * ring * field_A / UM
            shifts.append(radius * np.array([np.cos(angle), np.sin(angle)]))
        ring += 1
    return shifts


def _item(at: int, name: str, shift: Array, geometry: Geometry) -> NavItem:
    x, y = np.linalg.solve(geometry.stage2specimen, shift).tolist()
    return NavItem(
        label=f"{at + 1}",
        kind="map",
        stage_xyz_um=(x, y, 0.0),
        note=f"{NAME}_tgts.txt" if at == 0 else name,
        acquire=at == 0,
        map_file=f"../{PICKED}/{name}_tgt.mrc",
    )


def _pick(folder: Path, plan: Plan, serialem: SimulatedSerialEM, targets_um: Mapping[str, Array]) -> None:
    """Do what was done before the script: images of the targets to align to, in focus; and then the stage went away."""
    bench = serialem.bench
    make_folder(folder / PICKED)
    hand, (_, height_A) = bench.twin.settings.hand, bench.twin.true_offset_A()
    bench.scope.set_defocus_A(plan[0].defocus_A - hand * height_A)
    for name, shift in targets_um.items():
        for command, what in (("View", "view"), ("Preview", "tgt")):
            bench.set_specimen_um(shift)
            serialem.call(command)
            path = folder / PICKED / f"{name}_{what}.mrc"
            serialem.call("OpenNewFile", str(path))
            serialem.call("Save")
            serialem.call("CloseFile")
    bench.go_to("R")
    bench.set_specimen_um(np.zeros(2))
    serialem.call("MoveStage", _AWAY_UM, -_AWAY_UM)
    serialem.call("TiltTo", 2.0)
    serialem.call("TiltTo", 0.0)
    bench.calls.clear()
    bench.buffers.clear()
    serialem.files.written.clear()


def _pair(values: Array) -> tuple[float, float]:
    return float(values[0]), float(values[1])
