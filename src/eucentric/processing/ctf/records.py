"""How the contrast transfer of an image and of a series is looked for; `optics` has the records of what is found."""

from typing import Annotated

from pydantic import Field

from eucentric.core import Angstrom, Record

Positive = Annotated[float, Field(gt=0, allow_inf_nan=False)]


class CTFSettings(Record):
    """How the CTF is looked for.

    Attributes
    ----------
    low_resolution_A, high_resolution_A
        Details that are used, if the image holds them: coarser ones belong to the specimen, finer ones to noise.
    min_defocus_A, max_defocus_A
        Range that is searched, underfocus positive.
    max_astigmatism_A
        Largest difference of the principal values.
    phase_plate
        Whether the phase shift is looked for too.
    tile_px
        Side of the tiles whose spectra are taken. Where absent, an image is taken whole, up to 4096 pixels a side,
        which keeps apart rings that tiles would blur.
    """

    low_resolution_A: Positive = 30.0
    high_resolution_A: Positive = 4.0
    min_defocus_A: Positive = 3000.0
    max_defocus_A: Positive = 90_000.0
    max_astigmatism_A: Annotated[Angstrom, Field(ge=0)] = 3000.0
    phase_plate: bool = False
    tile_px: Annotated[int, Field(ge=64, le=4096)] | None = None
