"""Training of a model through files: a checkpoint at each look, from which the same training goes on after a kill."""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Self

import torch

from eucentric.core import SILENT, EucentricError, InputError, Reporter
from eucentric.processing.restoration import Method, RestoreSettings, Trained, train
from eucentric.session.fingerprints import sha256
from eucentric.workflow.restoration.inputs import Subject
from eucentric.workflow.restoration.models import Learned, Model, read_model, write_model


@dataclass(frozen=True)
class ModelFiles:
    """Where a model goes, and where it is kept while it is trained.

    The checkpoint stays when training has ended: with more steps or minutes it goes on.
    """

    model: Path
    checkpoint: Path

    @classmethod
    def of_session(cls, session: Path, method: Method) -> Self:
        """Return those of a session's series."""
        folder = session / "restoration" / method
        return cls(folder / "model.pt", folder / "checkpoint.pt")

    @classmethod
    def beside(cls, prefix: Path) -> Self:
        """Return those whose names begin with that of `prefix`."""
        return cls(prefix.with_name(f"{prefix.name}_model.pt"), prefix.with_name(f"{prefix.name}_checkpoint.pt"))


def train_model(
    subjects: Sequence[Subject],
    settings: RestoreSettings,
    files: ModelFiles,
    *,
    device: torch.device,
    reporter: Reporter = SILENT,
) -> Model:
    """Train one model on all tomograms unless one knows them already; go on from a checkpoint of the same training.

    A checkpoint is of the same training if it learned from the same halves, in this order, with the same settings; it
    may have been given fewer steps or less time.

    Raises
    ------
    InputError
        If nothing can be learned from a tomogram, or memory does not hold the work.
    OutputError
        If model or checkpoint cannot be written.
    """
    learned = tuple(_learned(subject, reporter) for subject in subjects)
    there = _there(files.model, reporter)
    if there is not None and there.trained.settings == settings and there.knows(learned):
        reporter.say(f"{files.model}: this model has learned from these tomograms already.")
        return there
    begun = _begun(files.checkpoint, learned, settings, reporter)
    with enough_memory("Training"):
        trained = train(
            [subject.pair for subject in subjects],
            settings,
            resume=begun,
            keep=lambda so_far: write_model(files.checkpoint, Model(so_far, learned)),
            device=device,
            reporter=reporter,
        )
    model = Model(replace(trained, state={}), learned)
    write_model(files.model, model)
    reporter.say(f"{files.model}: trained; {trained.ended}.")
    return model


@contextmanager
def enough_memory(what: str) -> Iterator[None]:
    """Say what would help where memory runs out."""
    try:
        yield
    except (MemoryError, RuntimeError) as error:
        # On the CPU torch has no class of its own for this.
        if isinstance(error, MemoryError | torch.OutOfMemoryError) or "allocate memory" in str(error):
            raise InputError(
                f"{what}: there is not enough memory for volumes and a network as large as these.",
                "Reconstruct with a larger --bin, choose a smaller --channels or --cube, or another --device.",
            ) from error
        raise


def _learned(subject: Subject, reporter: Reporter) -> Learned:
    try:
        hashes = [sha256(path, reporter) for path in (subject.even, subject.odd)]
    except OSError as error:
        raise InputError(f"{subject.name}: its halves cannot be read ({error.strerror}).") from error
    return Learned(
        name=subject.name,
        even_sha256=hashes[0],
        odd_sha256=hashes[1],
        voxel_A=subject.pair.voxel_A,
        tilts_deg=subject.pair.tilts_deg,
        gain=subject.gain,
        even_views=subject.pair.even_views,
    )


def _there(path: Path, reporter: Reporter) -> Model | None:
    """Return the model of a file, if there is one; of a damaged one, say so."""
    if not path.is_file():
        return None
    try:
        return read_model(path)
    except EucentricError as error:
        reporter.say(f"{error.what} It is made anew.")
        return None


def _begun(path: Path, learned: Sequence[Learned], settings: RestoreSettings, reporter: Reporter) -> Trained | None:
    model = _there(path, reporter)
    if model is None or not model.learned_from(learned) or not _goes_on(model.trained.settings, settings):
        return None
    trained = model.trained
    if trained.settings != settings:  # it ended where it had been told to end
        trained = replace(trained, settings=settings, ended="")
    step = trained.looks[-1].step if trained.looks else 0
    reporter.say(f"{path}: training goes on from step {step}.")
    return trained


def _goes_on(before: RestoreSettings, now: RestoreSettings) -> bool:
    """Whether a training was as it would be now, but for an end that was to come earlier."""
    if before.replace(minutes=now.minutes, most_steps=now.most_steps) != now:
        return False
    longer = now.minutes is None or (before.minutes is not None and before.minutes <= now.minutes)
    return longer and before.most_steps <= now.most_steps
