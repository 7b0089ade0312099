"""What the page of a restoration is made from."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime

from eucentric.core import InputError
from eucentric.processing.restoration import Examination, HalfTomograms, Restored, Trained


@dataclass(frozen=True)
class RestorationShown:
    """Everything that the page of a restoration shows.

    Memory-mapped volumes do: only what is drawn of them is read. `learned_from` names the tomograms that the model
    was trained on; without names it is this one. `timings` holds the seconds of each stage, `inputs` each input file
    with its digest (empty where not taken).

    Raises
    ------
    InputError
        If the volumes are not all of one shape.
    """

    pair: HalfTomograms
    restored: Restored
    trained: Trained
    examination: Examination
    learned_from: tuple[str, ...] = ()
    timings: Mapping[str, float] = field(default_factory=dict)
    warnings: tuple[str, ...] = ()
    inputs: tuple[tuple[str, str], ...] = ()
    written: datetime | None = None

    def __post_init__(self) -> None:
        """Refuse volumes that do not belong together."""
        shapes = {"restored tomogram": self.restored.full.shape, "uncertainty": self.restored.sigma.shape}
        for name, shape in shapes.items():
            if shape != self.pair.shape:
                raise InputError(
                    f"{self.pair.name}: the {name} is of {shape} voxels, the halves of {self.pair.shape}; "
                    "no report was written.",
                    "Restore these halves again.",
                )
