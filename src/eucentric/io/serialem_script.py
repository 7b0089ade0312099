"""A plan as a Python script for SerialEM, which acquires exactly this plan and exposes nothing twice."""

import re
from itertools import pairwise
from pathlib import Path

from eucentric.core import InputError, write_text
from eucentric.design import Exposure, Plan
from eucentric.io._serialem_body import BODY

_SETTINGS = """\
#!Python
# Acquires a tilt series of {count} exposures and {total} e/A2 in SerialEM, in low dose mode, on one target.
# Made by `eucentric design`. Commands as in SerialEM 4.1 and later. To be checked before every use:
#   1. NAME: the stack is NAME.mrc, in SerialEM's current directory, with its .mdoc (Options of the file: save .mdoc).
#   2. DOSE_RATE: what the specimen receives in the Record area, measured today.
#   3. TRACK and FOCUS_EVERY: Trial and Focus areas lie beside the target, along the tilt axis.
#   4. Low dose is set up, the target is centred at eucentric height, the valves are open, frames are saved where
#      they should be, and the angles below are within the reach of the stage.
# The progress file, NAME.progress.txt, is written before and after each exposure. If the run ends early, centre the
# target again and run the script again: what was exposed is not exposed again. Where that is not known, the
# exposure is named and left out, unless REPEAT names it.

import hashlib
import json
import math
import os

import serialem as sem

NAME = "{name}"
DOSE_RATE = {dose_rate!r}  # e/A2/s at the specimen in the Record area; the plan's, to be measured
REPEAT = ()  # orders of exposures to be taken again, such as (7,); empty it afterwards
SET_FRAME_TIME = True  # False: the camera's own frame time stays, and the numbers of frames of the plan are not met

TRACK = True  # align a Trial image before each exposure
TRACK_ROUNDS = 2  # Trial images at one tilt, at most
TRACK_CLOSE_UM = 0.1  # no second round after a smaller shift
TRACK_LIMIT_UM = 3.0  # an alignment may not shift further
TRACK_REACH_DEG = {reach_deg!r}  # no alignment between images further apart
UPPER_BUFFER, LOWER_BUFFER = "P", "Q"  # hold the references above and below the start; outside the rolling buffers

FOCUS_EVERY = {focus_every}  # autofocus before every so many exposures; 0 for never
STOP_IF_FOCUS_FAILS = False
ALLOW_ON_TARGET = False  # True: Trial and Focus areas may lie on the target, which pays for them
NEAREST_AREA_UM = 0.5  # an area closer to the target than this lies on it

SETTLE_S = {settle_s!r}  # after each tilt
BACKLASH_DEG = 3.0  # a tilt against the direction of the series goes so far beyond, and comes back
TILT_TOLERANCE_DEG = 0.2  # a stage further off is not at its tilt
CHECK_VALVES = True  # False where SerialEM cannot ask the microscope for its valves

# The plan. Angles are the stage's, in degrees; exposures in e/A2; defocus in Angstrom, underfocus positive.
PLAN = (
    # {columns}
{rows}
)
"""

_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,99}")
_REACH_STEPS = 2.5  # images two steps apart can be aligned still; three, after a gap, are taken for strangers


def write_serialem_script(
    path: Path, plan: Plan, *, name: str | None = None, dose_rate_e_A2_per_s: float | None = None
) -> None:
    """Write a Python script for SerialEM that acquires a plan.

    It tilts (always ending in the same direction), tracks, focuses, sets exposure time and frame time, records and
    saves, and writes `ExposureDose` and `PriorRecordDose` into the .mdoc. It stops before the first exposure if the
    microscope is not ready. It keeps a progress file, from which a second run carries on.

    Parameters
    ----------
    path
        The script.
    plan
        What it acquires; its table stands in the script, nothing rounded.
    name
        Name of the series, from which those of its files are made; that of the script if absent.
    dose_rate_e_A2_per_s
        Dose rate at the specimen in e/Å²/s, that of the plan's routine if absent; the user can change it in the script.

    Raises
    ------
    InputError
        If the name cannot be that of a file everywhere, or the dose rate is not above 0.
    OutputError
        If the script cannot be written.
    """
    path = Path(path)
    stem = path.stem if name is None else name
    if not _NAME.fullmatch(stem):
        raise InputError(
            f"{stem!r} cannot be the name of a series in SerialEM.",
            "Use letters without accents, digits, dots, hyphens and underscores.",
        )
    dose_rate = plan.design.routine.dose_rate_e_A2_per_s if dose_rate_e_A2_per_s is None else dose_rate_e_A2_per_s
    if not 0 < dose_rate < float("inf"):
        raise InputError(f"The dose rate is {dose_rate:g} e/Å²/s.", "Give one above 0.")
    settings = _SETTINGS.format(
        count=len(plan),
        total=f"{plan[-1].pre_exposure_e_A2 + plan[-1].exposure_e_A2:.3f}",
        name=stem,
        dose_rate=dose_rate,
        reach_deg=_reach_deg(plan),
        focus_every=plan.design.routine.focus_every,
        settle_s=plan.design.stage.settle_s,
        columns=", ".join(Exposure.model_fields),
        rows="\n".join(f"    {_row(exposure)}," for exposure in plan),
    )
    write_text(path, settings + BODY)


def _row(exposure: Exposure) -> tuple[float, ...]:
    return tuple(getattr(exposure, field) for field in Exposure.model_fields)


def _reach_deg(plan: Plan) -> float:
    rising = sorted(exposure.tilt_deg for exposure in plan)
    return round(_REACH_STEPS * max((b - a for a, b in pairwise(rising)), default=1.0), 3)
