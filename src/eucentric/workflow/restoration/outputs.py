"""What a restoration leaves of one tomogram: four volumes, what of them is measured, and a page."""

import time
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

import torch

from eucentric.core import SILENT, OutputError, Record, Reporter, write_text
from eucentric.io import write_mrc
from eucentric.processing.restoration import Examination, examine, restore
from eucentric.report import RestorationShown, write_restoration_report
from eucentric.workflow.restoration.inputs import Subject
from eucentric.workflow.restoration.models import Model
from eucentric.workflow.restoration.training import enough_memory
from eucentric.workflow.stages import read_record

_LABELS = {
    "": "Restored by Eucentric",
    "_sigma": "Standard deviation of what Eucentric restored",
    "_even": "Restored by Eucentric from the even half alone",
    "_odd": "Restored by Eucentric from the odd half alone",
}
"""The MRC label of a volume by what its file's name ends in."""


class RestoredSeries(Record):
    """What became of a pair: its files, whether they were made now, and what the data say of them.

    `supported_A` and `missing_share` are those of `Examination`.
    """

    name: str
    files: tuple[Path, ...]
    report: Path
    ran: bool
    supported_A: float | None
    missing_share: float


@dataclass(frozen=True)
class RestoredFiles:
    """Where what is restored of one tomogram goes: names that begin with that of `prefix`."""

    prefix: Path

    def named(self, ending: str) -> Path:
        """Return the file whose name ends so."""
        return self.prefix.with_name(self.prefix.name + ending)

    @property
    def every(self) -> tuple[Path, ...]:
        """All of them: volumes, what of them is measured, and the page."""
        return (*(self.named(f"{part}.mrc") for part in _LABELS), self.named(".json"), self.named(".html"))

    def outcome(self, name: str, *, ran: bool) -> RestoredSeries:
        """Return what became of a pair, as its files tell.

        Raises
        ------
        FormatError
            If what is measured is told by another version.
        """
        found = read_record(self.named(".json"), Examination)
        return RestoredSeries(
            name=name,
            files=self.every,
            report=self.named(".html"),
            ran=ran,
            supported_A=found.supported_A,
            missing_share=found.missing_share,
        )


def restore_one(
    subject: Subject, model: Model, files: RestoredFiles, *, device: torch.device, reporter: Reporter = SILENT
) -> Examination:
    """Restore a pair by a model, and write what comes of it.

    Raises
    ------
    InputError
        If the pair cannot be restored, or memory does not hold it.
    OutputError
        If a file cannot be written; each that stands there is whole.
    """
    begun, trained = time.monotonic(), model.trained
    with enough_memory(subject.name):
        restored = restore(subject.pair, trained, device=device, reporter=reporter)
        examination = examine(subject.pair, restored)
    volumes = {"": restored.full, "_sigma": restored.sigma, "_even": restored.even, "_odd": restored.odd}
    for part, label in _LABELS.items():
        write_mrc(files.named(f"{part}.mrc"), volumes[part], restored.voxel_A, kind="volume", label=label)
    write_text(files.named(".json"), examination.model_dump_json(indent=1) + "\n")
    taken = {"restoration": time.monotonic() - begun}
    if trained.looks:
        taken = {"training": trained.looks[-1].seconds, **taken}
    shown = RestorationShown(
        pair=subject.pair,
        restored=restored,
        trained=trained,
        examination=examination,
        learned_from=tuple(one.name for one in model.learned),
        timings=taken,
        inputs=_inputs(subject, model),
    )
    write_restoration_report(files.named(".html"), shown, reporter)
    return examination


def refuse_to_replace(outputs: Iterable[Path], inputs: Iterable[Path]) -> None:
    """Refuse, before any work, outputs that would replace what is read, or that are folders.

    Raises
    ------
    OutputError
        If there is one.
    """
    read = {path.resolve() for path in inputs}
    for path in outputs:
        if path.resolve() in read:
            raise OutputError(
                f"{path}: this is an input, and would be replaced; nothing was done.", "Choose another --output."
            )
        if path.is_dir():
            raise OutputError(f"{path}: this is a folder; nothing was done.", "Choose another --output.")


def _inputs(subject: Subject, model: Model) -> tuple[tuple[str, str], ...]:
    """Return the files that were read, with their digests where training took them."""
    of = next((one for one in model.learned if one.name == subject.name), None)
    digests = (of.even_sha256, of.odd_sha256, "") if of else ("", "", "")
    files = (subject.even, subject.odd, subject.tilts)
    return tuple((str(path), digest) for path, digest in zip(files, digests, strict=True))
