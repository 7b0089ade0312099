"""A twin furnished for a program: a part of the specimen at each of its targets, each where it was picked."""

from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from eucentric.acquisition import Program
from eucentric.core import InputError, Reporter, stream
from eucentric.design import Plan
from eucentric.detector import DETECTORS
from eucentric.microscope import StagePosition
from eucentric.specimen.matrix import Matrix
from eucentric.specimen.sample import Sample
from eucentric.twin import Twin, find_sample
from eucentric.twin.log import TwinLog
from eucentric.twin.mechanics import Mechanics
from eucentric.twin.sites import Site, picked_place
from eucentric.twin.states import MechanicsState
from eucentric.workflow.acquire_records import AcquireSettings

Array = NDArray[np.float64]

_BUMPS_A = 300.0  # by how much places lie off the specimen's plane, rms: chosen


def true_places(program: Program, chosen: AcquireSettings) -> dict[str, Array]:
    """Return where each place of a program really is on the specimen, zyx as at 0°, by its name.

    It is in the specimen's own plane, that of the plan's pre-tilt whatever the targets say of it, but for bumps; and
    where it was picked, by a stage that had its errors then too.
    """
    design = program.plan.design
    mechanics = Mechanics(chosen.twin.with_effects(chosen.effects).stage, chosen.seed, stage=design.stage)
    mechanics.restore(MechanicsState(position=StagePosition(tilt_deg=program.targets.tilt_deg)))
    plane = program.targets.replace(pre_tilt_deg=design.specimen.pre_tilt_deg, focus_points=())
    slopes = plane.slopes_yx(design.specimen.pre_tilt_deg)
    bumps_A = _BUMPS_A if chosen.effects.stage_error else 0.0
    return {
        name: picked_place(
            mechanics,
            (place.y_A, place.x_A),
            slopes,
            bumps_A * float(stream(chosen.seed, "bumps", name).standard_normal()),
        )
        for name, place in program.picked.items()
    }


def make_twin(program: Program, chosen: AcquireSettings, truth: Path, reporter: Reporter) -> Twin:
    """Return a twin for a program, as it was left if its record is in the folder of truth.

    Raises
    ------
    InputError
        If there is no such detector or specimen.
    """
    design = program.plan.design
    if chosen.detector not in DETECTORS:
        raise InputError(f"--detector {chosen.detector}: there is no such camera.", f"Use {', '.join(DETECTORS)}.")
    pixel_A = chosen.twin_pixel_A(program.plan)
    places, field_A = true_places(program, chosen), chosen.size * pixel_A
    ice = Sample("ice", Matrix.slab(design.specimen.thickness_A)).turned(design.specimen.pre_tilt_deg)
    sites = []
    with reporter.task("Freezing the specimen", len(places)) as step:
        for at, (name, place) in enumerate(places.items()):
            sample = ice
            if chosen.pixels:
                sample = specimen_for(program.plan, chosen.specimen, seed=chosen.seed + at, field_A=field_A)
            sites.append(Site(name, place, sample))
            step()
    settings = chosen.twin.replace(
        detector=DETECTORS[chosen.detector],
        mean_free_path_A=design.specimen.mean_free_path_A,
        readout_s=design.routine.overhead_s,
    )
    log = TwinLog(truth)
    twin = Twin(
        ice,
        pixel_A=pixel_A,
        shape_yx=(chosen.size, chosen.size),
        lens=design.lens,
        settings=settings,
        effects=chosen.effects,
        seed=chosen.seed,
        stage=design.stage,
        routine=design.routine,
        pixels=chosen.pixels,
        sites=sites,
        log=log,
    )
    if twin.exposures == 0:
        start = MechanicsState(position=StagePosition(tilt_deg=program.targets.tilt_deg))
        twin.restore(twin.state().replace(stage=start))
    return twin


def specimen_for(plan: Plan, specimen: str, *, seed: int, field_A: float) -> Sample:
    """Return a specimen by its name, or from its file, as thick and as tilted as a plan has it.

    Raises
    ------
    InputError
        If there is no such specimen.
    """
    pre_tilt_deg = plan.design.specimen.pre_tilt_deg
    return find_sample(
        specimen,
        seed=seed,
        field_A=field_A,
        thickness_A=plan.design.specimen.thickness_A,
        max_tilt_deg=max(0.0, float(np.abs(plan.design.slab.slab_deg).max()) - abs(pre_tilt_deg)),
        pre_tilt_deg=pre_tilt_deg,
    )
