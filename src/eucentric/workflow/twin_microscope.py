"""A twin furnished for a program: a part of the specimen at each of its targets, each where it was picked."""

from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from eucentric.acquisition import Program
from eucentric.core import InputError, Reporter, stream
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
    places = true_places(program, chosen)
    ice = Sample("ice", Matrix.slab(design.specimen.thickness_A)).turned(design.specimen.pre_tilt_deg)
    sites = []
    with reporter.task("Freezing the specimen", len(places)) as step:
        for at, (name, place) in enumerate(places.items()):
            sample = _sample(program, chosen, pixel_A, chosen.seed + at) if chosen.pixels else ice
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


def _sample(program: Program, chosen: AcquireSettings, pixel_A: float, seed: int) -> Sample:
    design = program.plan.design
    pre_tilt_deg = design.specimen.pre_tilt_deg
    return find_sample(
        chosen.specimen,
        seed=seed,
        field_A=chosen.size * pixel_A,
        thickness_A=design.specimen.thickness_A,
        max_tilt_deg=max(0.0, float(np.abs(design.slab.slab_deg).max()) - abs(pre_tilt_deg)),
        pre_tilt_deg=pre_tilt_deg,
    )
