"""Everything that the explorer's sliders say, as one record; a link holds all of it in its query string."""

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Annotated, Any, Literal, Self, get_args
from urllib.parse import urlencode

from pydantic import Field, ValidationInfo, field_validator

from eucentric.core import Record, did_you_mean
from eucentric.design import (
    Bidirectional,
    ConstantDefocus,
    ConstantExposure,
    ConstantIncrement,
    Design,
    DoseSymmetric,
    ExposurePolicy,
    InverseCosineExposure,
    Scheme,
    Specimen,
    Unidirectional,
)

SchemeName = Literal["dose-symmetric", "bidirectional", "unidirectional"]
Division = Literal["constant", "inverse-cosine"]

LONGEST_VALUE = 40


@dataclass(frozen=True)
class Limits:
    """From where to where a slider goes, in which steps, and what one of its units is in the state's."""

    least: float
    most: float
    step: float

    def nearest(self, value: float) -> float:
        """Return the place of the slider that is nearest to a value."""
        steps = round((min(max(value, self.least), self.most) - self.least) / self.step)
        return round(self.least + steps * self.step, 6)


LIMITS = {
    "tilts": Limits(5, 121, 2),
    "half_range_deg": Limits(20, 70, 1),
    "exposure_e_A2": Limits(10, 300, 5),
    "group": Limits(1, 8, 1),
    "thickness_A": Limits(500, 4000, 100),
    "defocus_A": Limits(5000, 80_000, 500),
    "noise": Limits(0, 3, 0.1),
    "view_deg": Limits(-70, 70, 1),
}
"""Numbers of tilts are odd, so that one of them is untilted."""

_NAMES = {
    "tilts": "tilts",
    "range": "half_range_deg",
    "scheme": "scheme",
    "group": "group",
    "exposure": "exposure_e_A2",
    "division": "division",
    "thickness": "thickness_A",
    "defocus": "defocus_A",
    "noise": "noise",
    "view": "view_deg",
    "weighted": "weighted",
    "flipped": "flipped",
}
"""What a field is called in a link."""


class State(Record):
    """What is looked at.

    Parameters
    ----------
    tilts, half_range_deg, scheme, group, exposure_e_A2, division
        The design: so many tilts over ± the range, in this order, with this exposure in all.
    thickness_A, defocus_A
        The slab, and how far under focus it is imaged.
    noise
        Times the noise that the electrons make, and the error of placement that it brings; 0 for none.
    view_deg
        The stage's tilt of the projection that is shown.
    weighted, flipped
        Whether the tomogram weighs each image by what its exposure has left, and has the signs of the CTF corrected.
    """

    tilts: int = 41
    half_range_deg: float = 60.0
    scheme: SchemeName = "dose-symmetric"
    group: int = 1
    exposure_e_A2: float = 120.0
    division: Division = "constant"
    thickness_A: float = 2000.0
    defocus_A: float = 30_000.0
    noise: Annotated[float, Field(allow_inf_nan=False)] = 1.0
    view_deg: float = 0.0
    weighted: bool = True
    flipped: bool = True

    @field_validator(*LIMITS)
    @classmethod
    def _a_place_of_its_slider(cls, value: float, info: ValidationInfo) -> float:
        limits = LIMITS[info.field_name or ""]
        if not math.isfinite(value) or abs(limits.nearest(value) - value) > 1e-6:
            raise ValueError(f"from {limits.least:g} to {limits.most:g} in steps of {limits.step:g}")
        return value

    @property
    def query(self) -> str:
        """All of it as a query string; what is as it was at first is left out."""
        values = {
            name: _written(getattr(self, field))
            for name, field in _NAMES.items()
            if getattr(self, field) != type(self).model_fields[field].default
        }
        return urlencode(values)

    @classmethod
    def from_query(cls, values: Mapping[str, str]) -> tuple[Self, tuple[str, ...]]:
        """Return the state of a link, and what was wrong with it.

        Numbers are brought within their limits; what cannot be otherwise is left at its default.
        """
        taken: dict[str, object] = {}
        wrong: list[str] = []
        for name, text in values.items():
            if name not in _NAMES:
                wrong.append(f"There is no {_shown(name)} here; it was passed over.{did_you_mean(name[:40], _NAMES)}")
                continue
            value, remark = _read(name, text)
            if value is not None:
                taken[_NAMES[name]] = value
            if remark:
                wrong.append(remark)
        return cls.model_validate(taken), tuple(wrong)

    @property
    def step_deg(self) -> float:
        """From one tilt to the next."""
        return 2 * self.half_range_deg / (self.tilts - 1)

    def design(self) -> Design:
        """Return the design."""
        ranged: dict[str, Any] = {
            "min_deg": -self.half_range_deg,
            "max_deg": self.half_range_deg,
            "increment": ConstantIncrement(step_deg=self.step_deg),
        }
        scheme: Scheme
        if self.scheme == "dose-symmetric":
            scheme = DoseSymmetric(**ranged, group=self.group)
        else:
            scheme = Bidirectional(**ranged) if self.scheme == "bidirectional" else Unidirectional(**ranged)
        exposure: ExposurePolicy
        if self.division == "constant":
            exposure = ConstantExposure(total_e_A2=self.exposure_e_A2)
        else:
            exposure = InverseCosineExposure(total_e_A2=self.exposure_e_A2)
        return Design(
            scheme=scheme,
            exposure=exposure,
            defocus=ConstantDefocus(defocus_A=self.defocus_A),
            specimen=Specimen(thickness_A=self.thickness_A),
        )


def _written(value: object) -> str:
    if isinstance(value, bool):
        return "yes" if value else "no"
    return f"{value:g}" if isinstance(value, float) else str(value)


def _read(name: str, text: str) -> tuple[object, str]:
    """Return the value of a part of a link, none where it is refused, and what there is to say."""
    field = _NAMES[name]
    if field in ("weighted", "flipped"):
        if text in ("yes", "no"):
            return text == "yes", ""
        return None, f"{name} is {_shown(text)}; it can be yes or no, and was left as it is."
    if field in ("scheme", "division"):
        known = get_args(SchemeName if field == "scheme" else Division)
        if text in known:
            return text, ""
        return None, f"{name} is {_shown(text)}; there are {', '.join(known)}.{did_you_mean(text[:40], known)}"
    limits = LIMITS[field]
    try:
        value = float(text) if len(text) <= LONGEST_VALUE else math.nan
    except ValueError:
        value = math.nan
    if not math.isfinite(value):
        return None, f"{name} is {_shown(text)}, which is no number; it was left as it is."
    nearest = limits.nearest(value)
    typed: object = int(nearest) if field in ("tilts", "group") else nearest
    if abs(nearest - value) > 1e-6:
        reach = f"from {limits.least:g} to {limits.most:g} in steps of {limits.step:g}"
        return typed, f"{name} is {value:g}; it goes {reach}: {nearest:g} was taken."
    return typed, ""


def _shown(text: str) -> str:
    return repr(text if len(text) <= LONGEST_VALUE else text[:LONGEST_VALUE] + "…")
