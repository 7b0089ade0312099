"""Training through files: what is kept goes on to the same model, and belongs to the tomograms that it learned from."""

import math
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path

import pytest
import torch

from eucentric.core import FormatError, Reporter
from eucentric.io import write_angles
from eucentric.processing.restoration import HalfTomograms, Look, RestoreSettings, Trained
from eucentric.workflow.restoration import training
from eucentric.workflow.restoration.inputs import FilePair, Subject, subject_of_files
from eucentric.workflow.restoration.models import Model, read_model, write_model
from eucentric.workflow.restoration.training import ModelFiles, train_model
from phantoms.half_tomograms import TILTS_DEG, write_pair

SETTINGS = RestoreSettings(method="noise2noise", channels=4, cube_px=32, most_steps=16, look_steps=8, patience=9)
CPU = torch.device("cpu")

pytestmark = pytest.mark.usefixtures("one_thread")


@pytest.fixture(scope="module")
def subject(tmp_path_factory: pytest.TempPathFactory) -> Subject:
    folder = tmp_path_factory.mktemp("halves")
    write_angles(folder / "ts.tlt", TILTS_DEG)
    return subject_of_files(FilePair(*write_pair(folder), folder / "ts.tlt"))


@pytest.fixture(scope="module")
def whole(subject: Subject, tmp_path_factory: pytest.TempPathFactory) -> Model:
    return train_model([subject], SETTINGS, ModelFiles.beside(tmp_path_factory.mktemp("whole") / "a"), device=CPU)


class Heard(Reporter):
    """Keeps what is said."""

    def __init__(self) -> None:
        self.said: list[str] = []

    def say(self, message: str) -> None:
        self.said.append(message)


def steps_of(subjects: Sequence[Subject], settings: RestoreSettings, files: ModelFiles) -> tuple[int, str]:
    """Train by name alone; return at which step that began, -1 where there was nothing to do, and what was said."""
    heard, begun = Heard(), [-1]

    def train(
        pairs: Sequence[HalfTomograms],
        settings: RestoreSettings,
        *,
        resume: Trained | None,
        keep: Callable[[Trained], None],
        device: torch.device,
        reporter: Reporter,
    ) -> Trained:
        assert resume is None or not resume.ended  # what has ended would not go on
        begun[0] = resume.looks[-1].step if resume is not None else 0
        look = Look(step=settings.most_steps, seconds=1, loss=math.nan, held_out=1.0)
        keep(Trained(settings, pairs[0].voxel_A, {}, {"step": look.step}, (look,), "done"))
        return Trained(settings, pairs[0].voxel_A, {}, {"step": look.step}, (look,), "done")

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(training, "train", train)
        train_model(subjects, settings, files, device=CPU, reporter=heard)
    return begun[0], "\n".join(heard.said)


def test_what_was_interrupted_goes_on_to_the_same_model(
    subject: Subject, whole: Model, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    files = ModelFiles.beside(tmp_path / "b")

    def interrupted(path: Path, model: Model) -> None:
        write_model(path, model)
        raise KeyboardInterrupt

    monkeypatch.setattr(training, "write_model", interrupted)
    with pytest.raises(KeyboardInterrupt):
        train_model([subject], SETTINGS, files, device=CPU)
    assert not files.model.exists()
    monkeypatch.setattr(training, "write_model", write_model)
    heard = Heard()
    train_model([subject], SETTINGS, files, device=CPU, reporter=heard)
    assert f"{files.checkpoint}: training goes on from step 8." in heard.said
    model = read_model(files.model)
    assert not model.trained.state
    assert [look.step for look in model.trained.looks] == [8, 16]
    for name, weight in whole.trained.weights.items():
        torch.testing.assert_close(model.trained.weights[name], weight)


def test_a_model_that_is_there_is_trained_further_only_where_more_is_asked_for(
    subject: Subject, tmp_path: Path
) -> None:
    files = ModelFiles.beside(tmp_path / "c")
    less = SETTINGS.replace(most_steps=8)
    assert steps_of([subject], less, files)[0] == 0
    assert steps_of([subject], less, files)[0] == -1
    assert steps_of([subject], SETTINGS, files)[0] == 8
    assert steps_of([subject], less, files)[0] == 0  # what has learned more is not what was asked for
    assert steps_of([subject], less.replace(seed=1), files)[0] == 0
    renamed = replace(subject, pair=replace(subject.pair, name="moved"))
    assert steps_of([renamed], less.replace(seed=1), files)[0] == -1
    two = (replace(subject, pair=replace(subject.pair, voxel_A=11.9)), subject)
    assert steps_of(two, less.replace(seed=1), files)[0] == 0
    assert steps_of([subject], less.replace(seed=1), files)[0] == -1  # one of those that it learned from
    other_tilts = replace(subject, pair=replace(subject.pair, tilts_deg=TILTS_DEG[1:]))
    assert steps_of([other_tilts], less.replace(seed=1), files)[0] == 0


def test_a_damaged_checkpoint_is_told_and_training_begins_anew(subject: Subject, whole: Model, tmp_path: Path) -> None:
    files = ModelFiles.beside(tmp_path / "d")
    write_model(files.checkpoint, whole)
    files.checkpoint.write_bytes(files.checkpoint.read_bytes()[:-500])
    first, said = steps_of([subject], SETTINGS.replace(most_steps=8), files)
    assert (
        first,
        "d_checkpoint.pt: this is not a model of a restoration, or it is damaged. It is made anew." in said,
    ) == (
        0,
        True,
    )


def test_a_model_is_the_same_bytes_and_comes_back_as_it_was(whole: Model, tmp_path: Path) -> None:
    paths = tmp_path / "a.pt", tmp_path / "b.pt"
    for path in paths:
        write_model(path, whole)
    assert paths[0].read_bytes() == paths[1].read_bytes()
    back = read_model(paths[0])
    assert (back.learned, back.trained.settings, back.trained.looks) == (
        whole.learned,
        whole.trained.settings,
        whole.trained.looks,
    )


class Trap:
    def __reduce__(self) -> tuple[object, ...]:
        return (Path.touch, (Path("sprung"),))


@pytest.mark.parametrize("content", [Trap(), {"kind": "another"}, [1, 2], {"kind": "eucentric.restoration"}])
def test_nothing_of_a_foreign_file_is_run(content: object, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    torch.save(content, tmp_path / "m.pt")
    with pytest.raises(FormatError, match=r"m\.pt: this is not a model"):
        read_model(tmp_path / "m.pt")
    assert not (tmp_path / "sprung").exists()
