"""Our own file of targets, YAML: where the exposures of a plan go."""

from pathlib import Path

import yaml
from pydantic import ValidationError

from eucentric.core import FormatError, write_text
from eucentric.design import Targets, describe
from eucentric.io.yaml_text import check_values, line_of, located, read_yaml, what_it_is

_KIND = "a list of targets"
_HEAD = """\
# Targets of one stage position, exposed in this order at each tilt. Places in Å from the optical axis, y along the tilt
# axis and x across it, as they were picked at `tilt_deg`; the stage has not been touched since.
"""


def read_targets(path: Path) -> Targets:
    """Read a file of targets.

    Raises
    ------
    InputError
        If the file cannot be opened.
    FormatError
        If it is not YAML, names a key twice, or does not describe targets.

    Warns
    -----
    FormatWarning
        `not-utf8`: the file was read as Windows-1252.
    """
    path = Path(path)
    values, lines = read_yaml(path, _KIND)
    if not isinstance(values, dict):
        raise FormatError(
            f"{path}: {_KIND} is a mapping with the key targets; this is {what_it_is(values)}.",
            "See docs/targets-example.yaml.",
        )
    check_values(path, values, lines)
    try:
        return Targets.model_validate(values)
    except ValidationError as error:
        first = error.errors()[0]
        name = first.get("ctx", {}).get("name", "").strip("'")
        place = (*first["loc"], name) if first["type"] == "unknown_field" else first["loc"]
        raise FormatError(f"{located(path, line_of(place, lines))}: {describe(error)}", "Mend that field.") from error


def write_targets(path: Path, targets: Targets) -> None:
    """Write a file of targets, whole or not at all.

    Raises
    ------
    OutputError
        If the file cannot be written.
    """
    values = targets.model_dump(mode="json", exclude_none=True, exclude_defaults=True)
    values["targets"] = [target.model_dump(mode="json") for target in targets.targets]
    write_text(Path(path), _HEAD + yaml.safe_dump(values, sort_keys=False, allow_unicode=True))
