"""Models of a restoration as files: whole or not at all, and read without running anything that is in them."""

import io
import pickle
import warnings
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from pydantic import ValidationError

from eucentric.core import FormatError, InputError, Record, whole_or_nothing
from eucentric.processing.restoration import Look, RestoreSettings, Trained
from eucentric.workflow.restoration.gain import ViewsGain

_KIND, _VERSION = "eucentric.restoration", 1


class Learned(Record):
    """What a model learned from one tomogram: its name, its halves by their content, and how they saw the specimen."""

    name: str
    even_sha256: str
    odd_sha256: str
    voxel_A: float
    tilts_deg: tuple[float, ...]
    gain: ViewsGain | None
    even_views: tuple[int, ...] | None = None


@dataclass(frozen=True)
class Model:
    """A model, whole or as far as it has come, and what it learned from."""

    trained: Trained
    learned: tuple[Learned, ...]

    def learned_from(self, learned: Sequence[Learned]) -> bool:
        """Whether it was these tomograms and no other, whatever they were called then."""
        return _contents(self.learned) == _contents(learned)

    def knows(self, learned: Sequence[Learned]) -> bool:
        """Whether these tomograms are among those that it learned from."""
        return set(_contents(learned)) <= set(_contents(self.learned))


def _contents(learned: Sequence[Learned]) -> list[str]:
    return [one.replace(name="").model_dump_json() for one in learned]


def write_model(path: Path, model: Model) -> None:
    """Write a model; the same one gives the same bytes.

    Raises
    ------
    OutputError
        If it cannot be written; what stood there before still stands there.
    """
    trained, content = model.trained, io.BytesIO()
    file = {
        "kind": _KIND,
        "version": _VERSION,
        "settings": trained.settings.model_dump_json(),
        "voxel_A": trained.voxel_A,
        "weights": {name: weight.detach().cpu() for name, weight in trained.weights.items()},
        "state": dict(trained.state),
        "looks": [look.model_dump_json() for look in trained.looks],
        "ended": trained.ended,
        "learned": [one.model_dump_json() for one in model.learned],
    }
    torch.save(file, content)  # not into the file: it would write the file's name, and that is a temporary one
    with whole_or_nothing(path) as partial:
        partial.write_bytes(content.getvalue())


def read_model(path: Path) -> Model:
    """Read a model, onto the CPU.

    Raises
    ------
    InputError
        If the file cannot be opened.
    FormatError
        If it is no model of ours, or of another version.
    """
    fix = "Name a model that `eucentric restore` wrote, or train one anew."
    try:
        content = path.read_bytes()
    except OSError as error:
        raise InputError(f"{path}: this model cannot be opened ({error.strerror}).", "Check --model.") from error
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # torch's, of files that are none of its own
            file = torch.load(io.BytesIO(content), map_location="cpu", weights_only=True)
        if file["kind"] != _KIND:
            raise FormatError(f"{path}: this is not a model of a restoration.", fix)
        if file["version"] != _VERSION:
            raise FormatError(f"{path}: this model is of version {file['version']}, and {_VERSION} is read.", fix)
        return _model(file)
    except _UNREADABLE as error:
        raise FormatError(f"{path}: this is not a model of a restoration, or it is damaged.", fix) from error


_UNREADABLE = (
    pickle.UnpicklingError,
    ValidationError,
    RuntimeError,
    EOFError,
    ValueError,
    LookupError,
    TypeError,
    AttributeError,
)
"""What `torch.load` raises of bytes that it did not write, and `_model` of others."""


def _model(file: Mapping[str, Any]) -> Model:
    weights, state = dict(file["weights"]), dict(file["state"])
    if not all(isinstance(weight, torch.Tensor) for weight in weights.values()):
        raise TypeError("weights must be tensors")
    trained = Trained(
        settings=RestoreSettings.model_validate_json(file["settings"]),
        voxel_A=float(file["voxel_A"]),
        weights=weights,
        state=state,
        looks=tuple(Look.model_validate_json(look) for look in file["looks"]),
        ended=str(file["ended"]),
    )
    return Model(trained, tuple(Learned.model_validate_json(one) for one in file["learned"]))
