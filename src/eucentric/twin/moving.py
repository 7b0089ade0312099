"""`Moving`: how the specimen lies and moves under the beam, from its own plane into the image."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from eucentric.core.frames import rotation_about_z
from eucentric.specimen.motion import MotionField
from eucentric.twin.field import Field
from eucentric.twin.frames import WARP_PX, FrameMotion
from eucentric.twin.mechanics import Mechanics
from eucentric.twin.scene import Displacement, View

Array = NDArray[np.float64]

_PLACES_ACROSS = 13  # of the grid at which deformation is told: motion is smooth over a field


@dataclass(frozen=True, eq=False)
class Moving:
    """A specimen that moves.

    Attributes
    ----------
    motion
        How the beam moves it.
    slab
        (3, 3) zyx, from the sample frame to that of its slab.
    axis_deg
        Tilt-axis angle in the images.
    """

    motion: MotionField
    slab: Array
    axis_deg: float

    @property
    def local(self) -> bool:
        """Whether places move against each other."""
        return bool(self.motion.settings.local_A or self.motion.settings.doming_A)

    def in_image(self, yx_A: Array) -> Array:
        """Turn a vector along and across the tilt axis into the image frame."""
        turned: Array = (rotation_about_z(self.axis_deg) @ np.array([0.0, *yx_A]))[1:]
        return turned

    def on_specimen(self, view: View, yx_A: Array) -> Array:
        """Return the place (sample frame) of the specimen's middle plane that is seen at a place of the image."""
        normal, along = self.slab[0], view.rotation[0]
        start = view.rotation.T @ (np.array([0.0, *yx_A]) - view.origin_zyx_A)
        slope = float(along @ normal)
        if abs(slope) < 1e-6:  # edge on: every place of the line of sight is as good
            return np.asarray(start)
        return np.asarray(start - (start @ normal) / slope * along)

    def displacement(self, exposure_e_A2: float) -> Displacement | None:
        """Return how far the specimen's contents have moved by the time they have received an exposure."""
        if not self.local:
            return None

        def moved(places_A: Array) -> Array:
            own = places_A @ self.slab.T
            return self.motion.displacement_zyx_A(own[:, 1:], exposure_e_A2) @ self.slab

        return moved

    def deformation(self, field_A: float, exposures_e_A2: Sequence[float]) -> tuple[Array, Array]:
        """Return how far places of the slab have moved by the time they have received each exposure.

        Parameters
        ----------
        field_A
            Side of the image's field: the places lie in a square about the slab's origin, half as wide again.
        exposures_e_A2
            What they have received, (n).

        Returns
        -------
        tuple of numpy.ndarray
            Places in the slab's plane, yx in Å, (rows, columns, 2), and displacements zyx in the slab's frame in Å,
            (n, rows, columns, 3).
        """
        sides = np.linspace(-0.75, 0.75, _PLACES_ACROSS) * field_A
        places = np.stack(np.meshgrid(sides, sides, indexing="ij"), axis=-1)
        moved = [self.motion.displacement_zyx_A(places.reshape(-1, 2), one) for one in exposures_e_A2]
        return places, np.array(moved).reshape(len(moved), *places.shape[:2], 3)

    def frame_motions(
        self,
        field: Field,
        view: View,
        mechanics: Mechanics,
        *,
        number: int,
        starts_s: float,
        seconds: float,
        before_e_A2: float,
        exposure_e_A2: float,
        frames: int,
        local: bool = True,
    ) -> list[FrameMotion]:
        """Return how each frame of an exposure lies against its view, which is that of its middle.

        Parameters
        ----------
        field, view
            The grid, and how the exposure sees the specimen.
        mechanics
            The stage, which drifts.
        number
            Of the exposure, which names its burst.
        starts_s, seconds
            Of the exposure.
        before_e_A2, exposure_e_A2, frames
            What the place had received, what it receives now, in how many frames.
        local
            Whether to work out how places move against each other too, which only images need.
        """
        edges = np.linspace(0, 1, frames + 1)
        times = np.concatenate([[starts_s + seconds / 2], starts_s + seconds * edges])
        burst = np.array([self.motion.burst_yx_A(number, exposure_e_A2 * edge) for edge in edges])
        places = mechanics.drift_yx_A(times)[1:] + burst - burst[-1] / 2
        seen = np.array([self.in_image(place) for place in places])
        grid = _local_grid(field) if local and self.local else None
        motions = []
        for frame in range(frames):
            middle, during = (seen[frame] + seen[frame + 1]) / 2, seen[frame + 1] - seen[frame]
            against = None
            if grid is not None:
                then = before_e_A2 + exposure_e_A2 * (frame + 0.5) / frames
                against = self._local_yx_A(view, grid, before_e_A2 + exposure_e_A2 / 2, then)
            motions.append(
                FrameMotion((float(middle[0]), float(middle[1])), (float(during[0]), float(during[1])), against)
            )
        return motions

    def _local_yx_A(self, view: View, grid: Array, at_view_e_A2: float, then_e_A2: float) -> Array:
        """Return how far the places of the image have moved since the view, (rows, columns, 2)."""
        flat = grid.reshape(-1, 2)
        # The middle plane is a plane: places on it follow from three of them.
        corner, down, right = (self.on_specimen(view, np.array(yx)) for yx in ((0, 0), (1, 0), (0, 1)))
        places = corner + flat[:, :1] * (down - corner) + flat[:, 1:] * (right - corner)
        own = places @ self.slab.T
        moved = self.motion.displacement_zyx_A(own[:, 1:], then_e_A2)
        moved -= self.motion.displacement_zyx_A(own[:, 1:], at_view_e_A2)
        seen = (moved @ self.slab) @ view.rotation.T
        return np.asarray(seen[:, 1:].reshape(grid.shape))


def _local_grid(field: Field) -> Array:
    """Return the places (rows, columns, 2) of the image at which local motion is given."""
    sides = [(np.arange(-(-n // WARP_PX) + 2) * WARP_PX - n // 2) * field.pixel_A for n in field.shape_yx]
    return np.stack(np.meshgrid(*sides, indexing="ij"), axis=-1)
