"""Faults put into a microscope on purpose, to rehearse what an acquisition does when one strikes.

`Fault` says which call fails, when and how; `Faulty` wraps a `Microscope` and is one, in which the faults strike.
"""

import shlex
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import replace
from datetime import datetime, timedelta
from itertools import zip_longest
from typing import Annotated, Any, Literal, NoReturn, Self, TypeVar, get_args

import numpy as np
from numpy.typing import NDArray
from pydantic import Field, ValidationError, model_validator

from eucentric.core import Degrees, InputError, Record, did_you_mean, stream
from eucentric.design import describe
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

Move = Literal["tilt", "stage", "image-shift", "beam-shift", "defocus", "beam-tilt"]
Call = Literal[Move, "expose", Purpose]
OfMoves = Literal["refuse", "off"]
OfExposures = Literal["no-beam", "beam-lost", "dropped-frames", "no-frames", "dark", "dim"]
OfAny = Literal["timeout", "timeout-done", "interrupt", "crash"]
Kind = Literal[OfMoves, OfExposures, OfAny]

Place = tuple[float, ...]
Moved = TypeVar("Moved")
Taken = TypeVar("Taken", Movie, Image)

_NEAR_DEG = 0.5  # chosen: wider than a stage's error, narrower than any increment of a tilt series
_DIM_SHARE = 0.1
_WHEN = {"at": "at_deg", "order": "at_order", "target": "target", "after": "after", "times": "times"}
_RETURNS = {"returns": "returns_after_s"}
_WORDS = {field: word for word, field in (_WHEN | _RETURNS).items()}
_FORM = '"CALL [at DEG] [order N] [target NAME] [after N] [times N]: KIND [AMOUNT] [returns SECONDS]"'


class Fault(Record):
    """What goes wrong, at which call, and how often.

    Attributes
    ----------
    call
        The call it strikes: a move, an exposure by its purpose, or ``expose`` for one of any purpose, views included.
    kind
        What happens.

        - ``refuse``: the move is refused before anything moved.
        - ``off``: the move ends `amount` away (the other way where a limit is near), and that is read back. Of a shift
          or a beam tilt it is along x, of a move of the stage along the first of x, y and z that was to move.
        - ``timeout``, ``timeout-done``: no answer; nothing was done, or all of it. The errors are the same.
        - ``no-beam``, ``beam-lost``: the valves close before the exposure, or half way. A view has no half: it is
          delivered whole, and lost.
        - ``dropped-frames``: the last `amount` frames are missing (default: half), though never the first. Images of
          one frame, views among them, are not struck.
        - ``no-frames``: the specimen is exposed, the camera fails.
        - ``dark``, ``dim``: the specimen is exposed, but none of the counts or the share `amount` of them arrive.
        - ``interrupt``, ``crash``: the user's Ctrl-C, or a bug of the driver, before the call.
    at_deg
        Only at this tilt of the stage, within 0.5°; for ``tilt``, the tilt asked for.
    at_order, target
        Only for the exposures that are asked for with this order or target.
    after
        How many calls that match are let pass first.
    times
        How often it strikes; 0 for always.
    amount
        In °, Å or mrad for ``off``; frames for ``dropped-frames``; a share for ``dim``.
    returns_after_s
        When the valves open again after ``no-beam`` or ``beam-lost``, by the microscope's clock; None for never.
    """

    call: Call
    kind: Kind
    at_deg: Degrees | None = None
    at_order: Annotated[int, Field(ge=0)] | None = None
    target: str | None = None
    after: Annotated[int, Field(ge=0)] = 0
    times: Annotated[int, Field(ge=0)] = 1
    amount: Annotated[float, Field(allow_inf_nan=False)] | None = None
    returns_after_s: Annotated[float, Field(ge=0, allow_inf_nan=False)] | None = None

    @model_validator(mode="after")
    def _can_happen(self) -> Self:
        move, kind, amount = self.call in get_args(Move), self.kind, self.amount
        if kind in get_args(OfExposures if move else OfMoves):
            raise ValueError(f"{kind} strikes {'exposures' if move else 'moves'} only, and {self.call} is none")
        if move and (self.at_order is not None or self.target is not None):
            raise ValueError(f"order and target belong to exposures, and {self.call} is none")
        if self.target == "":
            raise ValueError("target needs a name")
        if self.returns_after_s is not None and kind not in ("no-beam", "beam-lost"):
            raise ValueError(f"only a lost beam returns, and {kind} loses none")
        if kind == "off" and not amount:
            raise ValueError("off needs an amount other than 0: how far away the move ends")
        if kind == "dropped-frames" and amount is not None and (amount < 1 or not amount.is_integer()):
            raise ValueError(f"dropped-frames takes a whole number of frames, at least 1, and not {amount:g}")
        if kind == "dim" and amount is not None and not 0 < amount < 1:
            raise ValueError(f"dim takes a share between 0 and 1, and not {amount:g}")
        if kind not in ("off", "dropped-frames", "dim") and amount is not None:
            raise ValueError(f"{kind} takes no amount")
        return self

    @classmethod
    def parse(cls, text: str) -> Self:
        """Return the fault that a text such as ``record order 12 target TS_002: beam-lost`` describes.

        Its form is ``CALL [at DEG] [order N] [target NAME] [after N] [times N]: KIND [AMOUNT] [returns SECONDS]``; a
        name with spaces stands in quotation marks. `str` of a fault gives it.

        Raises
        ------
        InputError
            If it is no such text; it says what is wrong.
        """
        head, colon, tail = text.rpartition(":")
        try:
            when, what = shlex.split(head), tail.split()
        except ValueError:  # of a quotation mark
            raise _wrong(text, "a quotation mark is not closed") from None
        if not (colon and when and what):
            raise _wrong(text, "it needs a call, a colon, and what happens")
        values: dict[str, str] = {
            "call": _known(text, when[0], "call", get_args(Call)),
            "kind": _known(text, what[0], "kind of fault", get_args(Kind)),
            **_pairs(text, when[1:], _WHEN),
        }
        if len(what) % 2 == 0:
            values["amount"] = what.pop(1)
        try:
            return cls.model_validate(values | _pairs(text, what[1:], _RETURNS))
        except ValidationError as error:
            reason = describe(error, lambda field: _WORDS.get(field, field)).removeprefix("this is no fault: ")
            raise _wrong(text, reason.rstrip(".")) from error

    def __str__(self) -> str:
        """Return the text of which `parse` makes this fault."""
        when = [self.call] + [
            f"{word} {_text(getattr(self, field))}"
            for word, field in _WHEN.items()
            if getattr(self, field) != type(self).model_fields[field].default
        ]
        return f"{' '.join(when)}: {self.effect}"

    @property
    def effect(self) -> str:
        """What happens, as the text has it behind the colon."""
        amount = "" if self.amount is None else f" {_text(self.amount)}"
        returns = "" if self.returns_after_s is None else f" returns {_text(self.returns_after_s)}"
        return f"{self.kind}{amount}{returns}"

    def concerns(self, call: Call, tilt_deg: float, request: ExposureRequest | None, frames: int) -> bool:
        """Return whether it is meant: a call at this tilt, for this request, of so many frames (0: a move)."""
        return (
            self.call in ((call, "expose") if frames else (call,))
            and (self.at_deg is None or abs(tilt_deg - self.at_deg) <= _NEAR_DEG)
            and (self.at_order is None or (request is not None and request.order == self.at_order))
            and (self.target is None or (request is not None and request.target == self.target))
            and (self.kind != "dropped-frames" or frames > 1)
        )


def _known(text: str, word: str, what: str, known: Sequence[str]) -> str:
    if word.lower() not in known:
        raise _wrong(text, f'there is no {what} "{word}"; there are {", ".join(known)}.{did_you_mean(word, known)}')
    return word.lower()


def _pairs(text: str, words: Sequence[str], fields: dict[str, str]) -> dict[str, str]:
    """Return the values of fields from words that name and value take in turns."""
    values: dict[str, str] = {}
    for word, value in zip_longest(words[::2], words[1::2]):
        field = fields[_known(text, word, "word", tuple(fields))]
        if value is None or field in values:
            raise _wrong(text, f"{word} {'has no value' if value is None else 'is said twice'}")
        values[field] = value
    return values


def _text(value: float | str) -> str:
    return shlex.quote(value) if isinstance(value, str) else repr(value).removesuffix(".0")


def _wrong(text: str, reason: str) -> InputError:
    stop = "" if reason.endswith(("?", ".")) else "."
    return InputError(f"The fault {text!r} cannot be understood: {reason}{stop}", f"Write it as {_FORM}.")


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
