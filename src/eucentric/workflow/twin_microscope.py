"""A twin furnished for a program: a part of the specimen at each of its targets, each where it was picked."""

from pathlib import Path
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from eucentric.acquisition import Program
from eucentric.core import InputError, Reporter, stream
from eucentric.design import TRACKING, Place
from eucentric.detector import DETECTORS
from eucentric.microscope import StagePosition
from eucentric.specimen.matrix import Matrix
from eucentric.specimen.sample import Sample
from eucentric.twin import Effects, Twin, TwinSettings, find_sample
from eucentric.twin.log import TwinLog
from eucentric.twin.mechanics import Mechanics
from eucentric.twin.sites import Site, picked_place
from eucentric.twin.states import MechanicsState

Array = NDArray[np.float64]

_BUMPS_A = 300.0  # by how much places lie off the specimen's plane, rms: chosen


class TwinChoices(Protocol):
    """What is chosen of a twin."""

    @property
    def specimen(self) -> str: ...  # noqa: D102 - as in `AcquireSettings`
    @property
    def size(self) -> int: ...  # noqa: D102
    @property
    def pixel_A(self) -> float | None: ...  # noqa: D102
    @property
    def seed(self) -> int: ...  # noqa: D102
    @property
    def effects(self) -> Effects: ...  # noqa: D102
    @property
    def detector(self) -> str: ...  # noqa: D102
    @property
    def twin(self) -> TwinSettings: ...  # noqa: D102
    @property
    def pixels(self) -> bool: ...  # noqa: D102


def pixel_of(program_pixel_A: float, columns: int, rows: int, choices: TwinChoices) -> float:
    """Return the pixel of a twin's images: so large that they show the field of the plan's camera."""
    return choices.pixel_A or program_pixel_A * min(columns, rows) / choices.size


def true_places(program: Program, choices: TwinChoices) -> dict[str, Array]:
    """Return where each place of a program really is on the specimen, zyx as at 0°, by its name.

    It is in the specimen's own plane, that of the plan's pre-tilt whatever the targets say of it, but for bumps; and
    where it was picked, by a stage that had its errors then too.
    """
    design = program.plan.design
    mechanics = Mechanics(choices.twin.with_effects(choices.effects).stage, choices.seed, stage=design.stage)
    mechanics.restore(MechanicsState(position=StagePosition(tilt_deg=program.targets.tilt_deg)))
    plane = program.targets.replace(pre_tilt_deg=design.specimen.pre_tilt_deg, focus_points=())
    slopes = plane.slopes_yx(design.specimen.pre_tilt_deg)
    picked: dict[str, Place] = {target.name: target for target in program.targets.targets}
    if program.targets.tracking is not None:
        picked[TRACKING] = program.targets.tracking
    bumps_A = _BUMPS_A if choices.effects.stage_error else 0.0
    return {
        name: picked_place(
            mechanics,
            (place.y_A, place.x_A),
            slopes,
            bumps_A * float(stream(choices.seed, "bumps", name).standard_normal()),
        )
        for name, place in picked.items()
    }


def make_twin(program: Program, choices: TwinChoices, truth: Path, reporter: Reporter) -> Twin:
    """Return a twin for a program, as it was left if its record is in the folder of truth.

    Raises
    ------
    InputError
        If there is no such detector or specimen.
    """
    design = program.plan.design
    if choices.detector not in DETECTORS:
        raise InputError(f"--detector {choices.detector}: there is no such camera.", f"Use {', '.join(DETECTORS)}.")
    pixel_A = pixel_of(design.camera.pixel_A, design.camera.columns, design.camera.rows, choices)
    places = true_places(program, choices)
    ice = Sample("ice", Matrix.slab(design.specimen.thickness_A)).turned(design.specimen.pre_tilt_deg)
    sites = []
    with reporter.task("Freezing the specimen", len(places)) as step:
        for at, (name, place) in enumerate(places.items()):
            sample = _sample(program, choices, pixel_A, choices.seed + at) if choices.pixels else ice
            sites.append(Site(name, place, sample))
            step()
    settings = choices.twin.replace(
        detector=DETECTORS[choices.detector],
        mean_free_path_A=design.specimen.mean_free_path_A,
        readout_s=design.routine.overhead_s,
    )
    log = TwinLog(truth)
    twin = Twin(
        ice,
        pixel_A=pixel_A,
        shape_yx=(choices.size, choices.size),
        lens=design.lens,
        settings=settings,
        effects=choices.effects,
        seed=choices.seed,
        stage=design.stage,
        routine=design.routine,
        pixels=choices.pixels,
        sites=sites,
        log=log,
    )
    if twin.exposures == 0:
        start = MechanicsState(position=StagePosition(tilt_deg=program.targets.tilt_deg))
        twin.restore(twin.state().replace(stage=start))
    return twin


def _sample(program: Program, choices: TwinChoices, pixel_A: float, seed: int) -> Sample:
    design = program.plan.design
    pre_tilt_deg = design.specimen.pre_tilt_deg
    return find_sample(
        choices.specimen,
        seed=seed,
        field_A=choices.size * pixel_A,
        thickness_A=design.specimen.thickness_A,
        max_tilt_deg=max(0.0, float(np.abs(design.slab.slab_deg).max()) - abs(pre_tilt_deg)),
        pre_tilt_deg=pre_tilt_deg,
    )
