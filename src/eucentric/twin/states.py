"""What a twin is between two exposures, so that another process can take it up."""

from eucentric.core import Record
from eucentric.microscope import ShiftYX, StagePosition


class MechanicsState(Record):
    """What a stage remembers of its moves; `stopped_s` is None for one that never moved."""

    position: StagePosition = StagePosition()
    direction: int = 0
    tiltings: int = 0
    moves: int = 0
    stopped_s: float | None = None


class TwinState(Record):
    """A twin between two exposures."""

    elapsed_s: float
    exposures: int
    stage: MechanicsState
    image_shift_yx_A: ShiftYX
    beam_shift_yx_A: ShiftYX
    beam_tilt_yx_mrad: ShiftYX
    defocus_A: float
    beam_on: bool
