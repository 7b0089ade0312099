"""`Matrix`: the ice that holds a specimen, with rough faces, and the carbon film around its hole."""

from dataclasses import dataclass, field, replace
from math import floor

import numpy as np
from numpy.typing import NDArray

from eucentric.core import stream
from eucentric.core.jit import compiled, parallel_range

Doubles = NDArray[np.float64]
Floats = NDArray[np.float32]

_SUBSLICES = 4  # places along the beam, within a slice, at which it is asked whether there is ice


def _flat(height_A: float) -> Doubles:
    return np.full((2, 2), height_A)


@dataclass(frozen=True, eq=False)
class Matrix:
    """A slab of vitreous ice between two faces, on a carbon film with a hole, if any.

    Its own frame is the sample's, turned: `frame` (3, 3) takes sample positions to it. There the faces are heights
    (z, Å) over a grid of (y, x) with steps of `grid_A`, centred on the origin; beyond the grid they go on as at its
    border.

    Attributes
    ----------
    lower_A, upper_A
        Heights of the faces, (ny, nx).
    grid_A
        Step of the grid.
    hole_radius_A
        Radius of the hole in the carbon, about `hole_centre_yx_A`; infinite where there is no carbon.
    carbon_A
        Thickness of the film, below the lower face.
    """

    lower_A: Doubles
    upper_A: Doubles
    grid_A: float = 1e6
    hole_radius_A: float = np.inf
    hole_centre_yx_A: tuple[float, float] = (0.0, 0.0)
    carbon_A: float = 0.0
    frame: Doubles = field(default_factory=lambda: np.eye(3))

    def __post_init__(self) -> None:
        if self.lower_A.shape != self.upper_A.shape or not (self.upper_A >= self.lower_A).all():
            raise ValueError("the ice needs an upper face that is nowhere below its lower one")

    @classmethod
    def slab(cls, thickness_A: float) -> "Matrix":
        """Return ice of one thickness, centred on z = 0."""
        return cls(_flat(-thickness_A / 2), _flat(thickness_A / 2))

    @classmethod
    def none(cls) -> "Matrix":
        """Return no ice at all."""
        return cls.slab(0.0)

    @classmethod
    def rough(
        cls, thickness_A: float, roughness_A: float, length_A: float, extent_A: float, seed: int, *, wedge: float = 0.0
    ) -> "Matrix":
        """Return ice with faces that wander, each on its own.

        Parameters
        ----------
        thickness_A
            Mean thickness.
        roughness_A
            Height of each face about its mean, rms.
        length_A
            Distance over which a face's height is alike.
        extent_A
            Side of the square that the faces are made for.
        seed
            Chooses the faces.
        wedge
            How much thicker the slab gets for each Å along x.
        """
        step = length_A / 3
        n = max(4, int(np.ceil(extent_A / step)) + 1)
        lower, upper = (
            side * thickness_A / 2 + roughness_A * _smooth(n, 3.0, stream(seed, "specimen", "face", side))
            for side in (-1, 1)
        )
        x = (np.arange(n) - n // 2) * step
        upper = upper + wedge * x
        return cls(np.minimum(lower, upper), np.maximum(lower, upper), step)

    def turned(self, turn: Doubles) -> "Matrix":
        """Return the matrix turned by `turn` (3, 3) in the sample frame."""
        return replace(self, frame=self.frame @ turn.T)

    def thickened(self, by_A: float) -> "Matrix":
        """Return it with ice grown on its faces, half on each."""
        return replace(self, lower_A=self.lower_A - by_A / 2, upper_A=self.upper_A + by_A / 2)

    @property
    def thickness_A(self) -> float:
        """Mean thickness of the ice."""
        return float((self.upper_A - self.lower_A).mean())

    @property
    def reach_A(self) -> tuple[float, float]:
        """The lowest and the highest place of ice and carbon, in its own frame."""
        carbon = self.carbon_A if np.isfinite(self.hole_radius_A) else 0.0
        return float(self.lower_A.min()) - carbon, float(self.upper_A.max())

    def inside(self, positions_A: Doubles) -> NDArray[np.bool_]:
        """Return which positions (n, 3) of the sample frame lie in the ice."""
        z, y, x = (np.asarray(positions_A, dtype=float) @ self.frame.T).T
        heights = [_heights(face, self.grid_A, y, x) for face in (self.lower_A, self.upper_A)]
        return np.asarray((z >= heights[0]) & (z <= heights[1]))

    def paths(
        self, image2sample: Doubles, origin_zyx_A: Doubles, shape_yx: tuple[int, int], step_A: float, slices: Doubles
    ) -> tuple[Floats, Floats]:
        """Return how far the beam goes through ice and through carbon, in every slice and at every place.

        Parameters
        ----------
        image2sample
            (3, 3) zyx matrix from directions in the image frame to the sample frame.
        origin_zyx_A
            Where the sample's origin is in the image frame.
        shape_yx, step_A
            The grid of places, centred on the image frame's origin at ``shape // 2``.
        slices
            Edges of the slices along the beam, in Å, ascending and evenly spaced, (s + 1,).

        Returns
        -------
        tuple of numpy.ndarray
            Lengths in Å, (s, y, x) each.
        """
        ice = np.zeros((len(slices) - 1, *shape_yx), np.float32)
        carbon = np.zeros_like(ice)
        own = np.ascontiguousarray(self.frame @ image2sample)
        hole = self.hole_radius_A if np.isfinite(self.hole_radius_A) else -1.0
        _march(
            own,
            -own @ np.asarray(origin_zyx_A, dtype=float),
            float(slices[0]),
            float(slices[1] - slices[0]),
            step_A,
            np.ascontiguousarray(self.lower_A),
            np.ascontiguousarray(self.upper_A),
            self.grid_A,
            hole,
            np.array(self.hole_centre_yx_A, dtype=float),
            self.carbon_A,
            ice,
            carbon,
        )
        return ice, carbon


def _smooth(n: int, length: float, draw: np.random.Generator) -> Doubles:
    """Return an (n, n) random field of unit variance that is alike over `length` steps."""
    from scipy.ndimage import gaussian_filter

    sigma = length / 2
    field = gaussian_filter(draw.normal(size=(n, n)), sigma, mode="wrap")
    # White noise of unit variance keeps 1/(4 pi sigma²) of it under a Gaussian of that width.
    return np.asarray(field * np.sqrt(4 * np.pi) * sigma)


def _heights(face: Doubles, grid_A: float, y: Doubles, x: Doubles) -> Doubles:
    rows = np.clip(y / grid_A + face.shape[0] // 2, 0, face.shape[0] - 1)
    columns = np.clip(x / grid_A + face.shape[1] // 2, 0, face.shape[1] - 1)
    j, i = np.minimum(rows.astype(int), face.shape[0] - 2), np.minimum(columns.astype(int), face.shape[1] - 2)
    v, u = rows - j, columns - i
    low = (1 - u) * face[j, i] + u * face[j, i + 1]
    high = (1 - u) * face[j + 1, i] + u * face[j + 1, i + 1]
    return np.asarray((1 - v) * low + v * high)


@compiled()
def _height(face: Doubles, grid_A: float, y: float, x: float) -> float:
    rows, columns = face.shape
    v = min(max(y / grid_A + rows // 2, 0.0), rows - 1.0)
    u = min(max(x / grid_A + columns // 2, 0.0), columns - 1.0)
    j, i = min(floor(v), rows - 2), min(floor(u), columns - 2)
    v -= j
    u -= i
    low = (1 - u) * face[j, i] + u * face[j, i + 1]
    high = (1 - u) * face[j + 1, i] + u * face[j + 1, i + 1]
    height: float = (1 - v) * low + v * high
    return height


@compiled(parallel=True)
def _march(
    own: Doubles,
    origin: Doubles,
    first_A: float,
    slice_A: float,
    step_A: float,
    lower: Doubles,
    upper: Doubles,
    grid_A: float,
    hole_A: float,
    hole_centre: Doubles,
    carbon_A: float,
    ice: Floats,
    carbon: Floats,
) -> None:
    """Fill `ice` and `carbon`: the share of each sub-slice that is inside, from its middle's distance to the faces."""
    slices, rows, columns = ice.shape
    part = slice_A / _SUBSLICES
    # How far one goes through the slab's own height within a sub-slice: its faces are crossed over that height.
    rise = max(abs(own[0, 0]) * part, 1e-3)
    for row in parallel_range(rows):
        y = (row - rows // 2) * step_A
        for column in range(columns):
            x = (column - columns // 2) * step_A
            for index in range(slices):
                in_ice = 0.0
                in_carbon = 0.0
                for sub in range(_SUBSLICES):
                    z = first_A + index * slice_A + (sub + 0.5) * part
                    own_z = origin[0] + own[0, 0] * z + own[0, 1] * y + own[0, 2] * x
                    own_y = origin[1] + own[1, 0] * z + own[1, 1] * y + own[1, 2] * x
                    own_x = origin[2] + own[2, 0] * z + own[2, 1] * y + own[2, 2] * x
                    bottom = _height(lower, grid_A, own_y, own_x)
                    top = _height(upper, grid_A, own_y, own_x)
                    # The overlap of two intervals: the sub-slice's own height, and the slab.
                    a, b = own_z - rise / 2, own_z + rise / 2
                    in_ice += max(min(b, top) - max(a, bottom), 0.0) / rise
                    if hole_A > 0:
                        out = (own_y - hole_centre[0]) ** 2 + (own_x - hole_centre[1]) ** 2 > hole_A * hole_A
                        if out:
                            in_carbon += max(min(b, bottom) - max(a, bottom - carbon_A), 0.0) / rise
                ice[index, row, column] = in_ice * part
                carbon[index, row, column] = in_carbon * part
