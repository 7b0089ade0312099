"""`Fault`: what goes wrong in a microscope on purpose, at which call and how often; a record with a text form."""

import shlex
from collections.abc import Sequence
from itertools import zip_longest
from typing import Annotated, Literal, Self, get_args

from pydantic import Field, ValidationError, model_validator

from eucentric.core import Degrees, InputError, Record, did_you_mean
from eucentric.design import describe
from eucentric.microscope import ExposureRequest, Purpose

Move = Literal["tilt", "stage", "image-shift", "beam-shift", "defocus", "beam-tilt"]
Call = Literal[Move, "expose", Purpose]
OfMoves = Literal["refuse", "off"]
OfExposures = Literal["no-beam", "beam-lost", "dropped-frames", "no-frames", "dark", "dim"]
OfAny = Literal["timeout", "timeout-done", "interrupt", "crash"]
Kind = Literal[OfMoves, OfExposures, OfAny]

_NEAR_DEG = 0.5  # chosen: wider than a stage's error, narrower than any increment of a tilt series
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
