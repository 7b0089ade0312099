"""Where the exposures of a plan go: targets around the optical axis, and the plane of the specimen that holds them."""

import math
from typing import Annotated, Self

import numpy as np
from numpy.typing import NDArray
from pydantic import Field, model_validator

from eucentric.core import Angstrom, Degrees, InputError
from eucentric.design.refusal import DesignRecord, impossible

Near = Annotated[Angstrom, Field(ge=-2e5, le=2e5)]
"""A place within the reach of image shift."""

TRACKING = "tracking"
"""The name of the tracking area in the record of exposures."""

FOCUS = "focus-"
"""How the names of focus points begin there."""


class Place(DesignRecord):
    """A place as it was picked: in the microscope's frame, from the optical axis, at the tilt of picking (Å)."""

    y_A: Near = 0.0
    x_A: Near = 0.0


class Target(Place):
    """A place to be acquired; its name is that of its series."""

    name: Annotated[str, Field(pattern=r"^[A-Za-z0-9_][A-Za-z0-9_.-]*$", max_length=100)]


class FocusPoint(Place):
    """A place that tells how the specimen lies, by its height in Å above that of the optical axis's own place.

    Without one the engine measures it, by a pair of focus images that fall there.
    """

    height_A: Angstrom | None = None


class Targets(DesignRecord):
    """The targets of one stage position, acquired in parallel by shifting image and beam.

    Parameters
    ----------
    targets
        In the order in which they are exposed at each tilt.
    tracking
        Where tracking and focus images are taken; along the tilt axis from a target, and at least a beam's diameter
        away, they cost the targets nothing. Without it the first target is tracked on its own exposures.
    tilt_deg
        The stage's tilt at which all places were picked; the stage has not been touched since.
    pre_tilt_deg
        Stage tilt at which the specimen's plane lies flat; absent: the plan's, or that of the focus points.
    rotation_deg
        Direction, from the x axis towards y, in which the plane rises most steeply: 0 where it is milled across the
        tilt axis.
    focus_points
        Three or more places, all of known height or all to be measured, to which the plane is fitted.
    """

    targets: Annotated[tuple[Target, ...], Field(min_length=1, max_length=500)]
    tracking: Place | None = None
    tilt_deg: Annotated[Degrees, Field(ge=-80, le=80)] = 0.0
    pre_tilt_deg: Annotated[Degrees, Field(ge=-60, le=60)] | None = None
    rotation_deg: Annotated[Degrees, Field(ge=-180, le=180)] = 0.0
    focus_points: tuple[FocusPoint, ...] = ()

    @model_validator(mode="after")
    def _they_can_be_told_apart(self) -> Self:
        names = [target.name.lower() for target in self.targets]  # files of both would be one on some disks
        for at, name in enumerate(names):
            if name in names[:at] or name == TRACKING or name.startswith(FOCUS):
                permitted = (
                    "a name that no other target has" if name in names[:at] else "another name; this one is taken"
                )
                raise impossible(f"targets[{at}].name", self.targets[at].name, permitted)
        if self.focus_points and self.pre_tilt_deg is not None:
            raise impossible("focus_points", "given beside pre_tilt_deg", "one of both")
        if self.focus_points and not self._spread():
            raise impossible("focus_points", f"{len(self.focus_points)} of them", "three or more, not along one line")
        if len({point.height_A is None for point in self.focus_points}) > 1:
            raise impossible("focus_points", "some with a height_A and some without", "all with one, or none")
        return self

    @property
    def to_measure(self) -> dict[str, FocusPoint]:
        """The focus points whose heights are to be measured, by the names that they have in the record."""
        return {f"{FOCUS}{at}": point for at, point in enumerate(self.focus_points, 1) if point.height_A is None}

    def slopes_yx(self, pre_tilt_deg: float) -> tuple[float, float]:
        """Return how the specimen rises along y and x, at 0° of the stage.

        Parameters
        ----------
        pre_tilt_deg
            That of the plan, where the targets do not say otherwise.
        """
        plane = self._plane()
        if plane is not None:
            return self._at_zero(*plane)
        pre_tilt_deg = pre_tilt_deg if self.pre_tilt_deg is None else self.pre_tilt_deg
        steep, turn = math.tan(math.radians(pre_tilt_deg)), math.radians(self.rotation_deg)
        return steep * math.sin(turn), steep * math.cos(turn)

    def on_specimen_zyx_A(self, place: Place, pre_tilt_deg: float) -> NDArray[np.float64]:
        """Return where a place is on the specimen, zyx as at 0° of the stage, from the place on the optical axis, (3,).

        At the tilt a, a point is seen at ``x cos a + z sin a``; the point in the plane that is seen at the place's x
        when tilted to `tilt_deg` is the one meant.
        """
        up_y, up_x = self.slopes_yx(pre_tilt_deg)
        tilt = math.radians(self.tilt_deg)
        cosine, sine = math.cos(tilt), math.sin(tilt)
        across = cosine + up_x * sine
        if abs(across) < 0.05:
            raise InputError(
                f"At {self.tilt_deg:g}° the specimen is seen edge on: no target can have been picked there.",
                "Mend tilt_deg, the pre-tilt or the rotation of the targets.",
            )
        x = (place.x_A - up_y * place.y_A * sine) / across
        return np.array([up_y * place.y_A + up_x * x, place.y_A, x])

    def _spread(self) -> bool:
        """Whether the focus points are enough to hold a plane."""
        if len(self.focus_points) < 3:
            return False
        places = np.array([(point.y_A, point.x_A) for point in self.focus_points])
        spread = np.linalg.svd(places - places.mean(axis=0), compute_uv=False)
        return bool(spread[-1] >= 1e-3 * max(spread[0], 1.0))

    def _plane(self) -> tuple[float, float] | None:
        """Return how the heights of the focus points rise along y and x, as seen; None if they are not known."""
        if not self.focus_points or self.to_measure:
            return None
        places = np.array([(1.0, point.y_A, point.x_A) for point in self.focus_points])
        heights = np.array([point.height_A for point in self.focus_points])
        _, up_y, up_x = np.linalg.lstsq(places, heights, rcond=None)[0]
        return float(up_y), float(up_x)

    def _at_zero(self, up_y: float, up_x: float) -> tuple[float, float]:
        """Turn slopes as seen at `tilt_deg` into those at 0°: the plane's normal is turned back."""
        tilt = math.radians(self.tilt_deg)
        # Normal (z, y, x) as seen is (1, -up_y, -up_x); x' = x cos a + z sin a is undone.
        z = math.cos(tilt) - up_x * math.sin(tilt)
        x = -up_x * math.cos(tilt) - math.sin(tilt)
        return up_y / z, -x / z
