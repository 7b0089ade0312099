"""The options that make a design, and how they change one: each sets one field."""

from dataclasses import dataclass, fields, replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

from cyclopts import Parameter

from eucentric.cli.app import UsageError
from eucentric.core import InputError

if TYPE_CHECKING:
    from eucentric.design import Design

Number = float | None


@Parameter(name="*", group="Scheme")
@dataclass(frozen=True)
class SchemeOptions:
    """Which tilts in which order; angles are those of the slab, to which the pre-tilt is added.

    Parameters
    ----------
    scheme
        unidirectional, bidirectional, dose-symmetric [dose-symmetric].
    range
        Half of the range in degrees [60].
    min
        Its lower end, where the ends differ.
    max
        Its upper end.
    step
        Increment in degrees, at 0° where it changes [3].
    increment
        constant, cosine (finer at high tilt) or saxton (equal overlap) [constant].
    start
        Where a bidirectional or dose-symmetric series starts [0].
    group
        Tilts on one side before the stage changes sides [1].
    order
        serialem, pacetomo or hagen [hagen for groups of 1, else serialem].
    first
        negative or positive: the side that comes first.
    grow_by
        Groups grow by so many tilts [0].
    grow_beyond
        Where they first do: an angle from the start [0].
    grow_every
        And again after every so many degrees [once].
    run_out_beyond
        Beyond this angle, finish one side and then the other.
    angles
        A file of angles in the order of acquisition, in place of a scheme.
    untilted_exposure
        Hybrid: this exposure at the least tilted angle, which comes first; the rest shares what is left.
    """

    scheme: str | None = None
    range: Number = None
    min: Number = None
    max: Number = None
    step: Number = None
    increment: str | None = None
    start: Number = None
    group: int | None = None
    order: str | None = None
    first: str | None = None
    grow_by: int | None = None
    grow_beyond: Number = None
    grow_every: Number = None
    run_out_beyond: Number = None
    angles: Path | None = None
    untilted_exposure: Number = None


@Parameter(name="*", group="Exposure and defocus")
@dataclass(frozen=True)
class ExposureOptions:
    """How exposure is divided, and the defocus.

    Parameters
    ----------
    exposure
        Exposure of the whole series in e/Å² [120].
    exposure_per_tilt
        In its place, that of an untilted image.
    weighting
        constant, inverse-cosine, thickness (the path through the slab) or equal-counts [constant].
    times_at_60
        Exposure at 60° over that at 0°, as 1/cos^(1/y): 2 for y = 1, 1.41 for y = 2.
    frames
        Frames of each tilt [8].
    frame_exposure
        In its place, exposure of a frame in e/Å².
    frame_rounding
        exact, or nearest where the exposure of a tilt is no multiple of a frame's [exact].
    defocus
        In Å, underfocus positive [30000].
    defocus_to
        Stagger it over a session, from --defocus up to this one.
    series
        Series of the session [5].
    index
        Number of this one among them, from 0 [0].
    spacing
        geometric, or even, which can leave all series blind at one resolution [geometric].
    """

    exposure: Number = None
    exposure_per_tilt: Number = None
    weighting: str | None = None
    times_at_60: Annotated[Number, Parameter(name="--times-at-60")] = None
    frames: int | None = None
    frame_exposure: Number = None
    frame_rounding: str | None = None
    defocus: Number = None
    defocus_to: Number = None
    series: int | None = None
    index: int | None = None
    spacing: str | None = None


@Parameter(name="*", group="Specimen and instrument")
@dataclass(frozen=True)
class InstrumentOptions:
    """What the design is for.

    Parameters
    ----------
    thickness
        Thickness of the slab in Å [2000].
    pre_tilt
        Stage tilt at which the slab lies flat (a lamella's milling angle) [0].
    mean_free_path
        Inelastic mean free path in Å at 300 kV [3150; published are 2110 to 3950].
    particle
        Mass in kDa of the complex whose signal is predicted [1000].
    diameter
        Sample an object of this diameter in Å rather than the whole slab.
    pixel
        Pixel size in Å [1.35].
    voltage
        In kV [300].
    cs
        Spherical aberration in mm [2.7].
    stage_min
        Lower limit of the stage in degrees [-70].
    stage_max
        Upper limit of the stage in degrees [70].
    dose_rate
        In e/Å² a second [3].
    tracking
        Seconds of tracking at each tilt [5].
    focusing
        Seconds of each focusing [10].
    overhead
        Seconds of reading and writing after each exposure [5].
    settle
        Seconds after each move [1].
    focus_every
        Tilts from one focusing to the next [1].
    alignment_error
        Error in Å of placing an image of 3 e/Å² of a very thin specimen [1.2].
    """

    thickness: Number = None
    pre_tilt: Number = None
    mean_free_path: Number = None
    particle: Number = None
    diameter: Number = None
    pixel: Number = None
    voltage: Number = None
    cs: Number = None
    stage_min: Number = None
    stage_max: Number = None
    dose_rate: Number = None
    tracking: Number = None
    focusing: Number = None
    overhead: Number = None
    settle: Number = None
    focus_every: int | None = None
    alignment_error: Number = None


_FIELDS = {
    "min": "scheme.min_deg",
    "max": "scheme.max_deg",
    "step": "scheme.increment.step_deg",
    "increment": "scheme.increment.kind",
    "start": "scheme.start_deg",
    "group": "scheme.group",
    "order": "scheme.order",
    "first": "scheme.first",
    "grow_by": "scheme.grow_by",
    "grow_beyond": "scheme.grow_beyond_deg",
    "grow_every": "scheme.grow_every_deg",
    "run_out_beyond": "scheme.run_out_beyond_deg",
    "times_at_60": "exposure.times_at_60",
    "thickness": "specimen.thickness_A",
    "pre_tilt": "specimen.pre_tilt_deg",
    "mean_free_path": "specimen.mean_free_path_A",
    "particle": "specimen.particle_kDa",
    "diameter": "specimen.diameter_A",
    "pixel": "camera.pixel_A",
    "voltage": "lens.voltage_kV",
    "cs": "lens.cs_mm",
    "stage_min": "stage.min_deg",
    "stage_max": "stage.max_deg",
    "dose_rate": "routine.dose_rate_e_A2_per_s",
    "tracking": "routine.tracking_s",
    "focusing": "routine.focus_s",
    "overhead": "routine.overhead_s",
    "settle": "stage.settle_s",
    "focus_every": "routine.focus_every",
    "alignment_error": "alignability.error_A",
}
"""The field of a design that each plain option sets."""


_ALSO = {
    "scheme.kind": "scheme",
    "scheme.untilted_e_A2": "untilted-exposure",
    "scheme.tilts_deg": "angles",
    "exposure.kind": "weighting",
    "exposure.total_e_A2": "exposure",
    "exposure.untilted_e_A2": "exposure-per-tilt",
    "frames.frames": "frames",
    "frames.each_e_A2": "frame-exposure",
    "frames.rounding": "frame-rounding",
    "defocus.defocus_A": "defocus",
    "defocus.low_A": "defocus",
    "defocus.high_A": "defocus-to",
    "defocus.series": "series",
    "defocus.index": "index",
    "defocus.spacing": "spacing",
}


def design_from(
    base: "Design",
    scheme: SchemeOptions | None = None,
    exposure: ExposureOptions | None = None,
    instrument: InstrumentOptions | None = None,
) -> "Design":
    """Return the base with what the options change.

    Raises
    ------
    UsageError
        If the outcome is impossible; named by its option, with the value and what is permitted.
    """
    from pydantic import ValidationError

    from eucentric.design import Design, describe

    scheme, exposure, instrument = (
        scheme or SchemeOptions(),
        exposure or ExposureOptions(),
        instrument or InstrumentOptions(),
    )
    values = base.model_dump()
    _set_scheme(values, scheme)
    _set_exposure(values, exposure)
    for options in (scheme, exposure, instrument):
        for option in fields(options):
            value = getattr(options, option.name)
            if value is not None and option.name in _FIELDS:
                path = _in_scheme(option.name, values["scheme"]) if options is scheme else _FIELDS[option.name]
                _set(values, path, value)
    if scheme.untilted_exposure is not None:
        values["scheme"] = {"kind": "hybrid", "untilted_e_A2": scheme.untilted_exposure, "rest": values["scheme"]}
    given_range = scheme.range is not None
    try:
        return Design.model_validate(values)
    except ValidationError as error:
        raise UsageError(describe(error, lambda field: _option_of(field, given_range))) from error


def total_from(base: "Design", exposure: ExposureOptions | None) -> float:
    """Return the total exposure that a search divides: the one given, or that of the base.

    Raises
    ------
    UsageError
        If an option would settle what the search is to find, or the total cannot be.
    """
    exposure = exposure or ExposureOptions()
    for name in ("exposure_per_tilt", "weighting", "times_at_60"):
        if getattr(exposure, name) is not None:
            option = name.replace("_", "-")
            raise UsageError(f"--{option} is for the search to find: it divides the total, --exposure.")
    total_e_A2 = exposure.exposure
    if total_e_A2 is None:
        total_e_A2 = sum(one.exposure_e_A2 for one in base.plan())
    if not 0 < total_e_A2 <= 1e4:
        raise UsageError(f"--exposure is {total_e_A2:g}; permitted: above 0, up to 10000.")
    return total_e_A2


def bench_from(base: "Design", exposure: ExposureOptions | None, instrument: InstrumentOptions | None) -> "Design":
    """Return a design of one image with the specimen, instrument, defocus and frames that a search starts from.

    Scheme and exposure are what is searched for: those of the base must not stand in the way.
    """
    from eucentric.design import ConstantExposure, Explicit, FrameCount, FrameExposure

    exposure = exposure or ExposureOptions()
    each_e_A2 = exposure.frame_exposure
    if each_e_A2 is None and exposure.frames is None and isinstance(base.frames, FrameExposure):
        each_e_A2 = base.frames.each_e_A2
    counted = base.frames if isinstance(base.frames, FrameCount) else FrameCount()
    bare = base.replace(scheme=Explicit(tilts_deg=(0.0,)), exposure=ConstantExposure(untilted_e_A2=1.0), frames=counted)
    rest = replace(exposure, exposure=None, frame_exposure=None, frame_rounding=None)
    made = design_from(bare, None, rest, instrument)
    if each_e_A2 is None:
        return made
    if not 0.001 <= each_e_A2 <= 1e4:
        raise UsageError(f"--frame-exposure is {each_e_A2:g}; permitted: 0.001 to 10000.")
    one_frame = ConstantExposure(untilted_e_A2=each_e_A2)
    return made.replace(exposure=one_frame, frames=FrameExposure(each_e_A2=each_e_A2, rounding="nearest"))


def _option_of(field: str, given_range: bool) -> str:
    field = field.replace("scheme.rest.", "scheme.")
    if given_range and field in ("scheme.min_deg", "scheme.max_deg"):
        return "--range"
    name = next((name for name, path in _FIELDS.items() if path == field), _ALSO.get(field))
    return f"--{name.replace('_', '-')}" if name else field


def _in_scheme(option: str, scheme: dict[str, Any]) -> str:
    """Return the field that an option of the scheme sets, given the kind of scheme that it meets."""
    from eucentric.design import Bidirectional, DoseSymmetric, Explicit, Unidirectional

    place, inner = ("scheme.rest", scheme["rest"]) if scheme["kind"] == "hybrid" else ("scheme", scheme)
    models = (Unidirectional, Bidirectional, DoseSymmetric, Explicit)
    model = next((model for model in models if model.model_fields["kind"].default == inner["kind"]), None)
    field = _FIELDS[option].removeprefix("scheme.")
    if model is not None and field.split(".")[0] not in model.model_fields:
        raise UsageError(f"--{option.replace('_', '-')} does not go with a scheme that is {inner['kind']}.")
    return f"{place}.{field}"


def _set(values: dict[str, Any], path: str, value: object) -> None:
    *above, last = path.split(".")
    for name in above:
        values = values[name]
    values[last] = value


def _fields_of(kind: str) -> set[str]:
    """Return the fields of a kind of scheme; of none that there is, those of any."""
    from eucentric.design import Bidirectional, DoseSymmetric, Unidirectional

    if kind == "unidirectional":
        return set(Unidirectional.model_fields)
    return set((Bidirectional if kind == "bidirectional" else DoseSymmetric).model_fields)


def _set_scheme(values: dict[str, Any], options: SchemeOptions) -> None:
    if options.angles is not None:
        values["scheme"] = {"kind": "explicit", "tilts_deg": _angles(options)}
        return
    made_by = {"explicit": "--angles FILE", "hybrid": "--untilted-exposure, beside any scheme"}
    if options.scheme in made_by and options.scheme != values["scheme"]["kind"]:
        raise UsageError(f"--scheme {options.scheme} is made with {made_by[options.scheme]}.")
    if options.range is not None and (options.min is not None or options.max is not None):
        raise UsageError("--range gives both ends: leave out --min and --max, or give these alone.")
    if options.range is not None and not 0 < options.range < 90:
        raise UsageError(f"--range is {options.range:g}; permitted: above 0, below 90.")
    scheme = values["scheme"]
    if scheme["kind"] == "hybrid" and (options.untilted_exposure is not None or options.scheme not in (None, "hybrid")):
        scheme = scheme["rest"]
    if options.scheme not in (None, scheme["kind"]):
        known = _fields_of(str(options.scheme))
        kept = {name: value for name, value in scheme.items() if name in known and value is not None}
        scheme = kept | {"kind": options.scheme}
    if options.range is not None:
        inner = scheme["rest"] if scheme["kind"] == "hybrid" else scheme
        if inner["kind"] == "explicit":
            raise UsageError("--range does not go with a scheme that is explicit.")
        inner |= {"min_deg": -options.range, "max_deg": options.range}
    values["scheme"] = scheme


def _angles(options: SchemeOptions) -> tuple[float, ...]:
    from eucentric.io import read_angles

    others = ("scheme", "range", "min", "max", "step", "increment", "start", "group", "order")
    if beside := [name for name in others if getattr(options, name) is not None]:
        raise UsageError(f"--angles gives the tilts and their order: leave out --{', --'.join(beside)}.")
    if options.angles is None:
        raise InputError("No file of angles was named.")
    return tuple(read_angles(options.angles))


def _set_exposure(values: dict[str, Any], options: ExposureOptions) -> None:
    policy = values["exposure"]
    if options.exposure is not None and options.exposure_per_tilt is not None:
        raise UsageError("--exposure is of the whole series, --exposure-per-tilt of one image: give one of them.")
    if options.weighting not in (None, "inverse-cosine") and options.times_at_60 is not None:
        raise UsageError("--times-at-60 goes with --weighting inverse-cosine.")
    if options.weighting == "explicit" and policy["kind"] != "explicit":
        raise UsageError("--weighting explicit: exposures one by one are given in a plan's file.")
    kind = options.weighting or ("inverse-cosine" if options.times_at_60 is not None else policy["kind"])
    if kind != policy["kind"]:
        policy = {name: policy.get(name) for name in ("total_e_A2", "untilted_e_A2")} | {"kind": kind}
        if policy["total_e_A2"] is policy["untilted_e_A2"] is None:  # from exposures given one by one
            policy["total_e_A2"] = sum(values["exposure"]["each_e_A2"])
    if options.exposure is not None or options.exposure_per_tilt is not None:
        policy |= {"total_e_A2": options.exposure, "untilted_e_A2": options.exposure_per_tilt}
    values["exposure"] = policy
    if options.frames is not None and options.frame_exposure is not None:
        raise UsageError("--frames and --frame-exposure say the same: give one of them.")
    if options.frames is not None:
        values["frames"] = {"kind": "count", "frames": options.frames}
    elif options.frame_exposure is not None:
        rounding = values["frames"].get("rounding", "exact")
        values["frames"] = {"kind": "equal-exposure", "each_e_A2": options.frame_exposure, "rounding": rounding}
    if options.frame_rounding is not None:
        if values["frames"]["kind"] == "count":
            raise UsageError("--frame-rounding goes with --frame-exposure.")
        values["frames"]["rounding"] = options.frame_rounding
    if options.defocus_to is not None:
        base = values["defocus"]
        low = options.defocus if options.defocus is not None else base.get("low_A", base.get("defocus_A"))
        kept = {name: value for name, value in base.items() if name in ("series", "index", "spacing")}
        values["defocus"] = {**kept, "kind": "staggered", "low_A": low, "high_A": options.defocus_to}
    elif options.defocus is not None:
        values["defocus"] = {"kind": "constant", "defocus_A": options.defocus}
    for name in ("series", "index", "spacing"):
        value = getattr(options, name)
        if value is not None:
            if values["defocus"]["kind"] == "constant":
                raise UsageError(f"--{name} goes with --defocus-to.")
            values["defocus"][name] = value
