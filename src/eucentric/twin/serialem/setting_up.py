"""How the simulated SerialEM is set up: low-dose areas and camera parameter sets, properties and user settings."""

from dataclasses import dataclass, field
from typing import Annotated, Literal

from pydantic import Field

from eucentric.core import Record
from eucentric.microscope import Purpose

Letter = Literal["R", "V", "F", "T", "L", "S"]

PURPOSES: dict[Letter, Purpose] = {
    "R": "record",
    "V": "view",
    "F": "focus",
    "T": "track",
    "L": "preview",
    "S": "search",
}
AREA_OF: dict[Letter, Letter] = {"R": "R", "V": "V", "F": "F", "T": "T", "L": "R", "S": "S"}
"""The low-dose area that each camera set is used in: Preview looks at Record's."""

SETS = "VFTRLS"
"""Camera sets as ImageProperties numbers them, from 0."""

SPOT, INTENSITY_PERCENT, SLIT_EV = 7, 45.0, 20.0
"""Spot size, C2 and the width of the slit (eV), as scripts are told; chosen, and nothing here depends on them."""

AREA_ORDER = "VFTRS"
"""Low-dose areas as ReportLowDose counts them, from 0."""

VERSION = (40200, 20260816)
"""The version and date that scripts are told: those of the table of commands."""


class Area(Record):
    """A low-dose area.

    `coarser` is its pixel over Record's; `defocus_offset_um` is added to the lens's focus there, `axis_um` is where
    it lies from Record's along the tilt axis.
    """

    magnification: Annotated[int, Field(gt=0)]
    coarser: Annotated[float, Field(gt=0)] = 1.0
    defocus_offset_um: float = 0.0
    axis_um: float = 0.0


def usual_areas(pixel_A: float) -> dict[Letter, Area]:
    """Return low-dose areas about a Record area of this pixel size: View sees three of its fields, Search twelve."""
    record = max(50, round(150_000 / pixel_A / 100) * 100)  # 15 µm camera pixels, in round numbers
    low = max(10, round(record / 300) * 100 or 100)
    return {
        "R": Area(magnification=record),
        "F": Area(magnification=record),
        "T": Area(magnification=record),
        "V": Area(magnification=low, coarser=3.0, defocus_offset_um=-20.0),
        "S": Area(magnification=max(5, low // 4), coarser=12.0, defocus_offset_um=-100.0),
    }


@dataclass(frozen=True)
class CameraSet:
    """A camera parameter set: exposure and frames (s), binning, the part of the camera read, settling before (s)."""

    exposure_s: float
    binning: int = 1
    frame_s: float | None = None
    size_xy: tuple[int, int] | None = None
    settling_s: float = 0.0
    saves_frames: bool = False


def usual_sets(record_s: float, frames: int) -> dict[Letter, CameraSet]:
    """Return camera sets about a Record of so many seconds and frames; the others expose less."""
    return {
        "R": CameraSet(record_s, frame_s=record_s / frames, saves_frames=True),
        "L": CameraSet(record_s / 6),
        "F": CameraSet(record_s / 3),
        "T": CameraSet(record_s / 6),
        "V": CameraSet(1.0),
        "S": CameraSet(1.0),
    }


@dataclass
class Settings:
    """Properties, camera properties and user settings that scripts read and set, by their names in lower case."""

    properties: dict[str, float] = field(
        default_factory=lambda: {
            "dummyinstance": 0.0,
            "maximumtiltangle": 70.0,
            "imageshiftlimit": 20.0,
            "rotateheaderangleby180": -1.0,
            "invertstagexaxis": 0.0,
        }
    )
    camera: dict[str, float] = field(default_factory=lambda: {"k2type": 2.0, "countsperelectron": 16.0})
    user: dict[str, float] = field(default_factory=lambda: {"driftprotection": 1.0, "shifttotiltaxis": 1.0})
