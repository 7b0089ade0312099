"""Our own file of a plan, YAML or JSON: the design, how it is acquired, and its exposures as a table to read."""

import json
import re
from pathlib import Path
from typing import Any

import yaml
from pydantic import ValidationError

from eucentric.core import FormatError, InputError, write_text
from eucentric.design import Exposure, Plan, describe
from eucentric.io._text import read_text
from eucentric.io.yaml_text import Lines, check_values, line_of, located, named_twice, read_yaml, what_it_is

_KIND = "a plan"
_HEAD = """\
# A plan of a tilt series, made by `eucentric design`.
# `design` decides everything: change it there. `exposures` follows from it, in the order of acquisition, and is here
# to be read: leave it out of a file of your own, or let it match. `acquisition` says how `eucentric acquire` follows
# the targets, and what it does when something goes wrong.
# Angles in degrees (the stage's), exposures in e/Å², defocus in Å, underfocus positive.
"""
_DECIMALS = {"tilt_deg": 4, "exposure_e_A2": 6, "pre_exposure_e_A2": 6, "defocus_A": 4}


def write_plan(path: Path, plan: Plan) -> None:
    """Write a plan; the suffix says the format, .yaml, .yml or .json.

    Every field of the design is written, its numbers exactly. Those of the table of exposures are rounded, as
    `read_plan` works them out again.

    Raises
    ------
    InputError
        If the suffix is another.
    OutputError
        If the file cannot be written.
    """
    path = Path(path)
    write_text(path, _as_json(plan) if _is_json(path) else _as_yaml(plan))


def read_plan(path: Path) -> Plan:
    """Read a plan, from YAML or JSON as its suffix says; `exposures` may be left out of the file.

    Raises
    ------
    InputError
        If the file cannot be opened, or its suffix is neither .yaml, .yml nor .json.
    FormatError
        If it is not YAML or JSON, names a key twice, holds something that is no number of ours, a design that
        cannot be, or exposures that are not those of its design.

    Warns
    -----
    FormatWarning
        `not-utf8`: the file was read as Windows-1252.
    """
    path = Path(path)
    is_json = _is_json(path)
    values, lines = (_from_json(path, read_text(path, _KIND)), {}) if is_json else read_yaml(path, _KIND)
    if not isinstance(values, dict):
        raise FormatError(
            f"{path}: a plan is a mapping with the keys design and exposures; this is {what_it_is(values)}.",
            "Write one with `eucentric design`.",
        )
    check_values(path, values, lines)
    try:
        return Plan.model_validate(values)
    except ValidationError as error:
        where = located(path, _line_of(error, lines))
        raise FormatError(f"{where}: {describe(error, _from_the_top)}", "Mend that field.") from error


def plan_schema() -> dict[str, Any]:
    """Return the JSON schema (2020-12) of the file, for editors and other programs."""
    return {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        **Plan.model_json_schema(),
        "title": "Plan of a tilt series",
    }


def _is_json(path: Path) -> bool:
    suffix = path.suffix.lower()
    if suffix not in (".yaml", ".yml", ".json"):
        raise InputError(
            f"{path}: the suffix {suffix or 'is missing and'} does not say what kind of plan this is.",
            "Name a file that ends in .yaml, .yml or .json.",
        )
    return suffix == ".json"


# Writing


def _as_json(plan: Plan) -> str:
    table = ",\n".join(f"    {json.dumps(dict(_row(exposure)))}" for exposure in plan)
    design = json.dumps(plan.design.model_dump(mode="json"), indent=2).replace("\n", "\n  ")
    acquisition = json.dumps(plan.acquisition.model_dump(mode="json"), indent=2).replace("\n", "\n  ")
    return f'{{\n  "design": {design},\n  "acquisition": {acquisition},\n  "exposures": [\n{table}\n  ]\n}}\n'


class _Dumper(yaml.SafeDumper):
    """Block style, but for lists, which are short numbers and read better on one line."""


_Dumper.add_representer(list, lambda dumper, items: dumper.represent_sequence("tag:yaml.org,2002:seq", items, True))


def _as_yaml(plan: Plan) -> str:
    parts = {name: getattr(plan, name).model_dump(mode="json") for name in ("design", "acquisition")}
    rows = [[(name, json.dumps(value)) for name, value in _row(exposure)] for exposure in plan]
    widths = [max(len(cell) for _, cell in column) for column in zip(*rows, strict=True)]
    table = "".join(
        f"- {{{', '.join(f'{name}: {cell:>{width}}' for (name, cell), width in zip(row, widths, strict=True))}}}\n"
        for row in rows
    )
    dumped = yaml.dump(parts, Dumper=_Dumper, sort_keys=False, width=120, allow_unicode=True)
    return f"{_HEAD}{dumped}exposures:\n{table}"


def _row(exposure: Exposure) -> list[tuple[str, float]]:
    return [(name, _rounded(name, getattr(exposure, name))) for name in Exposure.model_fields]


def _rounded(name: str, value: float) -> float:
    if name not in _DECIMALS:
        return value
    return round(value, _DECIMALS[name]) + 0.0 or value + 0.0  # what would round to 0 is kept; no minus before a zero


# Reading


def _from_json(path: Path, text: str) -> object:
    def once(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
        values: dict[str, Any] = {}
        for key, value in pairs:
            if key in values:
                raise named_twice(path, None, key)
            values[key] = value
        return values

    try:
        return json.loads(text, object_pairs_hook=once)
    except json.JSONDecodeError as error:
        raise FormatError(f"{located(path, error.lineno)}: not JSON ({error.msg}).", "Mend it.") from error
    except (ValueError, RecursionError) as error:  # a whole number of thousands of digits; brackets without end
        raise FormatError(f"{path}: not JSON of {_KIND} ({error}).", "Name the right file.") from error


def _line_of(error: ValidationError, lines: Lines) -> int | None:
    """Return the line of the first error: of its field, or of the innermost one around it that the file has."""
    first = error.errors()[0]
    context, place = first.get("ctx", {}), first["loc"]
    if first["type"] == "impossible":
        place = tuple(int(p) if p.isdigit() else p for p in re.split(r"[.\[\]]+", _from_the_top(context["field"])))
    elif first["type"] == "unknown_field":
        place = (*place, context["name"].strip("'"))
    return line_of(place, lines)


def _from_the_top(field: str) -> str:
    """Return a dotted field from the top of the file; those of a design count from the design."""
    return field if not field or re.split(r"[.\[]", field)[0] in Plan.model_fields else f"design.{field}"
