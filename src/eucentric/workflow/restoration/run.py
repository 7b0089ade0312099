"""Restoration of half tomograms, of a session's series or of files: one model for all, then each by itself."""

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TypeVar, get_args

import torch

from eucentric.core import SILENT, EucentricError, InputError, Record, Reporter
from eucentric.processing.restoration import SAME_VOXEL, Method, RestoreSettings, check_halves, split_views
from eucentric.session import Session, StageRun
from eucentric.workflow.restoration.gain import ViewsGain
from eucentric.workflow.restoration.inputs import (
    FilePair,
    Subject,
    series_with_halves,
    subject_of_files,
    subject_of_series,
)
from eucentric.workflow.restoration.models import Model, read_model
from eucentric.workflow.restoration.outputs import RestoredFiles, RestoredSeries, refuse_to_replace, restore_one
from eucentric.workflow.restoration.training import ModelFiles, train_model
from eucentric.workflow.stages import Stages

T = TypeVar("T")
R = TypeVar("R")
Restore = Callable[[Subject, Model, Path], RestoredSeries]

# Raised whenever the code gives other results, so that what was restored before is outdated.
VERSIONS = {f"restore_{method}": 3 for method in get_args(Method)}


class RestoreStage(Record):
    """All that a restored tomogram depends on besides the halves, the alignment and the model."""

    settings: RestoreSettings
    gain: ViewsGain | None


class RestoreOutcome(Record):
    """What became of all pairs; `failed` says by name why one could not be restored.

    `model` is the file that was used, trained for `steps`, and `ended` says why for no more.
    """

    method: Method
    model: Path
    steps: int
    ended: str
    series: tuple[RestoredSeries, ...]
    failed: dict[str, str]


@dataclass(frozen=True)
class Restoring:
    """How to restore, by a model that is `applied` or else by one that is trained; and where to say how it goes."""

    settings: RestoreSettings
    device: torch.device
    applied: Path | None = None
    reporter: Reporter = SILENT


def restore_session(session: Session, series: Sequence[str], how: Restoring) -> RestoreOutcome:
    """Restore series of a session; what this model restored before, and still stands, is left as it is.

    Parameters
    ----------
    session
        With series that were processed.
    series
        Their names; all that have half tomograms if none is given.
    how
        By which settings or model.

    Raises
    ------
    InputError
        If no series can be restored, or the model cannot be read.
    OutputError
        If a model cannot be written.
    """
    work = _Work(ModelFiles.of_session(session.folder, how.settings.method), how)
    chosen = ((name, name) for name in _chosen(session, series))
    subjects = work.each(chosen, lambda name: subject_of_series(session, name))

    def one(subject: Subject, model: Model, path: Path) -> RestoredSeries:
        method = model.trained.settings.method
        stages = Stages(session, subject.name, VERSIONS, how.reporter)
        files = RestoredFiles(stages.folder / f"restored_{method}")

        def restored(run: StageRun) -> None:
            found = restore_one(subject, model, files, device=how.device, reporter=how.reporter)
            for written in files.every:
                run.output(written)
            run.metric("supported_A", found.supported_A)
            run.metric("missing_share", found.missing_share)

        settings = RestoreStage(settings=model.trained.settings, gain=subject.gain)
        stages.run(f"restore_{method}", settings, (subject.even, subject.odd, subject.tilts, path), restored)
        return files.outcome(subject.name, ran=stages.outcomes[-1].ran)

    return work.restore(subjects, one)


def restore_files(
    pairs: Sequence[FilePair], prefix: Path, how: Restoring, *, voxel_A: float | None = None
) -> RestoreOutcome:
    """Restore pairs of files, to files whose names begin with that of `prefix`, and with _1, _2 where there are more.

    Parameters
    ----------
    pairs
        Each even half once.
    prefix
        Folder, and what names begin with.
    how
        By which settings or model.
    voxel_A
        In place of what the files say.

    Raises
    ------
    InputError
        If no pair can be restored, or the model cannot be read.
    OutputError
        If a model cannot be written, or a file would replace one that is read.
    """
    model_at = ModelFiles.beside(prefix)
    numbers = [f"_{number}" for number in range(1, len(pairs) + 1)] if len(pairs) > 1 else [""]
    files = {
        pair.even: RestoredFiles(prefix.with_name(prefix.name + number))
        for pair, number in zip(pairs, numbers, strict=True)
    }
    written = [path for one in files.values() for path in one.every]
    inputs = [path for pair in pairs for path in (pair.even, pair.odd, pair.tilts)]
    refuse_to_replace([*written, model_at.model, model_at.checkpoint], inputs)
    work = _Work(model_at, how)
    subjects = work.each(((str(pair.even), pair) for pair in pairs), lambda pair: subject_of_files(pair, voxel_A))

    def one(subject: Subject, model: Model, _: Path) -> RestoredSeries:
        restore_one(subject, model, files[subject.even], device=how.device, reporter=how.reporter)
        return files[subject.even].outcome(subject.name, ran=True)

    return work.restore(subjects, one)


class _Work:
    """Pairs on their way: one that fails is told of, and stops no other."""

    def __init__(self, files: ModelFiles, how: Restoring) -> None:
        self._files, self._how = files, how
        self._failed: dict[str, EucentricError] = {}
        self._told: set[str] = set()

    def restore(self, subjects: Sequence[Subject], one: Restore) -> RestoreOutcome:
        """Get the model, and do what is to be done with `one` pair after the other."""
        model_at = self._how.applied or self._files.model
        model = read_model(model_at) if self._how.applied is not None else None
        good = self.each(((subject.name, subject) for subject in subjects), self._checked)
        if not good:
            raise self._none_left()
        if model is None:
            first = good[0]
            good = self.each(((subject.name, subject) for subject in good), lambda subject: _alike(subject, first))
            self._tell()
            model = train_model(
                good, self._how.settings, self._files, device=self._how.device, reporter=self._how.reporter
            )
        whole = model
        done = self.each(((subject.name, subject) for subject in good), lambda subject: one(subject, whole, model_at))
        self._tell()
        trained = model.trained
        return RestoreOutcome(
            method=trained.settings.method,
            model=model_at,
            steps=trained.looks[-1].step if trained.looks else 0,
            ended=trained.ended,
            series=tuple(done),
            failed={name: str(error) for name, error in self._failed.items()},
        )

    def _checked(self, subject: Subject) -> Subject:
        """Refuse what nothing can be learned from, and see of what the halves are."""
        check_halves(subject.pair)
        views = split_views(subject.pair)
        if views is not None:
            self._how.reporter.say(
                f"{subject.name}: its halves are of tilts, {len(views)} in the even one, of which little is learned. "
                "Better ones are made of movies, or by `eucentric process --halves counts` of a stack as recorded."
            )
        return replace(subject, pair=replace(subject.pair, even_views=views))

    def each(self, items: Iterable[tuple[str, T]], work: Callable[[T], R]) -> list[R]:
        """Return what comes of each item, but for those that fail."""
        found = []
        for name, item in items:
            try:
                found.append(work(item))
            except EucentricError as error:
                self._failed[name] = error
        return found

    def _tell(self) -> None:
        """Say what failed since this was last said."""
        for name in [name for name in self._failed if name not in self._told]:
            self._told.add(name)
            self._how.reporter.say(f"{name} is not restored. {self._failed[name]}")

    def _none_left(self) -> EucentricError:
        errors = list(self._failed.values())
        if len(errors) == 1:
            return errors[0]
        return InputError(f"None of these can be restored. {' '.join(map(str, errors))}")


def _alike(subject: Subject, first: Subject) -> Subject:
    """Refuse voxels of another size than the first tomogram's: one model cannot learn from both."""
    here_A, there_A = subject.pair.voxel_A, first.pair.voxel_A
    if abs(here_A / there_A - 1) > SAME_VOXEL:
        raise InputError(
            f"{subject.name}: its voxels are {here_A:g} Å, and those of {first.name} {there_A:g} Å.",
            "One model cannot learn from both: restore it by itself.",
        )
    return subject


def _chosen(session: Session, series: Sequence[str]) -> tuple[str, ...]:
    """Return the names that are asked for, each once, or all that have halves."""
    there = series_with_halves(session)
    if not series and not there:
        raise InputError(
            f"{session.folder}: no series in it has half tomograms.", f"Run `eucentric process {session.folder}` first."
        )
    for name in series:
        if not (session.folder / "series" / name).is_dir():
            raise InputError(
                f"{session.folder}: there is no series {name} in it.",
                f"There are {', '.join(there) or 'none'}.",
            )
    return tuple(dict.fromkeys(series)) or there
