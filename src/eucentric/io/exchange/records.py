"""`ProcessedSeries`: all that is known of a series after processing, which every program's files are made from or give.

Each module beside this one turns it into one program's files, or those files into it; every sign, unit and centre that
differs from ours is changed there and nowhere else.
"""

import math
from pathlib import Path
from typing import Annotated, Literal, Self

import numpy as np
from numpy.typing import NDArray
from pydantic import Field, model_validator

from eucentric.core import Alignment, Angstrom, Degrees, Record, TiltSeries
from eucentric.optics import SeriesCTF

Positive = Annotated[float, Field(gt=0, allow_inf_nan=False)]
Size = Annotated[int, Field(ge=1)]


class Particle(Record):
    """A particle: where it lies, zyx from the specimen's origin in the sample frame, and how it is turned.

    The angles are RELION's `rlnAngleRot`, `Tilt` and `Psi`, of the matrix of its `Euler_angles2matrix`, which takes
    places of the reference to places of the specimen (its `ParticleSet::getMatrix3x3`). `half` is the half set, and
    `label` says what the particle is.
    """

    position_zyx_A: tuple[Angstrom, Angstrom, Angstrom]
    rot_deg: Degrees = 0.0
    tilt_deg: Degrees = 0.0
    psi_deg: Degrees = 0.0
    label: str = ""
    half: Literal[1, 2] | None = None

    def reference2sample(self) -> NDArray[np.float64]:
        """Return the rotation (3, 3), acting on xyz columns, from the reference's axes to the specimen's."""
        rot, tilt, psi = (math.radians(angle) for angle in (self.rot_deg, self.tilt_deg, self.psi_deg))
        return _about_z(psi) @ _about_y(tilt) @ _about_z(rot)


class Volume(Record):
    """The grid of a tomogram: its voxel `n // 2` of each axis lies at the specimen's origin."""

    shape_zyx: tuple[Size, Size, Size]
    voxel_A: Positive


class SeriesFiles(Record):
    """Where the pixels of a series lie; absent where there are none, or nobody said.

    The images are sections of one `stack`, or files of their own: `images` has one path a section, None for one that
    is not there. So are those of `even` and `odd` frames. `movies` has one path a section, too.
    """

    stack: Path | None = None
    even: Path | None = None
    odd: Path | None = None
    images: tuple[Path | None, ...] = ()
    even_images: tuple[Path | None, ...] = ()
    odd_images: tuple[Path | None, ...] = ()
    movies: tuple[Path | None, ...] = ()
    gain: Path | None = None
    tomogram: Path | None = None
    tomogram_even: Path | None = None
    tomogram_odd: Path | None = None

    @model_validator(mode="after")
    def _images_lie_in_one_way(self) -> Self:
        for what, stack, images in (
            ("the images", self.stack, self.images),
            ("even images", self.even, self.even_images),
            ("odd images", self.odd, self.odd_images),
        ):
            if stack is not None and images:
                raise ValueError(f"{what} are said to lie both in a stack and one by one")
        return self


class ProcessedSeries(Record):
    """A series with what processing found.

    Attributes
    ----------
    series
        Its tilts in section order, with the pixel and shape of the stack.
    movie_pixel_A
        Of the movies, where it is not that of the stack.
    frames, target_defocus_A
        By section; empty where nothing is known. Underfocus is positive.
    alignment
        For the images of the stack: same pixel, shape and sections. Views left out are in it, not used.
    ctf
        By section, of the same images.
    volume
        The grid of the tomogram.
    particles
        In the sample frame of the alignment.
    files
        Where the pixels lie.
    """

    series: TiltSeries
    movie_pixel_A: Positive | None = None
    frames: tuple[Annotated[int, Field(ge=1)] | None, ...] = ()
    target_defocus_A: tuple[Angstrom | None, ...] = ()
    alignment: Alignment | None = None
    ctf: SeriesCTF | None = None
    volume: Volume | None = None
    particles: tuple[Particle, ...] = ()
    files: SeriesFiles = SeriesFiles()

    @model_validator(mode="after")
    def _all_are_of_these_sections(self) -> Self:
        n = len(self.series.tilts)
        for what, number in (
            ("frames", len(self.frames) or n),
            ("target defoci", len(self.target_defocus_A) or n),
            ("movies", len(self.files.movies) or n),
            ("images", len(self.files.images) or n),
            ("even images", len(self.files.even_images) or n),
            ("odd images", len(self.files.odd_images) or n),
            ("views of the alignment", len(self.alignment.tilts) if self.alignment else n),
            ("tilts of the CTF", len(self.ctf.tilts) if self.ctf else n),
        ):
            if number != n:
                raise ValueError(f"{number} {what} for {n} tilts")
        if self.alignment and self.alignment.shape_yx != self.series.shape_yx:
            raise ValueError("the alignment is for images of another shape")
        if self.alignment and not math.isclose(self.alignment.pixel_A, self.series.pixel_A, rel_tol=1e-3):
            raise ValueError("the alignment is for images of another pixel size")
        return self

    @property
    def original_pixel_A(self) -> float:
        """Pixel of the movies."""
        return self.movie_pixel_A or self.series.pixel_A

    @property
    def used_sections(self) -> tuple[int, ...]:
        """Sections that are not left out."""
        if self.alignment is None:
            return tuple(range(len(self.series.tilts)))
        return tuple(view.section for view in self.alignment.used)


class Exported(Record):
    """What an export wrote, the file that the other program is to be given first; and what its format cannot hold."""

    files: tuple[Path, ...]
    dropped: tuple[str, ...] = ()


class Imported(Record):
    """What an import found.

    Attributes
    ----------
    series
        Those that could be read.
    dropped
        What the files hold and we do not, each in a sentence that names the file.
    failures
        By name, why a series could not be read; the others were.
    """

    series: tuple[ProcessedSeries, ...]
    dropped: tuple[str, ...] = ()
    failures: dict[str, str] = Field(default_factory=dict)


def _about_z(angle: float) -> NDArray[np.float64]:
    """RELION's turn about z: its matrices are passive where ours would be active, hence the signs."""
    c, s = math.cos(angle), math.sin(angle)
    return np.array([[c, s, 0], [-s, c, 0], [0, 0, 1]])


def _about_y(angle: float) -> NDArray[np.float64]:
    c, s = math.cos(angle), math.sin(angle)
    return np.array([[c, 0, -s], [0, 1, 0], [s, 0, c]])
