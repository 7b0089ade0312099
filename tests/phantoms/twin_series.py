"""A series as the twin takes it of a chiral specimen, ribosomes, without pixels: every view, place and defocus true."""

from functools import lru_cache
from typing import Literal

from scipy.spatial.transform import Rotation

from eucentric.core import Alignment, Tilt, TiltSeries
from eucentric.io.exchange import Particle, ProcessedSeries, Volume
from eucentric.optics import HandVerdict, Lens, SeriesCTF, TiltCTF
from eucentric.specimen.sample import Sample
from eucentric.specimen.samples import build
from eucentric.twin import Twin
from eucentric.twin.mechanics import StageErrors
from eucentric.twin.settings import TwinSettings

PIXEL_A = 2.7
SHAPE_YX = (410, 377)  # one side odd and one even, and not alike: no centre is right by chance
_STAGE = StageErrors(
    tilt_offset_deg=1.3, tilt_rms_deg=0.2, eucentric_z_A=150, wander_A=60, cross_axis_A=60, wobble_A=30, backlash_A=20
)


@lru_cache
def _ribosomes() -> Sample:
    return build("ribosomes", seed=0, field_A=PIXEL_A * max(SHAPE_YX), thickness_A=800)


def twin_series(*, axis_deg: float, hand: Literal[1, -1], tilt_sign: Literal[1, -1] = 1) -> ProcessedSeries:
    """Return the truth of a dose-symmetric series, sections by tilt, with the ribosomes as its particles.

    With a `tilt_sign` of -1 the stage turns the other way first.
    """
    settings = TwinSettings(axis_deg=axis_deg, axis_error_deg=0.4, hand=hand, stage=_STAGE)
    twin = Twin(_ribosomes(), pixel_A=PIXEL_A, shape_yx=SHAPE_YX, settings=settings, pixels=False)
    order = [0.0]
    for step in range(1, 6):
        order += [tilt_sign * 12.0 * step, -tilt_sign * 12.0 * step]
    truths = []
    for tilt in order:
        twin.expose(tilt_deg=tilt, exposure_e_A2=3.0, frames=8)
        if twin.last is not None:
            truths.append(twin.last)
    by_tilt = sorted(range(len(order)), key=order.__getitem__)
    views = tuple(truths[at].view.replace(section=section) for section, at in enumerate(by_tilt))
    tilts = tuple(
        Tilt(
            section=section,
            tilt_deg=order[at],
            order=at,
            exposure_e_A2=3.0,
            pre_exposure_e_A2=3.0 * at,
            movie=f"TS_001_{at:03d}.tif",
        )
        for section, at in enumerate(by_tilt)
    )
    ctf = tuple(
        TiltCTF(
            section=section,
            tilt_deg=views[section].tilt_deg,
            defocus_u_A=truths[at].defocus_A + truths[at].astigmatism_A / 2,
            defocus_v_A=truths[at].defocus_A - truths[at].astigmatism_A / 2,
            azimuth_deg=(truths[at].astigmatism_deg + 90) % 180 - 90,
            score=0.5,
        )
        for section, at in enumerate(by_tilt)
    )
    return ProcessedSeries(
        series=TiltSeries(
            name="TS_001",
            pixel_A=PIXEL_A,
            shape_yx=SHAPE_YX,
            tilts=tilts,
            order_known=True,
            tilt_axis_deg=axis_deg,
            voltage_kV=300.0,
        ),
        frames=(8,) * len(tilts),
        alignment=Alignment(pixel_A=PIXEL_A, shape_yx=SHAPE_YX, tilts=views),
        ctf=SeriesCTF(
            lens=Lens(), pixel_A=PIXEL_A, axis_deg=axis_deg, tilts=ctf, hand=HandVerdict(hand=hand, log_odds=30)
        ),
        volume=Volume(shape_zyx=(80, 102, 95), voxel_A=4 * PIXEL_A),
        particles=_particles(_ribosomes()),
    )


def _particles(sample: Sample) -> tuple[Particle, ...]:
    (part,) = [part for part in sample.parts if part.label == "ribosome"]
    found = []
    for (z, y, x), turn in zip(part.centres_A, part.rotations, strict=True):
        # RELION's matrix is Rz(psi) Ry(tilt) Rz(rot) with every turn the opposite of a right-handed one.
        xyz = turn[::-1, ::-1]
        psi, tilt, rot = Rotation.from_matrix(xyz).as_euler("ZYZ", degrees=True)
        found.append(
            Particle(
                position_zyx_A=(float(z), float(y), float(x)),
                rot_deg=float(-rot),
                tilt_deg=float(-tilt),
                psi_deg=float(-psi),
                label="ribosome",
            )
        )
    return tuple(found)
