"""A session as `eucentric watch` leaves it, made through the journal alone: looks at tilts, and what stages left."""

from pathlib import Path

import numpy as np
from PIL import Image

from eucentric.design import ConstantExposure, Design, DoseSymmetric, Plan
from eucentric.io import write_mrc, write_plan
from eucentric.optics import CTFFit
from eucentric.processing.motion import MotionSettings, MotionTrack
from eucentric.session import Session, StagePlan
from eucentric.workflow.live import Look
from eucentric.workflow.live.preview import PREVIEW, Preview, PreviewStage
from eucentric.workflow.live.records import LOOKS, LookStage
from eucentric.workflow.records import GainSettings

SERIES = "TS_001"
MEAN_FREE_PATH_A = 3150.0


def plan() -> Plan:
    """Return the plan: seven tilts, 20° apart, of 3 e/Å²."""
    scheme = DoseSymmetric(min_deg=-60, max_deg=60, increment={"kind": "constant", "step_deg": 20})
    return Design(scheme=scheme, exposure=ConstantExposure(total_e_A2=21)).plan()


def acquired(folder: Path) -> Path:
    """Write what was acquired: the plan, and a file for each movie; return its folder."""
    (folder / "frames").mkdir(parents=True)
    write_plan(folder / "plan.yaml", plan())
    for section in range(len(plan())):
        movie_of(folder, section).write_bytes(b"electrons" * (section + 1))
    return folder


def movie_of(folder: Path, section: int, series: str = SERIES) -> Path:
    """Return the movie of a section."""
    return folder / "frames" / f"{series}_{section:03d}.tif"


def counts_at(tilt_deg: float, thickness_A: float = 2000.0) -> float:
    """Return the counts of a pixel through a slab: 40 without one."""
    return 40 * float(np.exp(-thickness_A / MEAN_FREE_PATH_A / np.cos(np.deg2rad(tilt_deg))))


def take_look(
    session: Session,
    raw: Path,
    section: int,
    *,
    counts: float | None = None,
    way_A: float = 3.0,
    defocus_A: float | None = None,
    rings_A: float = 9.0,
) -> None:
    """Take a look at a section of the plan, as a worker of the watcher does, with these results."""
    exposure = plan()[section]
    counts = counts_at(exposure.tilt_deg) if counts is None else counts
    mean_A = exposure.defocus_A if defocus_A is None else defocus_A
    look = Look(
        section=section,
        tilt_deg=exposure.tilt_deg,
        exposure_e_A2=exposure.exposure_e_A2,
        movie=movie_of(raw, section).name,
        frames=2,
        counts=counts,
        pixel_A=2.7,
        track=MotionTrack(frames=(0, 1), shifts_yx_A=((0.0, 0.0), (0.0, way_A)), sigma_A=(0.1, 0.1)),
        ctf=CTFFit(defocus_u_A=mean_A, defocus_v_A=mean_A, azimuth_deg=0, fit_resolution_A=rings_A, score=0.5),
        target_defocus_A=exposure.defocus_A,
    )
    stage = LookStage(
        tilt_deg=exposure.tilt_deg,
        pixel_A=2.7,
        exposure_e_A2=exposure.exposure_e_A2,
        pre_exposure_e_A2=exposure.pre_exposure_e_A2,
        gain=GainSettings(),
        motion=MotionSettings(),
        dose_weighting=True,
        lens=None,
        min_defocus_A=3000,
        max_defocus_A=90_000,
    )
    asked = StagePlan(
        series=SERIES, stage=f"look-{section:03d}", version=1, settings=stage, inputs=(movie_of(raw, section),)
    )
    with session.run(asked) as run:
        (run.folder / LOOKS).mkdir(exist_ok=True)
        record, picture = (run.folder / LOOKS / f"{section:03d}{ending}" for ending in (".json", ".jpg"))
        record.write_text(look.model_dump_json())
        Image.fromarray(np.full((48, 48), 40 + 20 * section, np.uint8)).save(picture)
        run.output(record)
        run.output(picture)
        for name, value in (
            ("counts", counts),
            ("motion_A", way_A),
            ("defocus_A", mean_A),
            ("fit_resolution_A", rings_A),
        ):
            run.metric(name, value)


def make_preview(session: Session, tilts: int) -> None:
    """Leave a preview of so many tilts, as a worker of the watcher does."""
    stage = PreviewStage(sections=tuple(range(tilts)), tilts_deg=tuple(one.tilt_deg for one in plan())[:tilts])
    with session.run(StagePlan(series=SERIES, stage=PREVIEW, version=1, settings=stage)) as run:
        record, picture, volume = (run.folder / f"{PREVIEW}{ending}" for ending in (".json", ".jpg", ".mrc"))
        record.write_text(Preview(tilts=tilts).model_dump_json())
        Image.fromarray(np.full((48, 48), 10 * tilts, np.uint8)).save(picture)
        write_mrc(volume, np.full((8, 16, 16), tilts, np.float32), 40.0, kind="volume")
        for path in (record, picture, volume):
            run.output(path)
        run.metric("preview_tilts", tilts)
