"""The CTF of a series as RELION has it."""

from collections.abc import Sequence
from pathlib import Path

import numpy as np

from eucentric.core import Alignment, TiltSeries
from eucentric.io.exchange.relion_labels import DEFOCUS
from eucentric.io.exchange.star import StarBlock, numbers
from eucentric.optics import HandVerdict, Lens, SeriesCTF, TiltCTF

NOT_RESOLVED_A = 999.0  # rlnCtfMaxResolution where no ring was seen

# How sure the hand is that a file tells, as log odds: what we rely on from, since RELION relies on it too.
TOLD_LOG_ODDS = 3.0


def read_ctf(
    path: Path,
    row: StarBlock,
    block: StarBlock,
    rows: Sequence[int],
    series: TiltSeries,
    alignment: Alignment | None,
) -> SeriesCTF | None:
    """Return the CTF, or None where the table has none; `rows` are those of the sections of `series`.

    RELION's defocus is positive under, and its angle that of U from x towards y, as array indices grow: both are ours.

    Raises
    ------
    FormatError
        If a column of the optics is missing, or a value is no number.
    pydantic.ValidationError
        If a value cannot be what it should.
    """
    if not all(label in block.columns for label in DEFOCUS):
        return None
    u, v, azimuth, score, resolution, phase = (
        [numbers(path, block, label, default)[i] for i in rows]
        for label, default in (
            *((label, None) for label in DEFOCUS),
            ("rlnCtfFigureOfMerit", 0.0),
            ("rlnCtfMaxResolution", NOT_RESOLVED_A),
            ("rlnPhaseShift", 0.0),
        )
    )
    views = alignment.tilts if alignment else None
    axis = float(np.median([view.axis_deg for view in views])) if views else series.tilt_axis_deg
    hand = numbers(path, row, "rlnTomoHand", 0.0)[0]
    return SeriesCTF(
        lens=Lens(
            voltage_kV=numbers(path, row, "rlnVoltage")[0],
            cs_mm=numbers(path, row, "rlnSphericalAberration")[0],
            amplitude_contrast=numbers(path, row, "rlnAmplitudeContrast")[0],
        ),
        pixel_A=series.pixel_A,
        axis_deg=axis or 0.0,
        tilts=tuple(
            TiltCTF(
                section=i,
                tilt_deg=views[i].tilt_deg if views else tilt.tilt_deg,
                defocus_u_A=max(u[i], v[i]),
                defocus_v_A=min(u[i], v[i]),
                azimuth_deg=_axis_deg(azimuth[i] if u[i] >= v[i] else azimuth[i] + 90),
                phase_shift_deg=phase[i],
                fit_resolution_A=resolution[i] if 0 < resolution[i] < NOT_RESOLVED_A else None,
                score=score[i],
                used=views[i].used if views else True,
                reason=views[i].reason if views else "",
            )
            for i, tilt in enumerate(series.tilts)
        ),
        hand=HandVerdict(hand=1 if hand > 0 else -1, log_odds=TOLD_LOG_ODDS) if hand else None,
    )


def _axis_deg(angle_deg: float) -> float:
    """Return the direction of an axis within -90 to 90."""
    return angle_deg if -90 <= angle_deg <= 90 else (angle_deg + 90) % 180 - 90
