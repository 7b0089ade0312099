"""Commands that tell how coordinates are tied: matrices from those first named to the others, row by row."""

from typing import Any

import numpy as np
from numpy.typing import NDArray

from eucentric.twin.serialem.bench import Bench
from eucentric.twin.serialem.geometry import Array
from eucentric.twin.serialem.registry import command


class MatrixCommands:
    """Image shift units, specimen (µm, X along the tilt axis), stage (µm) and camera (unbinned pixels)."""

    def __init__(self, bench: Bench) -> None:
        self._bench = bench

    def _camera(self, mag_index: int = 0) -> Array:
        return self._bench.geometry.specimen2camera(self._bench.pixel_A(self._bench.area_at(mag_index)))

    @command("ISToSpecimenMatrix")
    def is2specimen(self, *_: int) -> tuple[float, ...]:
        """Return the matrix."""
        return _flat(self._bench.geometry.is2specimen)

    @command("SpecimenToISMatrix")
    def specimen2is(self, *_: int) -> tuple[float, ...]:
        """Return the matrix."""
        return _flat(np.linalg.inv(self._bench.geometry.is2specimen))

    @command("StageToSpecimenMatrix")
    def stage2specimen(self, *_: int) -> tuple[float, ...]:
        """Return the matrix."""
        return _flat(self._bench.geometry.stage2specimen)

    @command("SpecimenToStageMatrix")
    def specimen2stage(self, *_: int) -> tuple[float, ...]:
        """Return the matrix."""
        return _flat(np.linalg.inv(self._bench.geometry.stage2specimen))

    @command("SpecimenToCameraMatrix")
    def specimen2camera(self, mag_index: int = 0) -> tuple[float, ...]:
        """Return the matrix."""
        return _flat(self._camera(mag_index))

    @command("CameraToSpecimenMatrix")
    def camera2specimen(self, mag_index: int = 0) -> tuple[float, ...]:
        """Return the matrix."""
        return _flat(np.linalg.inv(self._camera(mag_index)))

    @command("ISToCameraMatrix")
    def is2camera(self, mag_index: int = 0) -> tuple[float, ...]:
        """Return the matrix."""
        return _flat(self._camera(mag_index) @ self._bench.geometry.is2specimen)

    @command("CameraToISMatrix")
    def camera2is(self, mag_index: int = 0) -> tuple[float, ...]:
        """Return the matrix."""
        return _flat(np.linalg.inv(self._camera(mag_index) @ self._bench.geometry.is2specimen))

    @command("StageToCameraMatrix")
    def stage2camera(self, mag_index: int = 0) -> tuple[float, ...]:
        """Return the matrix."""
        return _flat(self._camera(mag_index) @ self._bench.geometry.stage2specimen)

    @command("CameraToStageMatrix")
    def camera2stage(self, mag_index: int = 0) -> tuple[float, ...]:
        """Return the matrix."""
        return _flat(np.linalg.inv(self._camera(mag_index) @ self._bench.geometry.stage2specimen))

    @command("ISToStageMatrix")
    def is2stage(self, *_: int) -> tuple[float, ...]:
        """Return the matrix."""
        geometry = self._bench.geometry
        return _flat(np.linalg.solve(geometry.stage2specimen, geometry.is2specimen))

    @command("StageToISMatrix")
    def stage2is(self, *_: int) -> tuple[float, ...]:
        """Return the matrix."""
        geometry = self._bench.geometry
        return _flat(np.linalg.solve(geometry.is2specimen, geometry.stage2specimen))


def _flat(matrix: NDArray[np.floating[Any]]) -> tuple[float, ...]:
    """Return a matrix row by row."""
    return tuple(np.asarray(matrix).ravel().tolist())
