"""Specimens of one's own, from a YAML file of what lies in the ice: docs/specimen-example.yaml shows all it can say."""

from collections import Counter
from collections.abc import Callable, Mapping
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
from pydantic import ValidationError
from pydantic_core import ErrorDetails

from eucentric.core import FormatError, InputError, did_you_mean
from eucentric.io.yaml_text import Lines, Place, check_values, line_of, located, read_yaml, what_it_is
from eucentric.specimen.molecule import Molecule
from eucentric.specimen.sample import Beads, Placed, Sample
from eucentric.twin.specimen_models import load_molecule
from eucentric.twin.specimen_placing import (
    joined,
    place_filaments,
    place_gold,
    place_sheet,
    place_vesicles,
    put_molecules,
    strew_molecules,
)
from eucentric.twin.specimen_records import KINDS, Molecules, SpecimenFile
from eucentric.twin.specimen_room import Room

_KIND = "a specimen"
_SEE = "See docs/specimen-example.yaml for what a specimen file can say."


def read_specimen(path: Path, *, seed: int, field_A: float, max_tilt_deg: float = 60.0) -> Sample:
    """Return the specimen that a YAML file describes.

    Places that the file gives are taken whatever is there; then come membranes, filaments and gold, and last the
    molecules that are strewn, in the order of the file. Each entry has a random stream of its own, named after what
    it is: one that is added leaves the draws of the others as they were, though not the room that is left for them.

    Parameters
    ----------
    path
        The file; paths in it begin at its folder.
    seed
        Chooses all that the file leaves open.
    field_A
        Side of the square field that will be imaged; the specimen goes on as far as tilts bring it into view.
    max_tilt_deg
        Largest tilt of the stage, to either side.

    Raises
    ------
    InputError
        If a file cannot be opened, a model is unknown or unlike what is said of it, something is placed outside the
        ice, fewer than half of the copies of an entry find room, or there would be nothing at all.
    FormatError
        If the file is not YAML, says something that cannot be, or a model in it cannot be parsed.

    Warns
    -----
    DataWarning
        If some copies find no room, or of a concentration there is not one.
    FormatWarning
        As the readers of models and maps do, or `not-utf8` for the file itself.
    """
    path = Path(path)
    specimen, lines = _described(path)

    def at(place: Place) -> str:
        return f"{located(path, line_of(place, lines))}: {_dotted(place)}"

    room = Room.of(specimen.ice, at, seed=seed, field_A=field_A, max_tilt_deg=max_tilt_deg)
    molecules = _loaded(path, specimen, at=at, seed=seed)
    parts, beads = _placed(room, specimen, molecules)
    flat = Sample(specimen.name or path.stem, room.matrix, joined(parts), beads)
    if not (room.has_ice or flat.molecules or len(beads)):
        raise InputError(f"{path}: the specimen is empty: nothing found room in it, and there is no ice.", _SEE)
    return flat.turned(specimen.ice.pre_tilt_deg) if specimen.ice.pre_tilt_deg else flat


def _placed(room: Room, specimen: SpecimenFile, molecules: list[Molecule]) -> tuple[list[Placed], Beads]:
    """Put everything into the room, in the order in which it may take it."""
    parts: list[Placed] = []
    nth = Counter[str]()

    def draw(what: str) -> np.random.Generator:
        nth[what] += 1
        return room.slab.draw(f"file {what} {nth[what]}")

    entries = [
        (("molecules", i), entry, molecule, draw(f"molecules {entry.model}"))
        for i, (entry, molecule) in enumerate(zip(specimen.molecules, molecules, strict=True))
    ]
    parts += [put_molecules(room, *entry) for entry in entries if entry[1].places_zyx_A is not None]
    gold, beads = specimen.gold, Beads()
    if gold is not None and gold.places_zyx_A is not None:
        beads = place_gold(room, ("gold",), gold, draw("gold"))
    for i, wall in enumerate(specimen.membranes):
        if wall.kind == "vesicle":
            parts += place_vesicles(room, ("membranes", i), wall, draw(wall.kind))
        else:
            parts += place_sheet(room, ("membranes", i), wall, draw(wall.kind))
    for i, one in enumerate(specimen.filaments):
        parts += place_filaments(room, ("filaments", i), one, draw(one.kind))
    if gold is not None and gold.places_zyx_A is None:
        beads = place_gold(room, ("gold",), gold, draw("gold"))
    for entry in entries:
        if entry[1].places_zyx_A is None:
            parts += strew_molecules(room, *entry)
    return parts, beads


def _loaded(path: Path, specimen: SpecimenFile, *, at: Callable[[Place], str], seed: int) -> list[Molecule]:
    """Return the molecule of each entry; entries that say the same of a model have the same."""

    @cache
    def load(model: str, assembly: str | None, threshold: float | None, mass_kDa: float | None) -> Molecule:
        return load_molecule(path.parent, model, seed=seed, assembly=assembly, threshold=threshold, mass_kDa=mass_kDa)

    def of(i: int, entry: Molecules) -> Molecule:
        assembly = None if entry.assembly is None else str(entry.assembly)
        try:
            return load(entry.model, assembly, entry.threshold, entry.mass_kDa)
        except (FormatError, InputError) as error:
            raise type(error)(f"{at(('molecules', i, 'model'))}: {error.what}", error.fix) from error

    return [of(i, entry) for i, entry in enumerate(specimen.molecules)]


# What the file says


def _described(path: Path) -> tuple[SpecimenFile, Lines]:
    values, lines = read_yaml(path, _KIND)
    if not isinstance(values, dict):
        known = ", ".join(SpecimenFile.model_fields)
        raise FormatError(
            f"{path}: a specimen is a mapping with some of the keys {known}; this is {what_it_is(values)}.", _SEE
        )
    check_values(path, values, lines)
    try:
        return SpecimenFile.model_validate(values), lines
    except ValidationError as error:
        first = error.errors()[0]
        place = _in_file(first, values)
        where = located(path, line_of(place, lines))
        raise FormatError(f"{where}: {_sentence(first, place)}.", _SEE) from error


def _in_file(error: ErrorDetails, values: dict[Any, Any]) -> Place:
    """Return the place of an error as the file has it: pydantic's has the kind of each union in it, too."""
    place: list[str | int] = []
    here: Any = values
    for part in error["loc"]:
        inside = here if isinstance(here, Mapping) else dict(enumerate(here)) if isinstance(here, list) else {}
        if part in inside:
            here = inside[part]
            place.append(part)
    if error["type"] == "missing":
        place.append(error["loc"][-1])
    if error["type"] == "unknown_field":
        place.append(error["ctx"]["name"].strip("'"))
    return tuple(place)


def _sentence(error: ErrorDetails, place: Place) -> str:
    """Say what is wrong, without a full stop."""
    kind, given = error["type"], error["input"]
    message = error["msg"].removeprefix("Value error, ").removeprefix("Input ")
    field = _dotted(place)
    if kind == "unknown_field":
        owner = f"{_dotted(place[:-1])}: " if place[:-1] else ""
        return f"{owner}{message.rstrip('.')}"
    if kind in ("union_tag_invalid", "union_tag_not_found") and isinstance(given, Mapping):
        known = KINDS[str(place[0])]
        listed = ", ".join(known)
        if kind == "union_tag_not_found":
            return f"{field}.kind is absent; there are {listed}"
        word = str(given["kind"])[:60]
        return f"{field}.kind is {word!r}; there are {listed}.{did_you_mean(word, known)}".rstrip(".")
    if kind in ("model_type", "model_attributes_type", "union_tag_not_found"):
        return f"{field} should be a mapping of fields"
    if kind == "tuple_type":
        return f"{field} should be a list"
    if kind == "missing":
        return f"{field} is absent, and needed"
    shown = (
        f" is {given[:60]!r}" if isinstance(given, str) else f" is {given}" if isinstance(given, float | int) else ""
    )
    return f"{field}{shown}: {message}" if field else message


def _dotted(place: Place) -> str:
    """Return a place as people write it: molecules[0].count, of which the first is 0."""
    return "".join(f"[{part}]" if isinstance(part, int) else f".{part}" for part in place).removeprefix(".")
