"""`Record`: the frozen, strict data model that every value crossing a module border is made of."""

import difflib
from collections.abc import Iterable, Mapping
from typing import Annotated, Any, Self

from pydantic import BaseModel, ConfigDict, Field, model_validator
from pydantic_core import PydanticCustomError

Degrees = Annotated[float, Field(allow_inf_nan=False)]
"""An angle in degrees, the unit of every interface; functions use radians inside."""

Angstrom = Annotated[float, Field(allow_inf_nan=False)]
"""A length in Å."""

ElectronsPerA2 = Annotated[float, Field(ge=0, allow_inf_nan=False)]
"""An exposure in e/Å²."""


def did_you_mean(word: str, known: Iterable[str]) -> str:
    """Return the question, with a space before it, after the known word that was most likely meant; or nothing."""
    near = difflib.get_close_matches(word.lower(), list(known), n=1, cutoff=0.6)
    return f' Did you mean "{near[0]}"?' if near else ""


class Record(BaseModel):
    """A frozen model that refuses unknown fields, so that a misspelt setting is an error and not a default."""

    model_config = ConfigDict(frozen=True, extra="forbid", validate_default=True, ser_json_inf_nan="constants")

    @model_validator(mode="before")
    @classmethod
    def _only_known_fields(cls, values: Any) -> Any:
        """Name the field that was meant, which pydantic's own refusal does not."""
        if isinstance(values, Mapping):
            for name in values:
                if name not in cls.model_fields:
                    known, meant = ", ".join(cls.model_fields), did_you_mean(str(name), cls.model_fields)
                    raise PydanticCustomError(
                        "unknown_field",
                        "there is no field {name}; there are {known}.{meant}",
                        {"name": repr(str(name)), "known": known, "meant": meant},
                    )
        return values

    def replace(self, **changes: Any) -> Self:
        """Return a copy with `changes`, validated again (unlike pydantic's `model_copy`).

        Raises
        ------
        pydantic.ValidationError
            If a changed field is unknown or its value is not valid.
        """
        values = {name: getattr(self, name) for name in type(self).model_fields}
        return type(self)(**{**values, **changes})
