"""How a design refuses what cannot be: the field, its value, what is permitted, and what was perhaps meant."""

import difflib
import re
from collections.abc import Callable, Iterable, Mapping
from typing import Any, ClassVar

from pydantic import ValidationError, model_validator
from pydantic_core import ErrorDetails, PydanticCustomError

from eucentric.core import Record

_FIELD = re.compile(r"\b[a-z]+(?:\.[a-z]\w*)+")  # a dotted field in a sentence


class DesignRecord(Record):
    """A record that answers a misspelt field with the one that was meant."""

    kinds: ClassVar[set[str]] = set()
    """Every value of `kind`: pydantic puts it into the path of a field, where the user's file has no such level."""

    @classmethod
    def __pydantic_init_subclass__(cls, **_: Any) -> None:
        kind = cls.model_fields.get("kind")
        if kind is not None and isinstance(kind.default, str) and kind.default:
            DesignRecord.kinds.add(kind.default)

    @model_validator(mode="before")
    @classmethod
    def _only_known_fields(cls, values: Any) -> Any:
        if isinstance(values, Mapping):
            for name in values:
                if name not in cls.model_fields:
                    raise unknown("field", str(name), cls.model_fields)
        return values


def impossible(field: str, value: object, permitted: str) -> PydanticCustomError:
    """Return the error for a value that cannot be; `field` is its dotted path from the design."""
    return PydanticCustomError(
        "impossible",
        "{field} is {value}; permitted: {permitted}",
        {"field": field, "value": _short(value), "permitted": permitted},
    )


def unknown(what: str, name: str, known: Iterable[str]) -> PydanticCustomError:
    """Return the error for a word that is none of the known ones."""
    return PydanticCustomError(
        "unknown",
        "there is no {what} {name}; there are {known}.{meant}",
        {"what": what, "name": repr(name), "known": ", ".join(known), "meant": _meant(name, known)},
    )


def describe(error: ValidationError, called: Callable[[str], str] = str) -> str:
    """Put the first error of a validation into a sentence; `called` says how the user knows a dotted field."""
    return _sentence(error.errors()[0], called)


def _sentence(error: ErrorDetails, called: Callable[[str], str]) -> str:
    context: dict[str, Any] = error.get("ctx", {})
    place = ".".join(str(part) for part in error["loc"] if part not in DesignRecord.kinds)
    if error["type"] == "impossible":
        permitted = _FIELD.sub(lambda match: called(match.group()), context["permitted"])
        return f"{called(context['field'])} is {context['value']}; permitted: {permitted}."
    if error["type"] == "unknown":
        return f"{called(place)}: {error['msg']}" if place else error["msg"]
    if error["type"] in ("union_tag_invalid", "literal_error"):
        listed = str(context.get("expected_tags") or context["expected"])
        known = [word.strip(" '") for word in listed.replace(" or ", ", ").split(",")]
        word = str(context.get("tag", error["input"]))
        field = f"{place}.kind" if "tag" in context else place
        return f"{called(field)} is {word!r}; there are {', '.join(known)}.{_meant(word, known)}"
    message = error["msg"].removeprefix("Input ").removeprefix("Value error, ")
    message = message[:1].lower() + message[1:]
    value = error["input"]
    shown = f" is {_short(value)}" if isinstance(value, str | int | float) and error["type"] != "missing" else ""
    return f"{called(place)}{shown}: {message}."


def _meant(word: str, known: Iterable[str]) -> str:
    near = difflib.get_close_matches(word.lower(), list(known), n=1, cutoff=0.6)
    return f' Did you mean "{near[0]}"?' if near else ""


def _short(value: object) -> str:
    return f"{value:g}" if isinstance(value, float) else str(value)[:60]
