"""`Record`: the frozen, strict data model that every value crossing a module border is made of."""

from typing import Annotated, Any, Self

from pydantic import BaseModel, ConfigDict, Field

Degrees = Annotated[float, Field(allow_inf_nan=False)]
"""An angle in degrees, the unit of every interface; functions use radians inside."""

Angstrom = Annotated[float, Field(allow_inf_nan=False)]
"""A length in Å."""

ElectronsPerA2 = Annotated[float, Field(ge=0, allow_inf_nan=False)]
"""An exposure in e/Å²."""


class Record(BaseModel):
    """A frozen model that refuses unknown fields, so that a misspelt setting is an error and not a default."""

    model_config = ConfigDict(frozen=True, extra="forbid", validate_default=True, ser_json_inf_nan="constants")

    def replace(self, **changes: Any) -> Self:
        """Return a copy with `changes`, validated again (unlike pydantic's `model_copy`).

        Raises
        ------
        pydantic.ValidationError
            If a changed field is unknown or its value is not valid.
        """
        values = {name: getattr(self, name) for name in type(self).model_fields}
        return type(self)(**{**values, **changes})
