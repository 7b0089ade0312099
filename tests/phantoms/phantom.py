"""`Phantom`: a specimen made of Gaussian blobs, whose density and projections are known exactly."""

from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray

from eucentric.core import TiltAlignment
from phantoms.splat import splat2d, splat3d


@dataclass(frozen=True, eq=False)
class Phantom:
    """A sum of isotropic Gaussian blobs, ``amplitude * exp(-r^2 / (2 sigma_A^2))`` each, in the sample frame.

    Parameters
    ----------
    positions_A
        Centres, shape (n, 3), zyx in Å about the specimen's origin.
    sigma_A
        Widths, shape (n,) or one for all, above 0.
    amplitude
        Densities at the centres over that of the ice, shape (n,) or one for all; 1 is about that of protein.

    Raises
    ------
    ValueError
        If the shapes do not fit together, a number is not finite, or a width is not positive.
    """

    positions_A: NDArray[np.float64]
    sigma_A: NDArray[np.float64]
    amplitude: NDArray[np.float64]

    def __init__(self, positions_A: ArrayLike, sigma_A: ArrayLike, amplitude: ArrayLike) -> None:
        positions = np.array(positions_A, dtype=float)
        if positions.ndim != 2 or positions.shape[1] != 3:
            raise ValueError(f"blobs need positions of shape (n, 3), not {positions.shape}")
        sigma = np.array(np.broadcast_to(np.asarray(sigma_A, float), len(positions)))
        heights = np.array(np.broadcast_to(np.asarray(amplitude, float), len(positions)))
        if not (np.isfinite(positions).all() and np.isfinite(sigma).all() and np.isfinite(heights).all()):
            raise ValueError("blobs need finite positions, widths and amplitudes")
        if not (sigma > 0).all():
            raise ValueError("blobs need widths above 0 Å")
        for name, values in (("positions_A", positions), ("sigma_A", sigma), ("amplitude", heights)):
            values.setflags(write=False)
            object.__setattr__(self, name, values)

    @classmethod
    def joined(cls, parts: "Iterable[Phantom]") -> "Phantom":
        """Return one phantom with the blobs of all `parts`."""
        parts = tuple(parts)
        return cls(
            np.concatenate([np.empty((0, 3)), *(part.positions_A for part in parts)]),
            np.concatenate([np.empty(0), *(part.sigma_A for part in parts)]),
            np.concatenate([np.empty(0), *(part.amplitude for part in parts)]),
        )

    def __len__(self) -> int:
        """Return the number of blobs."""
        return len(self.sigma_A)

    @property
    def mass_A3(self) -> float:
        """The density's integral over space, in density times Å³."""
        return float(np.sum(self.amplitude * (2 * np.pi * self.sigma_A**2) ** 1.5))

    def moved(self, by_zyx_A: tuple[float, float, float]) -> "Phantom":
        """Return the phantom with every blob moved by `by_zyx_A`."""
        return Phantom(self.positions_A + np.asarray(by_zyx_A), self.sigma_A, self.amplitude)

    def chosen(self, which: NDArray[np.bool_]) -> "Phantom":
        """Return the blobs for which the mask `which` (n,) holds."""
        return Phantom(self.positions_A[which], self.sigma_A[which], self.amplitude[which])


def density(
    phantom: Phantom,
    shape_zyx: tuple[int, int, int],
    voxel_A: float,
    centre_zyx_A: tuple[float, float, float] = (0.0, 0.0, 0.0),
) -> NDArray[np.float32]:
    """Return the true density as a volume of `shape_zyx`, averaged over each cubic voxel.

    Parameters
    ----------
    phantom
        The specimen.
    shape_zyx
        Voxels along z, y and x.
    voxel_A
        Edge of a voxel.
    centre_zyx_A
        The place in the sample frame of the voxel ``shape // 2``.
    """
    volume = np.zeros(shape_zyx, np.float32)
    centres = (phantom.positions_A - np.asarray(centre_zyx_A)) / voxel_A + np.array(shape_zyx) // 2
    splat3d(centres, phantom.sigma_A / voxel_A, phantom.amplitude, volume)
    return volume


def project(phantom: Phantom, view: TiltAlignment, shape_yx: tuple[int, int], pixel_A: float) -> NDArray[np.float32]:
    """Return the density's integrals along the beam, as `view` sees them, averaged over each square pixel.

    Parameters
    ----------
    phantom
        The specimen.
    view
        How the image sees it.
    shape_yx
        Rows and columns; the pixel ``shape // 2`` is the image frame's centre.
    pixel_A
        Edge of a pixel.

    Returns
    -------
    numpy.ndarray
        Density times Å of specimen (a magnification spreads the image and leaves these values as they are).
    """
    image = np.zeros(shape_yx, np.float32)
    centres = view.sample2image()(phantom.positions_A)[:, 1:] / pixel_A + np.array(shape_yx) // 2
    line_integrals = phantom.amplitude * phantom.sigma_A * np.sqrt(2 * np.pi)
    splat2d(centres, phantom.sigma_A * view.magnification / pixel_A, line_integrals, image)
    return image
