"""A plan as settings for PACEtomo, which takes many dose-symmetric series at once by beam shift.

Read from its version 1.9.2c. It splits each line at single spaces, and takes `_set name = number` (a decimal, always)
and `_bset name = True`; a line that begins with a space is skipped, which is the only kind of comment there is. Its
angles are the stage's. Its `pretilt` is the slab's tilt in an untilted stage: where a lamella lies flat at +10°, it
is -10 there, and `pre_tilt_deg` is +10 here.
"""

import math
from collections.abc import Sequence
from pathlib import Path
from typing import Annotated

import numpy as np
from pydantic import Field

from eucentric.core import InputError, Record, write_text
from eucentric.design import ConstantIncrement, DoseSymmetric, Hybrid, Plan

_UM_PER_A = 1e-4
_SAME_DEG = 0.01  # closer angles are one to any stage
_SAME_EXPOSURE = 1e-3  # relative; no camera sets its time better
_SLACK_UM = 1e-3  # PACEtomo adds up its defocus steps: without a little room, rounding may drop the last one

Name = Annotated[str, Field(pattern=r"^[A-Za-z0-9][A-Za-z0-9._-]{0,99}$")]
Micrometres = Annotated[float, Field(allow_inf_nan=False, ge=-2000, le=2000)]


class PacetomoTarget(Record):
    """One target: `shift_um` is its place from the tracking target, the first, along the specimen's axes.

    Its files are `NAME.mrc` (the series), `NAME_tgt.mrc` and `NAME_view.mrc` (images to align to, which must exist).
    `stage_um` is the stage's x and y there.
    """

    name: Name
    shift_um: tuple[Micrometres, Micrometres]
    stage_um: tuple[Micrometres, Micrometres]
    skip: bool = False


class PacetomoSettings(Record):
    """What PACEtomo is told, in its own words and units (°, µm with underfocus negative, s).

    `groupSize` and `recordTime` are not for the targets file: the first, as a decimal, ends PACEtomo 1.9.2c with an
    error after the first image, and must be set in its script; the second is the exposure time of SerialEM's Record.
    """

    startTilt: float
    minTilt: float
    maxTilt: float
    step: float
    groupSize: int
    minDefocus: float
    maxDefocus: float
    stepDefocus: float
    pretilt: float
    zeroExpTime: float
    delayTilt: float
    recordTime: float


def pacetomo_settings(plan: Plan) -> PacetomoSettings:
    """Return the settings with which PACEtomo acquires a plan.

    Raises
    ------
    InputError
        If it cannot: it takes constant steps, dose-symmetric, the positive side first in every group, with one
        exposure for all tilts but the first. The error names the field that prevents it.
    """
    design = plan.design
    scheme, place = (
        (design.scheme.rest, "scheme.rest") if isinstance(design.scheme, Hybrid) else (design.scheme, "scheme")
    )
    if not isinstance(scheme, DoseSymmetric):
        raise _refused(
            f"{place}.kind is {scheme.kind}", f"Set {place}.kind: dose-symmetric and {place}.order: pacetomo"
        )
    if not isinstance(scheme.increment, ConstantIncrement):
        raise _refused(f"{place}.increment.kind is {scheme.increment.kind}", f"Set {place}.increment.kind: constant")
    tilts = [exposure.tilt_deg for exposure in plan]
    low_A, high_A, series = _defoci(plan)
    rate = design.routine.dose_rate_e_A2_per_s
    settings = PacetomoSettings(
        startTilt=_tidy(tilts[0]),
        minTilt=_tidy(min(tilts)),
        maxTilt=_tidy(max(tilts)),
        step=scheme.increment.step_deg,
        groupSize=scheme.group,
        minDefocus=_tidy(-low_A * _UM_PER_A + (_SLACK_UM if series > 1 else 0.0)),
        maxDefocus=_tidy(-high_A * _UM_PER_A),
        stepDefocus=_tidy((high_A - low_A) * _UM_PER_A / max(1, series - 1)),
        pretilt=_tidy(-design.specimen.pre_tilt_deg),
        zeroExpTime=0.0,
        delayTilt=design.stage.settle_s,
        recordTime=plan[-1].exposure_e_A2 / rate,
    )
    _check_order(place, scheme, tilts, settings)
    return settings.replace(zeroExpTime=_zero_time_s(plan))


def write_pacetomo(
    path: Path, plan: Plan, targets: Sequence[PacetomoTarget] = (), *, images: str = ""
) -> PacetomoSettings:
    """Write the head of PACEtomo's targets file (`NAME_tgts.txt`), or all of it where the targets are known.

    Without targets, the lines go to the top of the file that PACEtomo's own script of target selection wrote, and a
    template, commented out, shows what the block of a target is.

    Parameters
    ----------
    path
        The file; one already there is replaced.
    plan, targets
        What is acquired, and where.
    images
        What the names of the images to align to begin with, such as a folder's with a slash at its end.

    Returns
    -------
    PacetomoSettings
        Those written, with the two that the user must set elsewhere; the file names these in its comments.

    Raises
    ------
    InputError
        If PACEtomo cannot do this plan, or two targets have one name.
    OutputError
        If the file cannot be written.
    """
    settings = pacetomo_settings(plan)
    names = [target.name for target in targets]
    if len(set(names)) < len(names):
        twice = next(name for name in names if names.count(name) > 1)
        raise InputError(f"Two targets have the name {twice}; one series would replace the other.", "Rename one.")
    blocks = [_block(number, target, images) for number, target in enumerate(targets, 1)] or [_TEMPLATE]
    write_text(Path(path), "\n".join([_head(plan, settings), *blocks]))
    return settings


_ELSEWHERE = ("groupSize", "recordTime")
_TEMPLATE = """\
 # The block of a target, as PACEtomo's selection of targets writes it; shifts and stage in um:
 # _tgt = 001
 # tgtfile = NAME_tgt.mrc
 # tsfile = NAME.mrc
 # viewfile = NAME_view.mrc
 # stageX = 0.0
 # stageY = 0.0
 # SSX = 0.0
 # SSY = 0.0
 # skip = False
"""


def _head(plan: Plan, settings: PacetomoSettings) -> str:
    usual = plan[-1]
    lines = [
        f" # {len(plan)} exposures, made by `eucentric design`. Every comment line begins with a space.",
        " # To be set elsewhere before the start:",
        f" #   groupSize = {settings.groupSize} at the top of the PACEtomo script (a _set line would not do),",
        f" #   the time of SerialEM's Record, {settings.recordTime:.4f} s: {usual.exposure_e_A2:.4f} e/A2 in "
        f"{usual.frames} frames.",
        " # Targets are to be selected on an untilted stage, or at startTilt.",
    ]
    if settings.minDefocus != settings.maxDefocus:
        lines.append(
            " # The first target has maxDefocus, the next ones come closer to focus, and then it starts again."
        )
    if any(
        abs(exposure.tilt_deg - settings.step * round(exposure.tilt_deg / settings.step)) > 1e-6 for exposure in plan
    ):
        lines.append(" # The tilts are no multiples of the step: PACEtomo takes them, but cannot resume after a stop.")
    told = (name for name in type(settings).model_fields if name not in _ELSEWHERE)
    lines += [f"_set {name} = {getattr(settings, name)!r}" for name in told]
    # What would change the angles, exposures or defoci of this plan, whatever the user's copy of the script has.
    lines += [f"_set {name} = 0.0" for name in ("trackExpTime", "trackDefocus", "zeroDefocus")]
    lines += ["_bset autoStartTilt = False", "_bset trackTwice = False"]
    return "\n".join(lines) + "\n"


def _block(number: int, target: PacetomoTarget, images: str) -> str:
    values = {
        "_tgt": f"{number:03d}",
        "tgtfile": f"{images}{target.name}_tgt.mrc",
        "tsfile": f"{target.name}.mrc",
        "viewfile": f"{images}{target.name}_view.mrc",
        "stageX": repr(target.stage_um[0]),
        "stageY": repr(target.stage_um[1]),
        "SSX": repr(target.shift_um[0]),
        "SSY": repr(target.shift_um[1]),
        "skip": repr(target.skip),
    }
    return "".join(f"{name} = {value}\n" for name, value in values.items())


def _refused(what: str, fix: str) -> InputError:
    return InputError(f"PACEtomo cannot acquire this plan: {what}.", f"{fix}; or export it for SerialEM.")


def _tidy(value: float) -> float:
    return round(value, 6) + 0.0  # PACEtomo compares angles exactly; what rounding left would show


def _defoci(plan: Plan) -> tuple[float, float, int]:
    session_A = plan.design.defocus.session_A()
    if max(session_A) < 0:
        raise _refused(f"the defocus is {max(session_A):g} Å, an overfocus", "Set an underfocus")
    steps_A = np.diff(session_A)
    if len(steps_A) > 1 and np.ptp(steps_A) > _SLACK_UM / _UM_PER_A:
        raise _refused("defocus.spacing is geometric, and PACEtomo steps evenly", "Set defocus.spacing: even")
    return min(session_A), max(session_A), len(session_A)


def _zero_time_s(plan: Plan) -> float:
    """Return the time of the first exposure if it is another than that of the rest, else 0, as PACEtomo has it."""
    first, *rest = plan.exposures
    usual = rest[-1] if rest else first
    for exposure in rest:
        if abs(exposure.exposure_e_A2 / usual.exposure_e_A2 - 1) > _SAME_EXPOSURE:
            raise _refused(
                f"exposure.kind {plan.design.exposure.kind} gives {exposure.exposure_e_A2:.4g} e/Å² at "
                f"{exposure.tilt_deg:g}° and {usual.exposure_e_A2:.4g} at {usual.tilt_deg:g}°",
                "Set exposure.kind: constant",
            )
    # The camera's frame time is the same at all tilts: it makes this many frames.
    frames = max(1, round(first.exposure_e_A2 / usual.exposure_e_A2 * usual.frames))
    if frames != first.frames:
        raise _refused(
            f"frames.kind {plan.design.frames.kind} gives {first.frames} frames at the first tilt and {usual.frames} "
            f"at the others, where one frame time makes {frames}",
            "Set frames.kind: equal-exposure, with a frames.each_e_A2 that divides both exposures",
        )
    if abs(first.exposure_e_A2 / usual.exposure_e_A2 - 1) <= _SAME_EXPOSURE:
        return 0.0
    return first.exposure_e_A2 / plan.design.routine.dose_rate_e_A2_per_s


def _check_order(place: str, scheme: DoseSymmetric, tilts: list[float], settings: PacetomoSettings) -> None:
    theirs = _angles(settings)
    if len(theirs) == len(tilts) and all(abs(a - b) < _SAME_DEG for a, b in zip(theirs, tilts, strict=True)):
        return
    if scheme.order_taken != "pacetomo":
        raise _refused(f"{place}.order is {scheme.order_taken}", f"Set {place}.order: pacetomo")
    if scheme.first == "negative":
        raise _refused(f"{place}.first is negative", f"Set {place}.first: positive")
    if scheme.grow_by:
        raise _refused(f"{place}.grow_by is {scheme.grow_by}", f"Set {place}.grow_by: 0")
    if scheme.run_out_beyond_deg is not None:
        what = f"{place}.run_out_beyond_deg is {scheme.run_out_beyond_deg:g}"
        raise _refused(what, f"Leave {place}.run_out_beyond_deg out")
    if min(tilts) == tilts[0]:
        raise _refused(f"{place}.start_deg is the lower end", f"Set {place}.start_deg higher, or use another kind")
    if place == "scheme.rest" and scheme.angles_deg()[0] != min(scheme.angles_deg(), key=abs):
        raise _refused(f"{place}.start_deg is {scheme.start_deg:g}, and not taken first", f"Set {place}.start_deg: 0")
    at = next(
        (at for at, (a, b) in enumerate(zip(theirs, tilts, strict=False)) if abs(a - b) >= _SAME_DEG), len(theirs)
    )
    raise _refused(
        f"with {place}.increment.step_deg {settings.step:g} its own arithmetic leaves the plan at exposure {at}",
        f"Choose a step and a start of whole or half degrees for {place}",
    )


def _angles(settings: PacetomoSettings) -> list[float]:
    """Return the angles that PACEtomo takes, in its order, with its rounding and the way in which its sides end."""
    start, step, ends = settings.startTilt, settings.step, [settings.maxTilt, settings.minTilt]
    if any((end - start) * sign % step != 0 for end, sign in zip(ends, (1, -1), strict=True)):
        ends = [round(int((end - start) / step) * step + start, 1) for end in ends]
    highest, lowest = ends
    tilts, at = [start], [start, start]
    over = [start >= highest or start <= lowest, False]  # the first image counts for the positive side
    for _ in range(math.ceil(max(highest - start, abs(lowest - start)) / settings.groupSize / step)):
        for side, sign in ((0, 1), (1, -1)):
            for _ in range(settings.groupSize):
                at[side] += sign * step
                if not over[side]:
                    tilts.append(at[side])
                    over[side] = at[side] >= highest or at[side] <= lowest
    return tilts
