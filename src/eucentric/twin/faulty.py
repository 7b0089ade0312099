"""`Faulty`: a microscope in which faults strike, to rehearse what an acquisition does then."""

from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import replace
from datetime import datetime, timedelta
from typing import Any, NoReturn, TypeVar

import numpy as np
from numpy.typing import NDArray

from eucentric.core import stream
from eucentric.microscope import (
    BeamLostError,
    ExposureRequest,
    Image,
    Microscope,
    MicroscopeError,
    MicroscopeTimeoutError,
    MoveRefusedError,
    Movie,
    Purpose,
    Readback,
    ShiftYX,
    StageLimits,
    StagePosition,
)
from eucentric.twin.fault import Call, Fault, Move

Place = tuple[float, ...]
Moved = TypeVar("Moved")
Taken = TypeVar("Taken", Movie, Image)

_DIM_SHARE = 0.1


class Faulty:
    """A microscope with faults; what no fault strikes goes on to the microscope in it, with all else that it can do.

    Calls that the microscope itself refuses strike no fault: moves beyond its limits, exposures without a beam. Where
    several faults could strike one call, the first does; the others wait for their next. Only the calls of the
    protocol are struck: the twin's `expose_and_tell` is not.

    Parameters
    ----------
    wrapped
        The microscope.
    faults
        What goes wrong.
    seed
        Of the counts that are lost at random.

    Attributes
    ----------
    struck
        What has gone wrong so far, a line each.
    """

    def __init__(self, wrapped: Microscope, faults: Sequence[Fault], seed: int = 0) -> None:
        self._wrapped = wrapped
        self._faults = tuple(faults)
        self._seed = seed
        self._matched = [0] * len(self._faults)
        self._strikes = [0] * len(self._faults)
        self._beam_returns: datetime | None = None
        self.struck: list[str] = []

    @property
    def idle(self) -> tuple[Fault, ...]:
        """The faults that have not struck."""
        return tuple(fault for fault, strikes in zip(self._faults, self._strikes, strict=True) if not strikes)

    def __getattr__(self, name: str) -> Any:
        if name == "_wrapped" or name.startswith("__"):  # a copy being made has none yet, and would ask for ever
            raise AttributeError(f"{type(self).__name__} has no attribute {name}")
        return getattr(self._wrapped, name)

    def limits(self) -> StageLimits:
        """Return how far the stage and the shifts can go."""
        return self._wrapped.limits()

    def now(self) -> datetime:
        """Return the microscope's time."""
        return self._wrapped.now()

    def wait(self, seconds: float) -> None:
        """Let time pass; a lost beam may come back."""
        self._wrapped.wait(seconds)
        self._open_again()

    def stage(self) -> StagePosition:
        """Return where the stage is."""
        return self._wrapped.stage()

    def tilt_to(self, tilt_deg: float) -> StagePosition:
        """Tilt, and return where the stage is."""
        go, check = self._wrapped.tilt_to, self.limits().check
        what = f"tilt to {tilt_deg:g}°"
        return self._move("tilt", what, (tilt_deg,), lambda to: go(*to), lambda to: check(tilt_deg=to[0]))

    def move_stage(
        self, *, y_A: float | None = None, x_A: float | None = None, z_A: float | None = None
    ) -> StagePosition:
        """Move the axes that are given, and return where the stage is."""
        go, check = self._wrapped.move_stage, self.limits().check
        named = {axis: place for axis, place in (("z_A", z_A), ("y_A", y_A), ("x_A", x_A)) if place is not None}

        def axes(place: Place) -> dict[str, float]:
            return dict(zip(named, place, strict=True))

        what = f"stage to {', '.join(f'{axis} = {place:g}' for axis, place in named.items())}"
        return self._move("stage", what, (*named.values(),), lambda to: go(**axes(to)), lambda to: check(**axes(to)))

    def image_shift_A(self) -> ShiftYX:
        """Return the place that lies in the centre of the image."""
        return self._wrapped.image_shift_A()

    def set_image_shift_A(self, yx_A: ShiftYX) -> ShiftYX:
        """Bring a place into the centre of the image."""
        go, check = self._wrapped.set_image_shift_A, self.limits().check_shift
        what = f"image shift to ({yx_A[0]:g}, {yx_A[1]:g}) Å"
        return self._move("image-shift", what, yx_A, lambda to: go((to[0], to[1])), lambda to: check((to[0], to[1])))

    def beam_shift_A(self) -> ShiftYX:
        """Return the place that lies in the centre of the beam."""
        return self._wrapped.beam_shift_A()

    def set_beam_shift_A(self, yx_A: ShiftYX) -> ShiftYX:
        """Bring the beam's centre to a place."""
        go, check = self._wrapped.set_beam_shift_A, self.limits().check_shift
        what = f"beam shift to ({yx_A[0]:g}, {yx_A[1]:g}) Å"
        return self._move("beam-shift", what, yx_A, lambda to: go((to[0], to[1])), lambda to: check((to[0], to[1])))

    def defocus_A(self) -> float:
        """Return the objective lens's defocus, underfocus positive."""
        return self._wrapped.defocus_A()

    def set_defocus_A(self, defocus_A: float) -> float:
        """Set the objective lens's defocus."""
        go = self._wrapped.set_defocus_A
        return self._move("defocus", f"defocus to {defocus_A:g} Å", (defocus_A,), lambda to: go(*to))

    def beam_tilt_mrad(self) -> ShiftYX:
        """Return how far the illumination is tilted."""
        return self._wrapped.beam_tilt_mrad()

    def set_beam_tilt_mrad(self, yx_mrad: ShiftYX) -> ShiftYX:
        """Tilt the illumination."""
        go, check = self._wrapped.set_beam_tilt_mrad, self.limits().check_beam_tilt
        what = f"beam tilt to ({yx_mrad[0]:g}, {yx_mrad[1]:g}) mrad"
        return self._move("beam-tilt", what, yx_mrad, lambda to: go((to[0], to[1])), lambda to: check((to[0], to[1])))

    def beam_on(self) -> bool:
        """Return whether there is a beam; a lost one may come back."""
        self._open_again()
        return self._wrapped.beam_on()

    def set_beam_on(self, on: bool) -> bool:
        """Open or close the valves; they then stay so, even if a lost beam was to come back."""
        self._beam_returns = None
        return self._wrapped.set_beam_on(on)

    def expose(self, request: ExposureRequest) -> Movie:
        """Expose once and return the frames."""
        half = request.replace(exposure_e_A2=request.exposure_e_A2 / 2, frames=max(1, request.frames // 2))
        of = f" of {request.target}" if request.target else ""
        order = "" if request.order is None else f", order {request.order}"
        return self._expose(
            request.purpose,
            f"{request.purpose}{of}{order}",
            lambda: self._wrapped.expose(request),
            lambda: self._wrapped.expose(half),
            _spoiled_movie,
            request,
        )

    def view(self, field_A: float, pixels: int) -> Image:
        """Take an image at low magnification."""

        def take() -> Image:
            return self._wrapped.view(field_A, pixels)

        return self._expose("view", f"view of {field_A:g} Å", take, take, _spoiled_view)

    # Where faults strike

    def _move(
        self,
        call: Move,
        what: str,
        place: Place,
        go: Callable[[Place], Moved],
        check: Callable[[Place], None] | None = None,
    ) -> Moved:
        if check is not None:
            try:
                check(place)
            except MoveRefusedError:
                return go(place)  # the microscope itself refuses it
        tilt_deg = place[0] if call == "tilt" else None
        fault = self._strike(call, what, tilt_deg=tilt_deg)
        if fault is None:
            return go(place)
        if fault.kind == "refuse":
            raise MoveRefusedError(
                f"The microscope refused the move ({what}); nothing moved (rehearsed).", "Repeat it, or do without."
            )
        if fault.kind == "off":
            return _go_astray(place, fault.amount or 0.0, go)
        if fault.kind == "timeout-done":
            go(place)
        raise MicroscopeTimeoutError(
            f"The microscope did not answer in time ({what}): whether it moved is not known; the specimen was not "
            "exposed (rehearsed).",
            "Read back where it is before going on.",
            delivered_e_A2=0.0,
        )

    def _expose(
        self,
        purpose: Purpose,
        what: str,
        take: Callable[[], Taken],
        take_half: Callable[[], Taken],
        spoil: Callable[[Taken, Fault, np.random.Generator], Taken],
        request: ExposureRequest | None = None,
    ) -> Taken:
        self._open_again()
        frames = 1 if request is None else request.frames
        fault = self._strike(purpose, what, request=request, frames=frames) if self._wrapped.beam_on() else None
        if fault is None:
            return take()
        if fault.kind in ("no-beam", "beam-lost"):
            delivered_e_A2 = 0.0 if fault.kind == "no-beam" else take_half().readback.exposure_e_A2
            self._lose_beam(fault, what, delivered_e_A2)
        taken = None if fault.kind == "timeout" else take()
        if taken is None or fault.kind == "timeout-done":
            raise MicroscopeTimeoutError(
                f"The microscope did not answer in time ({what}): whether the specimen was exposed is not known "
                "(rehearsed).",
                "Count it as exposed, and do not repeat it unasked.",
            )
        if fault.kind == "no-frames":
            delivered_e_A2 = taken.readback.exposure_e_A2
            raise MicroscopeError(
                f"The camera failed ({what}): the specimen received {delivered_e_A2:g} e/Å², and no image of it came "
                "(rehearsed).",
                "Count it as exposed; see to the camera before the next exposure.",
                delivered_e_A2=delivered_e_A2,
            )
        number = sum(strikes for one, strikes in zip(self._faults, self._strikes, strict=True) if one == fault)
        return spoil(taken, fault, stream(self._seed, "fault", str(fault), number))

    def _strike(
        self,
        call: Call,
        what: str,
        *,
        tilt_deg: float | None = None,
        request: ExposureRequest | None = None,
        frames: int = 0,
    ) -> Fault | None:
        """Book and return the fault that strikes a call, if one does; one that comes before every call is raised."""
        if not self._faults:
            return None
        if tilt_deg is None:
            tilt_deg = self._wrapped.stage().tilt_deg
        striking: int | None = None
        for number, fault in enumerate(self._faults):
            if not fault.concerns(call, tilt_deg, request, frames):
                continue
            self._matched[number] += 1
            spent = 0 < fault.times <= self._strikes[number]
            if striking is None and self._matched[number] > fault.after and not spent:
                striking = number
        if striking is None:
            return None
        fault = self._faults[striking]
        self._strikes[striking] += 1
        at = "" if call == "tilt" else f" at {tilt_deg:g}°"
        self.struck.append(f"{what}{at}: {fault.effect}")
        if fault.kind == "interrupt":
            raise KeyboardInterrupt(f"Interrupted before the call ({what}; rehearsed).")
        if fault.kind == "crash":
            raise RuntimeError(f"The driver broke before the call ({what}; rehearsed).")
        return fault

    def _lose_beam(self, fault: Fault, what: str, delivered_e_A2: float) -> NoReturn:
        self.set_beam_on(False)
        if fault.returns_after_s is not None:
            self._beam_returns = self.now() + timedelta(seconds=fault.returns_after_s)
        when = "before" if fault.kind == "no-beam" else "during"
        raise BeamLostError(
            f"The beam was lost {when} the exposure ({what}): the valves closed; the specimen received "
            f"{delivered_e_A2:g} e/Å², and there is no image (rehearsed).",
            "Wait until the beam is back, or open the valves.",
            delivered_e_A2=delivered_e_A2,
        )

    def _open_again(self) -> None:
        if self._beam_returns is not None and self.now() >= self._beam_returns:
            self.set_beam_on(True)


def _go_astray(place: Place, amount: float, go: Callable[[Place], Moved]) -> Moved:
    """Go elsewhere by an amount along the last axis; where the microscope refuses that, the other way, and so on."""
    for axis in reversed(range(len(place))):
        for off in (amount, -amount):
            with suppress(MoveRefusedError):
                return go((*place[:axis], place[axis] + off, *place[axis + 1 :]))
    return go(place)


def _spoiled_movie(movie: Movie, fault: Fault, draws: np.random.Generator) -> Movie:
    """Return a movie without its last frames, or of which only some of the counts arrived."""
    if fault.kind == "dropped-frames":
        number = len(movie.frames)
        missing = number // 2 if fault.amount is None else int(fault.amount)
        frames = movie.frames[: max(1, number - missing)]
    else:
        frames = np.stack([_thinned(frame, _share(fault), draws) for frame in movie.frames])
    return replace(movie, frames=frames, readback=_counted(movie, fault, frames.sum(axis=0, dtype=np.uint64)))


def _spoiled_view(image: Image, fault: Fault, draws: np.random.Generator) -> Image:
    """Return an image of which only some of the counts arrived."""
    pixels = _thinned(image.pixels, _share(fault), draws)
    return replace(image, pixels=pixels, readback=_counted(image, fault, pixels))


def _share(fault: Fault) -> float:
    """Return the share of the counts that arrive."""
    return {"dark": 0.0, "dim": fault.amount or _DIM_SHARE}.get(fault.kind, 1.0)


def _thinned(counts: NDArray[Any], share: float, draws: np.random.Generator) -> NDArray[Any]:
    """Let each count arrive with the probability of the share; what is no whole count is scaled."""
    whole = np.maximum(np.floor(counts), 0).astype(np.int64)
    arrived = draws.binomial(whole, share) + (share * (counts - whole) if counts.dtype.kind == "f" else 0)
    return np.asarray(arrived).astype(counts.dtype)


def _counted(taken: Movie | Image, fault: Fault, total: NDArray[Any]) -> Readback:
    """Return the readback with the counts of these pixels, which may be none, and the rate at which they came."""
    low, high, mean = (total.min(), total.max(), total.mean()) if total.size else (0.0, 0.0, 0.0)
    return taken.readback.replace(
        counts_min=float(low),
        counts_max=float(high),
        counts_mean=float(mean),
        dose_rate_e_px_s=_share(fault) * taken.readback.dose_rate_e_px_s,
    )
