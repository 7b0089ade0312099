"""Settings of a restoration, what goes in, what was learned, and what comes out."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Annotated, Any, Literal

from numpy.typing import NDArray
from pydantic import Field
from torch import Tensor

from eucentric.core import Record
from eucentric.processing.restoration.transfer import Gain

Method = Literal["noise2noise", "wedge", "cryogen"]
Form = Literal["map", "transport"]


class RestoreSettings(Record):
    """Settings of a restoration.

    `method` learns from pairs of halves to take noise away (``noise2noise``); from turned copies of it also to
    fill what tilts did not see (``wedge``); and that under the energy of a critic, which tells projections of the
    answer from measured ones (``cryogen``), in the given `form` and with the weight `prior`. The network has `channels`
    at its finest level and sees cubes of `cube_px` voxels a side, or the whole of a smaller tomogram. Training ends
    after `most_steps`, after `minutes`, or once the held-out `held_out` of each tomogram has not been predicted better
    for `patience` looks at it, one every `look_steps`, even in smaller steps than `rate`.
    """

    method: Method = "wedge"
    channels: Annotated[int, Field(ge=4, le=128)] = 24
    cube_px: Annotated[int, Field(ge=16, le=128, multiple_of=8)] = 64
    most_steps: Annotated[int, Field(ge=1)] = 4000
    minutes: Annotated[float, Field(gt=0, allow_inf_nan=False)] | None = None
    look_steps: Annotated[int, Field(ge=1)] = 100
    patience: Annotated[int, Field(ge=1)] = 5
    held_out: Annotated[float, Field(gt=0, le=0.5)] = 0.125
    rate: Annotated[float, Field(gt=0, le=0.1)] = 1e-3
    form: Form = "transport"
    prior: Annotated[float, Field(ge=0, allow_inf_nan=False)] = 1.0
    seed: Annotated[int, Field(ge=0)] = 0


@dataclass(frozen=True)
class HalfTomograms:
    """Two tomograms of one specimen with independent noise, and how they saw it.

    Attributes
    ----------
    name
        For messages: the series, or the file.
    even, odd
        (z, y, x), y along the tilt axis; may be memory-mapped, and are only read.
    voxel_A
        Their voxels' side.
    tilts_deg
        Of the views that they were made of.
    gain
        What each view lets through of the specimen (see `transfer`); all of everything if absent.
    even_views
        Which of these views the even half was made of, and the odd one of all others; each of all of them, by frames
        of its own, if absent.
    field_A
        Width of what was recorded, across the tilt axis: the specimen goes on beyond it, and comes into view as the
        stage tilts. Absent where nobody knows, or nothing is there.
    """

    name: str
    even: NDArray[Any]
    odd: NDArray[Any]
    voxel_A: float
    tilts_deg: tuple[float, ...]
    gain: Gain | None = None
    even_views: tuple[int, ...] | None = None
    field_A: float | None = None

    @property
    def counts(self) -> tuple[tuple[float, ...], tuple[float, ...]]:
        """How often each view counts in the even half, and in the odd one: their mean holds every view once."""
        every = range(len(self.tilts_deg))
        if self.even_views is None:
            return (1.0,) * len(every), (1.0,) * len(every)
        even = tuple(2.0 if view in self.even_views else 0.0 for view in every)
        return even, tuple(2.0 - count for count in even)

    @property
    def field_zx(self) -> tuple[float, float] | None:
        """How deep the specimen is taken to be, and how wide the field, in voxels."""
        return None if self.field_A is None else (self.shape[0], self.field_A / self.voxel_A)

    @property
    def shape(self) -> tuple[int, int, int]:
        """Voxels along z, y and x."""
        z, y, x = self.even.shape
        return z, y, x


class Look(Record):
    """How training stood after `step` steps and `seconds`.

    `loss` is the mean since the look before, `held_out` that of the part which was held out, both over what noise
    alone would give.
    """

    step: Annotated[int, Field(ge=0)]
    seconds: Annotated[float, Field(ge=0)]
    loss: float
    held_out: float


@dataclass(frozen=True)
class Trained:
    """A model, as far as it has been trained: all that is needed to use it, and to go on.

    Attributes
    ----------
    settings
        It was trained with.
    voxel_A
        Of the tomograms that it learned from.
    weights
        Of the network that restores: the mean of those of late steps.
    state
        What going on needs: the networks as they stand, the optimisers, the step.
    looks
        At the held-out part, one after the other.
    ended
        Why training ended, in words; empty while it has not.
    """

    settings: RestoreSettings
    voxel_A: float
    weights: Mapping[str, Tensor]
    state: Mapping[str, Any] = field(default_factory=dict)
    looks: tuple[Look, ...] = ()
    ended: str = ""


@dataclass(frozen=True)
class Restored:
    """A restored tomogram.

    Attributes
    ----------
    full
        (z, y, x), float32, in the units of the halves: the mean of both restored halves, held to the data.
    even, odd
        What the model makes of either half alone.
    sigma
        Standard deviation of the error of each voxel of `full`, as far as the data tell.
    voxel_A
        Their voxels' side.
    unseen
        The part of the volume (slices along z, y, x) that the model was not trained on.
    """

    full: NDArray[Any]
    even: NDArray[Any]
    odd: NDArray[Any]
    sigma: NDArray[Any]
    voxel_A: float
    unseen: tuple[slice, slice, slice]


class Examination(Record):
    """What restoration did to a tomogram, by shells of spatial frequency, and what of it data support.

    Attributes
    ----------
    frequency_1_A
        Middle of each shell.
    power_before, power_after
        Mean power of a coefficient that some tilt measured, of the mean of the halves and of the restored tomogram.
    missing_before, missing_after
        The same, of those in the missing wedge.
    misfit
        Of measured coefficients: mean square of what the restored tomogram leaves of the data, over their noise. One is
        what noise alone leaves.
    fsc_before, fsc_after, fsc_unseen
        Correlation of the halves before, of the halves restored apart, and of those where the model was not trained;
        over measured coefficients, None where a shell has too few.
    supported_A
        Detail to which the halves before agree (0.143): what is finer was supplied by the model alone. None where they
        agree nowhere.
    missing_share
        Of the restored tomogram's power, how much lies where no tilt measured.
    """

    frequency_1_A: tuple[float, ...]
    power_before: tuple[float, ...]
    power_after: tuple[float, ...]
    missing_before: tuple[float, ...]
    missing_after: tuple[float, ...]
    misfit: tuple[float, ...]
    fsc_before: tuple[float | None, ...]
    fsc_after: tuple[float | None, ...]
    fsc_unseen: tuple[float | None, ...]
    supported_A: float | None
    missing_share: float
