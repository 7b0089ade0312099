"""Make twin movies whose movement is known, for `motion.py`: a folder a series.

Run: python benchmarks/motion_sets.py OUT [--every 4] [--pixels 2.7 1.35] [--specimens ribosomes cell lamella]
         [--seeds 0 1 2]

Each folder has one TIFF movie a tilt, as counted, the gain reference ``gain.mrc``, and ``truth.json``. A folder with a
``truth.json`` is complete and is left alone; a line in ``OUT/READY`` says when it became so.
"""

import argparse
import json
import math
import time
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from eucentric.core import stream
from eucentric.core.files import write_text
from eucentric.design import ConstantExposure, Design, DoseSymmetric, FrameCount, Routine, Specimen, Stage
from eucentric.io import write_mrc
from eucentric.io.movies import write_movie
from eucentric.microscope import ExposureRequest
from eucentric.specimen.motion import BeamMotion
from eucentric.specimen.samples import build
from eucentric.twin import Twin, TwinSettings
from eucentric.twin.frames import WARP_PX, FrameMotion
from eucentric.twin.mechanics import REALISTIC
from eucentric.twin.moving import Moving
from eucentric.twin.truth import ExposureTruth

SPECIMENS = ("ribosomes", "cell", "lamella")
SIZES = {2.7: 512, 1.35: 768}
TILTS, FRAMES, EXPOSURE_E_A2 = 41, 8, 3.0
THICKNESS_A = {"ribosomes": 1200.0, "cell": 1800.0, "lamella": 1500.0}

# By seed: what the issue asks for, from its least to its most. Drift slows by a factor of 2 over the tilts' waits, so
# that the speed within a seed is between half of this and all of it.
DRIFT_A_FRAME = (1.0, 2.0, 3.0)
BURST_A = (1.0, 3.0, 6.0)
DOMING_A = (0.0, 20.0, 40.0)
DEFOCUS_A = (25_000.0, 32_000.0, 40_000.0)
# By seed and specimen: how far places move against each other in the first exposure, farthest against farthest.
LOCAL_A = (0.0, 5.0, 10.0)
SETTLE_E_A2 = 40.0  # so that later exposures move too: the last of 41 a twentieth of the first
SPREAD = 4.0  # farthest against farthest, in rms of one axis: about that for so few waves
GRID_EVERY = 2  # of the twin's own grid


@dataclass(frozen=True, eq=False)
class TellingMoving(Moving):
    """A moving specimen that also keeps how the frames of its last exposure moved, place by place."""

    told: list[list[FrameMotion]] = field(default_factory=list)

    def frame_motions(self, *arguments: Any, **named: Any) -> list[FrameMotion]:
        """Return what any other does, and keep it."""
        motions = super().frame_motions(*arguments, **named)
        self.told[:] = [motions]
        return motions


@dataclass(frozen=True)
class SetPlan:
    """One series to be made."""

    specimen: str
    seed: int
    pixel_A: float

    @property
    def name(self) -> str:
        """Name of its folder."""
        return f"{self.specimen}_{self.seed}_{self.pixel_A:g}"

    @property
    def size(self) -> int:
        """Pixels a side."""
        return SIZES.get(self.pixel_A, 512)

    @property
    def local_A(self) -> float:
        """How far places move against each other within the first exposure."""
        return LOCAL_A[(self.seed + SPECIMENS.index(self.specimen)) % len(LOCAL_A)]

    def settings(self, stage: Stage, wait_s: float, exposure_s: float) -> TwinSettings:
        """Return a microscope that drifts and moves as far as this one should."""
        level = self.seed % 3
        since_s = stage.settle_s + wait_s + exposure_s / 2
        speed = DRIFT_A_FRAME[level] * FRAMES / exposure_s
        settle_s = REALISTIC.drift_settle_s
        first = -math.expm1(-EXPOSURE_E_A2 / SETTLE_E_A2)
        return TwinSettings(
            stage=REALISTIC.replace(drift_A_per_s=speed * math.exp(since_s / settle_s)),
            motion=BeamMotion(
                burst_A=BURST_A[level],
                local_A=self.local_A / SPREAD / first,
                local_length_A=(4000.0, 1000.0, 600.0)[level],
                settle_e_A2=SETTLE_E_A2,
                doming_A=DOMING_A[level],
            ),
        )


def make(plan: SetPlan, out: Path, chosen: set[int]) -> float:
    """Acquire one series and write the chosen exposures (by order) with the truth; return the seconds it took."""
    begun = time.perf_counter()
    design = Design(
        scheme=DoseSymmetric(),
        exposure=ConstantExposure(total_e_A2=TILTS * EXPOSURE_E_A2),
        frames=FrameCount(frames=FRAMES),
        specimen=Specimen(thickness_A=THICKNESS_A[plan.specimen]),
    )
    stage, routine = Stage(), Routine()
    wait_s = 1.0
    settings = plan.settings(stage, wait_s, EXPOSURE_E_A2 / routine.dose_rate_e_A2_per_s)
    sample = build(
        plan.specimen, seed=plan.seed, field_A=plan.size * plan.pixel_A, thickness_A=THICKNESS_A[plan.specimen]
    )
    twin = Twin(
        sample,
        pixel_A=plan.pixel_A,
        shape_yx=(plan.size, plan.size),
        settings=settings,
        seed=plan.seed,
        stage=stage,
        routine=routine,
    )
    told: list[list[FrameMotion]] = []
    twin._movings = [TellingMoving(one.motion, one.slab, one.axis_deg, told) for one in twin._movings]
    folder = out / plan.name
    folder.mkdir(parents=True, exist_ok=True)
    write_mrc(folder / "gain.mrc", twin.sensor.gain_reference[None], plan.pixel_A, kind="stack", label="Gain")
    draw = stream(plan.seed, "motion sets", plan.name)
    twin.tilt_to(-3.0)  # as before every series: a stage that has never moved does not drift
    tilts = []
    for exposure in design.plan():
        twin.tilt_to(exposure.tilt_deg)
        twin.wait(wait_s + float(draw.uniform(0, math.log(2))) * settings.stage.drift_settle_s)
        place, height_A = twin.true_offset_A()
        twin.set_image_shift_A(place)
        twin.set_beam_shift_A(place)
        aimed_A = DEFOCUS_A[plan.seed % 3] + settings.focus_error_A * float(draw.standard_normal())
        twin.set_defocus_A(aimed_A - settings.hand * height_A)
        twin.pixels = exposure.order in chosen
        exposed = twin.expose_and_tell(
            ExposureRequest(exposure_e_A2=exposure.exposure_e_A2, frames=FRAMES, order=exposure.order)
        )
        if exposure.order not in chosen:
            continue
        movie = f"{exposure.order:02d}_{exposure.tilt_deg:+05.1f}.tif"
        write_movie(folder / movie, exposed.movie.frames, plan.pixel_A)
        tilts.append(told_of(movie, exposure.tilt_deg, exposed.truth, told[0], plan))
    record = {
        "specimen": plan.specimen,
        "seed": plan.seed,
        "pixel_A": plan.pixel_A,
        "size": plan.size,
        "axis_deg": settings.axis_deg,
        "drift_A_frame": DRIFT_A_FRAME[plan.seed % 3],
        "burst_A": BURST_A[plan.seed % 3],
        "local_A": plan.local_A,
        "tilts": tilts,
    }
    write_text(folder / "truth.json", json.dumps(record))
    return time.perf_counter() - begun


def told_of(
    movie: str, tilt_deg: float, truth: ExposureTruth, motions: list[FrameMotion], plan: SetPlan
) -> dict[str, Any]:
    """Return what is true of one exposure, as plain numbers.

    `shifts_yx_A` is how the whole image moved: what stage and burst did, and the mean of what places did besides.
    `local_yx_A` (frame, row, column, yx) is what is left, at `places_yx_A`.
    """
    side = (np.arange(-(-plan.size // WARP_PX) + 2) * WARP_PX - plan.size // 2) * plan.pixel_A
    inside = np.abs(side) <= plan.size * plan.pixel_A / 2
    shifts = np.array([motion.shift_yx_A for motion in motions])
    local = np.zeros((len(motions), len(side), len(side), 2))
    if motions[0].local_yx_A is not None:
        local = np.array([motion.local_yx_A for motion in motions])
    local = local[:, inside][:, :, inside]
    mean = local.mean(axis=(1, 2))
    kept = (local - mean[:, None, None])[:, ::GRID_EVERY, ::GRID_EVERY]
    places = side[inside][::GRID_EVERY]
    return {
        "movie": movie,
        "order": truth.order,
        "tilt_deg": tilt_deg,
        "exposure_e_A2": truth.exposure_e_A2,
        "pre_exposure_e_A2": truth.pre_exposure_e_A2,
        "defocus_A": truth.defocus_A,
        "expected_e_px": truth.expected_e_px,
        "shifts_yx_A": (shifts + mean).round(4).tolist(),
        "places_yx_A": np.stack(np.meshgrid(places, places, indexing="ij"), axis=-1).round(2).tolist(),
        "local_yx_A": kept.round(4).tolist(),
    }


def main() -> None:
    """Make the series that are not there yet, one after another."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("out", type=Path)
    parser.add_argument("--every", type=int, default=1, help="of the 41 exposures, in order, keep each so many-th")
    parser.add_argument("--pixels", type=float, nargs="+", default=[2.7, 1.35], help="Å")
    parser.add_argument("--specimens", nargs="+", default=list(SPECIMENS), choices=SPECIMENS)
    parser.add_argument("--seeds", type=int, nargs="+", default=[0, 1, 2])
    options = parser.parse_args()
    options.out.mkdir(parents=True, exist_ok=True)
    chosen = set(range(0, TILTS, options.every))
    for pixel_A in options.pixels:
        for seed in options.seeds:
            for specimen in options.specimens:
                plan = SetPlan(specimen, seed, pixel_A)
                if (options.out / plan.name / "truth.json").exists():
                    continue
                line = f"{plan.name}: {len(chosen)} tilts in {make(plan, options.out, chosen):.0f} s"
                print(line, flush=True)
                with (options.out / "READY").open("a", encoding="utf-8") as ready:
                    ready.write(line + "\n")


if __name__ == "__main__":
    main()
