"""Errors of a microscope: each says what happened to the specimen, for that decides what may be done next."""

from eucentric.core import EucentricError


class MicroscopeError(EucentricError):
    """A microscope did not do what it was asked.

    Parameters
    ----------
    what, fix
        As for every `EucentricError`.
    delivered_e_A2
        Exposure that the specimen received from the call that failed: 0 where none, None where nobody knows. An
        unknown exposure counts as delivered and is never repeated unasked.
    """

    def __init__(self, what: str, fix: str = "", *, delivered_e_A2: float | None = 0.0) -> None:
        super().__init__(what, fix)
        self.delivered_e_A2 = delivered_e_A2


class StoppedError(MicroscopeError):
    """The operator stopped the microscope's own program: nothing more is to be asked of it."""


class MoveRefusedError(MicroscopeError):
    """A move of stage, image shift, beam shift or focus was beyond its limits; nothing moved."""


class BeamLostError(MicroscopeError):
    """There is no beam, or it went away during an exposure."""


class MicroscopeTimeoutError(MicroscopeError):
    """The microscope did not answer in time: whether it moved or exposed is not known."""

    def __init__(self, what: str, fix: str = "", *, delivered_e_A2: float | None = None) -> None:
        super().__init__(what, fix, delivered_e_A2=delivered_e_A2)
