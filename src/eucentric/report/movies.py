"""What a report shows of a series that started from movies."""

from dataclasses import dataclass
from typing import Any

from numpy.typing import NDArray

from eucentric.optics import SeriesCTF
from eucentric.processing.motion.records import MotionTrack


@dataclass(frozen=True)
class TiltSpectrum:
    """Power spectra of the sum of one tilt, before and after its frames were laid on each other.

    Attributes
    ----------
    section
        Of the stack.
    before, after
        (k_y, k_x), as a real transform has them: frequency 0 first, k_x up to Nyquist; square tiles' mean.
    pixel_A
        Pixel size.
    spread_A
        Range of defocus over the places that the tiles are of, because the specimen is tilted.
    """

    section: int
    before: NDArray[Any]
    after: NDArray[Any]
    pixel_A: float
    spread_A: float


@dataclass(frozen=True)
class MoviesShown:
    """Movement and contrast transfer, by the stack's sections.

    Attributes
    ----------
    tilts
        How many movies the series has; the stack may have fewer.
    tracks
        How the frames of each section moved.
    gain
        How the gain reference lies, in words; None where there is none.
    defects
        Pixels of the camera that were replaced.
    ctf
        None where none was fitted, and `ctf_reason` says why.
    target_defocus_A
        What was asked for; None where nobody said.
    spectra
        Of a low and a high tilt.
    """

    tilts: int
    tracks: tuple[MotionTrack, ...]
    gain: str | None
    defects: int
    ctf: SeriesCTF | None
    ctf_reason: str
    target_defocus_A: tuple[float | None, ...]
    spectra: tuple[TiltSpectrum, ...]
