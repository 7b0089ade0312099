"""Settings and outcomes of `acquire`."""

from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Literal

from pydantic import Field

from eucentric.core import Record
from eucentric.design import Plan, Targets
from eucentric.io.movies import Compression
from eucentric.twin import Effects, TwinSettings
from eucentric.twin.mechanics import UNTUNED


class AcquireSettings(Record):
    """On what, and into which files.

    Attributes
    ----------
    microscope
        The twin, or one that SerialEM runs.
    host, port
        Of SerialEM.
    specimen, seed, effects, detector, twin
        Of the twin, as for `simulate`.
    size
        Pixels a side of the twin's camera. Its field is that of the plan's camera, so that pixels are binned ones.
    pixel_A
        In place of that.
    pixels
        Whether the twin makes images.
    format, compression
        Of the movies.
    """

    microscope: Literal["twin", "serialem"] = "twin"
    host: str = "127.0.0.1"
    port: Annotated[int, Field(ge=1, le=65535)] = 48888
    specimen: str = "cell"
    size: Annotated[int, Field(ge=32, le=16_384)] = 512
    pixel_A: Annotated[float, Field(ge=0.1, le=200)] | None = None
    seed: Annotated[int, Field(ge=0)] = 0
    effects: Effects = Effects()
    detector: str = "k2"
    twin: TwinSettings = TwinSettings(stage=UNTUNED)
    pixels: bool = True
    format: Literal["tiff", "mrc"] = "tiff"
    compression: Compression = "lzw"

    def twin_pixel_A(self, plan: Plan) -> float:
        """Return the pixel of the twin's images: so large, where none is given, that they show the plan's field."""
        camera = plan.design.camera
        return self.pixel_A or camera.pixel_A * min(camera.columns, camera.rows) / self.size

    def field_A(self, plan: Plan) -> float:
        """Return the side of the field that images show, the longer one."""
        camera = plan.design.camera
        if self.microscope == "serialem":
            return camera.pixel_A * max(camera.rows, camera.columns)
        return self.size * self.twin_pixel_A(plan)


class AcquiredSeries(Record):
    """What became of a target."""

    name: str
    images: int
    delivered: int
    uncertain: int
    skipped: int
    exposure_e_A2: float
    mdoc: Path | None
    stack: Path | None


class AcquireOutcome(Record):
    """How a run ended, and what there is.

    Attributes
    ----------
    folder
        The session.
    finish, reason
        finished, paused, aborted or failed, and why.
    series
        Each target.
    tracking_e_A2
        What the tracking area received.
    seconds, predicted_s
        Of this run, by the microscope's clock; of what was left of the plan, as predicted before it.
    struck, idle
        Faults that were injected and struck, one line a strike, and those that never did.
    """

    folder: Path
    finish: str
    reason: str
    series: tuple[AcquiredSeries, ...]
    tracking_e_A2: float
    seconds: float
    predicted_s: float
    struck: tuple[str, ...] = ()
    idle: tuple[str, ...] = ()


@dataclass(frozen=True)
class Beginning:
    """What a run is to do, all of it known before anything moves."""

    plan: Plan
    targets: Targets
    settings: AcquireSettings
