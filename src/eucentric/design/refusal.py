"""How a design refuses what cannot be: the field, its value, what is permitted, and what was perhaps meant."""

import re
from collections.abc import Callable
from typing import Any, ClassVar

from pydantic import ValidationError
from pydantic_core import ErrorDetails, PydanticCustomError

from eucentric.core import Record, did_you_mean

_FIELD = re.compile(r"\b[a-z]+(?:\.[a-z]\w*)+")  # a dotted field in a sentence
_MAPPING = ("model_type", "model_attributes_type", "dict_type", "dataclass_type")


class DesignRecord(Record):
    """A record of a design; it keeps the tags of its unions."""

    kinds: ClassVar[set[str]] = set()
    """Every value of `kind`: pydantic puts it into the path of a field, where the user's file has no such level."""

    @classmethod
    def __pydantic_init_subclass__(cls, **_: Any) -> None:
        kind = cls.model_fields.get("kind")
        if kind is not None and isinstance(kind.default, str) and kind.default:
            DesignRecord.kinds.add(kind.default)


def impossible(field: str, value: object, permitted: str) -> PydanticCustomError:
    """Return the error for a value that cannot be; `field` is its dotted path from the design."""
    return PydanticCustomError(
        "impossible",
        "{field} is {value}; permitted: {permitted}",
        {"field": field, "value": _short(value), "permitted": permitted},
    )


def describe(error: ValidationError, called: Callable[[str], str] = str) -> str:
    """Put the first error of a validation into a sentence; `called` says how the user knows a dotted field."""
    first = error.errors()[0]
    place = ".".join(str(part) for part in first["loc"] if part not in DesignRecord.kinds)
    if place or first["type"] == "impossible":
        return _sentence(first, place, called)
    return _at_the_top(first, error.title)


def _sentence(error: ErrorDetails, place: str, called: Callable[[str], str]) -> str:
    context: dict[str, Any] = error.get("ctx", {})
    if error["type"] == "impossible":
        field, permitted = str(context["field"]), str(context["permitted"])
        if place.endswith("scheme.rest"):  # a scheme does not know that it is the rest of a hybrid
            field, permitted = (text.replace("scheme.", "scheme.rest.") for text in (field, permitted))
        permitted = _FIELD.sub(lambda match: called(match.group()), permitted)
        return f"{called(field)} is {context['value']}; permitted: {permitted}."
    if error["type"] == "unknown_field":
        return f"{called(place)}: {error['msg']}"
    if error["type"] in ("union_tag_invalid", "union_tag_not_found", "literal_error"):
        return _choice(error, place, called)
    value = error["input"]
    shown = f" is {_short(value)}" if isinstance(value, str | int | float) and error["type"] != "missing" else ""
    return f"{called(place)}{shown}: {_message(error)}."


def _choice(error: ErrorDetails, place: str, called: Callable[[str], str]) -> str:
    """Say which words there are where another one stands, or none."""
    context: dict[str, Any] = error.get("ctx", {})
    if error["type"] == "union_tag_not_found":
        if not isinstance(error["input"], dict):
            return f"{called(place)} is {_short(error['input'])}: should be a mapping of fields, with its kind."
        return f"{called(f'{place}.kind')} is absent; there are {', '.join(_kinds_at(place))}."
    listed = str(context.get("expected_tags") or context["expected"])
    known = [word.strip(" '") for word in listed.replace(" or ", ", ").split(",")]
    word = str(context.get("tag", error["input"]))
    field = f"{place}.kind" if "tag" in context else place
    return f"{called(field)} is {word!r}; there are {', '.join(known)}.{did_you_mean(word, known)}"


def _kinds_at(place: str) -> list[str]:
    """Return the kinds that a union has, from the models below `DesignRecord` that name it as theirs."""
    from eucentric.design import increments, policies, schemes  # they need this module first

    unions: dict[str, Any] = {
        "scheme": schemes.Scheme,
        "rest": schemes.Plain,
        "increment": increments.Increment,
        "exposure": policies.ExposurePolicy,
        "frames": policies.FramePolicy,
        "defocus": policies.DefocusPolicy,
    }
    members = unions[place.rpartition(".")[2]].__origin__.__args__
    return [member.model_fields["kind"].default for member in members]


def _at_the_top(error: ErrorDetails, what: str) -> str:
    """Say what is wrong with the whole, which has no field to be named."""
    if error["type"] == "unknown_field":
        return error["msg"]
    if error["type"] in _MAPPING:
        return f"a {what.lower()} should be a mapping of fields, and not {_short(error['input'])!r}."
    return f"this is no {what.lower()}: {_message(error)}."


def _message(error: ErrorDetails) -> str:
    if error["type"] in _MAPPING:
        return "should be a mapping of fields"
    message = error["msg"].removeprefix("Input ").removeprefix("Value error, ")
    return message if message[:4].isupper() or message.startswith("Invalid JSON") else message[:1].lower() + message[1:]


def _short(value: object) -> str:
    return f"{value:g}" if isinstance(value, float) else str(value)[:60]
