"""What is known of a tilt series apart from its pixels."""

from typing import Annotated, Self

from pydantic import Field, model_validator

from eucentric.core.record import Degrees, ElectronsPerA2, Record

FEWEST_TILTS = 5
"""Of fewer views no volume can be made."""


class Tilt(Record):
    """One image of a series.

    `section` is its index in the stack, `order` its place in the acquisition (both from 0);
    `pre_exposure_e_A2` is what the specimen had received before this image (0 for the first).
    """

    section: Annotated[int, Field(ge=0)]
    tilt_deg: Annotated[Degrees, Field(ge=-180, le=180)]
    order: Annotated[int, Field(ge=0)]
    exposure_e_A2: ElectronsPerA2 | None = None
    pre_exposure_e_A2: ElectronsPerA2 | None = None
    movie: str | None = None


class TiltSeries(Record):
    """A series: its tilts in section order, the pixel size and image shape of its stack.

    `order_known` is false where the acquisition order was not given and is assumed to be that of the
    sections; `tilt_axis_deg` is the microscope's word for the axis (IMOD's sign: from the image's y axis,
    counter-clockwise), absent where nobody said.
    """

    name: Annotated[str, Field(min_length=1, pattern=r"^[^/\x00.][^/\x00]*$")]
    pixel_A: Annotated[float, Field(gt=0, allow_inf_nan=False)]
    shape_yx: tuple[Annotated[int, Field(ge=1)], Annotated[int, Field(ge=1)]]
    tilts: Annotated[tuple[Tilt, ...], Field(min_length=1)]
    order_known: bool = False
    tilt_axis_deg: Degrees | None = None
    voltage_kV: Annotated[float, Field(gt=0)] | None = None

    @model_validator(mode="after")
    def _sections_and_orders_are_permutations(self) -> Self:
        n = len(self.tilts)
        if [tilt.section for tilt in self.tilts] != list(range(n)):
            raise ValueError(f"sections must be 0 to {n - 1} in order")
        if sorted(tilt.order for tilt in self.tilts) != list(range(n)):
            raise ValueError(f"acquisition orders must be 0 to {n - 1}, each once")
        return self

    @property
    def tilts_deg(self) -> tuple[float, ...]:
        """Tilt angles in section order."""
        return tuple(tilt.tilt_deg for tilt in self.tilts)

    @property
    def mid_exposures_e_A2(self) -> tuple[float, ...] | None:
        """What the specimen had received by the middle of each image, in section order; None unless known for all."""
        middles = []
        for tilt in self.tilts:
            if tilt.pre_exposure_e_A2 is None or tilt.exposure_e_A2 is None:
                return None
            middles.append(tilt.pre_exposure_e_A2 + tilt.exposure_e_A2 / 2)
        return tuple(middles)

    def by_order(self) -> tuple[Tilt, ...]:
        """Tilts as they were acquired."""
        return tuple(sorted(self.tilts, key=lambda tilt: tilt.order))
