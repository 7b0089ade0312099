"""Previews of a series that grows: when one is made, what it shows, and what its failure costs."""

from collections.abc import Callable, Iterator
from concurrent.futures import Future
from pathlib import Path
from typing import TypeVar

import numpy as np
import pytest
from numpy.typing import NDArray

from eucentric.core import InputError, Reporter
from eucentric.io import open_mrc, read_angles, write_mrc
from eucentric.io.mdoc import MdocSection, MdocSeries
from eucentric.processing.alignment import prepare_images
from eucentric.processing.reconstruction import ReconstructSettings, reconstruct
from eucentric.session import JournalAddress, RunStatus, Session, read_history
from eucentric.workflow.excluded import EXCLUDED, Excluded
from eucentric.workflow.live.look import small_image
from eucentric.workflow.live.preview import PREVIEW, Preview, PreviewRequest, PreviewStage, run_preview
from eucentric.workflow.live.previews import Previews
from eucentric.workflow.live.records import TaskOutcome
from eucentric.workflow.live.tasks import make_preview
from eucentric.workflow.records import ProcessSettings
from phantoms.series import WrittenPhantom

A = TypeVar("A")
R = TypeVar("R")
NAME = "TS_1"


class Waiting:
    """A crew that is given tasks, and does none until told."""

    host, size = "127.0.0.1", 2

    def __init__(self) -> None:
        self.asked: list[PreviewRequest] = []
        self.futures: list[Future[TaskOutcome]] = []

    def submit(self, task: Callable[[A], R], request: A, *, urgent: bool = False) -> "Future[R]":
        assert not urgent
        assert isinstance(request, PreviewRequest)
        future: Future[R] = Future()
        self.asked.append(request)
        self.futures.append(future)  # type: ignore[arg-type]
        return future

    def close(self) -> None:
        pass

    def ends(self, reason: str = "") -> None:
        self.futures[-1].set_result(TaskOutcome(reason=reason, again=bool(reason)))


class Says(Reporter):
    """Keeps what is said."""

    def __init__(self) -> None:
        self.lines: list[str] = []

    def say(self, message: str) -> None:
        self.lines.append(message)


class Growing:
    """A series of which looks leave files, and what has previews made of it."""

    def __init__(self, session: Session, address: JournalAddress, tilts_deg: list[float], axis: float | None) -> None:
        self.session, self.address, self.crew, self.says = session, address, Waiting(), Says()
        self.previews = Previews(
            session,
            address,
            self.crew,
            ProcessSettings(),
            device="cpu",
            reporter=self.says,
            when_done=lambda future, told: future.add_done_callback(lambda done: told(done.result())),
        )
        sections = [MdocSection(z_value=i, order=i, tilt_deg=tilt) for i, tilt in enumerate(tilts_deg)]
        self.facts = MdocSeries(order_known=True, sections=tuple(sections), tilt_axis_deg=axis)

    def looked_at(self, tilts: int, *, without: tuple[int, ...] = ()) -> bool:
        """Have so many tilts looked at, and see whether a preview is sent for."""
        for section in set(range(tilts)) - set(without):
            path = small_image(self.session.series_folder(NAME), section)
            path.parent.mkdir(exist_ok=True)
            path.touch()
        return self.previews.send(NAME, self.facts, range(tilts))


Start = Callable[..., Growing]


@pytest.fixture
def start(tmp_path: Path) -> Iterator[Start]:
    """Give what begins to watch a series of tilts ``0, 3, -3, ...``; again, it is as after a restart."""
    tilts_deg = [3.0 * ((i + 1) // 2) * (-1) ** (i + 1) for i in range(41)]
    with Session.create_or_open(tmp_path / "session") as session, session.served() as server:
        yield lambda axis=84.0, step=1.0: Growing(session, server.address, [step * tilt for tilt in tilts_deg], axis)


def test_one_is_made_of_enough_tilts_and_again_of_a_third_more(start: Start) -> None:
    series = start()
    made_of = []
    for tilts in range(1, 42):
        if series.looked_at(tilts):
            made_of.append(tilts)
            series.crew.ends()
    assert made_of == [11, 15, 20, 27, 36]  # eleven of them span 30°
    assert [len(request.stage.sections) for request in series.crew.asked] == made_of
    assert series.crew.asked[0].stage.tilts_deg == tuple(tilt.tilt_deg for tilt in series.facts.sections[:11])
    assert series.says.lines[0] == "TS_1: preview from 11 tilts."


def test_a_wide_step_needs_nine_and_an_axis_that_nobody_tells_a_wider_span(start: Start) -> None:
    assert not start(step=2).looked_at(8)
    assert start(step=2).looked_at(9)
    assert not start(axis=None).looked_at(20)
    assert start(axis=None).looked_at(21)


def test_one_at_a_time_and_none_once_there_is_a_tomogram(start: Start) -> None:
    series = start()
    assert series.looked_at(11)
    assert not series.looked_at(30)  # as long as the first is under way
    assert series.previews.under_way == 1
    series.crew.ends()
    assert series.looked_at(30)
    series.crew.ends()
    (series.session.series_folder(NAME) / "tomogram.mrc").touch()
    assert not series.looked_at(41)


def test_tilts_whose_look_failed_do_not_count(start: Start) -> None:
    series = start()
    assert not series.looked_at(11, without=(3, 4, 5))
    assert series.looked_at(12, without=(3, 4, 5))
    assert series.crew.asked[0].stage.sections == (0, 1, 2, 6, 7, 8, 9, 10, 11)


def test_tilts_that_are_excluded_do_not_count(start: Start) -> None:
    series = start()
    excluded = series.session.series_folder(NAME) / EXCLUDED
    excluded.write_text(Excluded(reasons={3: "drift", 4: "drift", 5: "blank"}).model_dump_json())
    assert not series.looked_at(11)
    assert series.looked_at(12)
    assert series.crew.asked[0].stage.sections == (0, 1, 2, 6, 7, 8, 9, 10, 11)
    series.crew.ends()
    excluded.write_text("torn")
    assert series.looked_at(13)


def test_one_that_is_lost_is_told_in_a_line_and_not_tried_again(start: Start) -> None:
    series = start()
    assert series.looked_at(11)
    series.crew.ends("its worker was lost: killed.")
    assert series.says.lines == ["TS_1: no preview from 11 tilts: its worker was lost: killed."]
    assert not any(series.looked_at(tilts) for tilts in (11, 12, 13, 14))
    assert series.looked_at(15)


def test_after_a_restart_none_is_repeated_even_if_it_was_cut_off(start: Start) -> None:
    series = start()
    assert series.looked_at(11)
    # Empty images: that it fails is as good as that it was killed, the journal has what it was begun with.
    outcome = make_preview(series.crew.asked[0])
    assert small_image(Path(), 0).name in outcome.reason
    again = start()
    assert not again.looked_at(11)
    assert not again.looked_at(14)
    assert again.looked_at(15)


def test_a_preview_shows_the_specimen(phantom: WrittenPhantom, start: Start) -> None:
    series, axis_deg = start(), 84.3
    session = series.session
    folder, stack, tilts_deg = session.series_folder(NAME), open_mrc(phantom.stack), read_angles(phantom.angles)
    sections = tuple(sorted(np.argsort(np.abs(tilts_deg), kind="stable")[:13].tolist()))  # to ±36°
    for section in sections:
        write_mrc(small_image(folder, section), stack.data[section][None], 53.0, kind="stack")
    stage = PreviewStage(
        sections=sections, tilts_deg=tuple(tilts_deg[section] for section in sections), nominal_axis_deg=axis_deg
    )
    request = PreviewRequest(journal=series.address, series=NAME, stage=stage)
    run_preview(session, request)
    run_preview(session, request)  # is there already
    (run,) = read_history(session.folder)
    assert (run.stage, run.status) == (PREVIEW, RunStatus.FINISHED)
    assert (
        run.metrics["preview_tilts"] == Preview.model_validate_json((folder / "preview.json").read_text()).tilts == 13
    )
    assert (folder / "preview.jpg").read_bytes().startswith(b"\xff\xd8")

    shown = np.asarray(open_mrc(folder / "preview.mrc").data)
    truth = phantom.truth
    prepared = prepare_images(stack.data, tilts_deg)
    settings = ReconstructSettings(thickness_A=53.0 * len(shown), weighting="radial-sirt", iterations=10)
    best = _likeness(shown, reconstruct(prepared.images, truth, settings).full().numpy())
    unaligned = truth.replace(tilts=tuple(tilt.replace(shift_yx_A=(0.0, 0.0)) for tilt in truth.tilts))
    worse = _likeness(shown, reconstruct(prepared.images, unaligned, settings).full().numpy())
    assert best > 0.6
    assert best > worse + 0.2

    write_mrc(small_image(folder, sections[0]), np.ones((1, 48, 96), np.float32), 53.0, kind="stack")
    with pytest.raises(InputError, match="not of the size"):
        run_preview(session, request)
    assert (np.asarray(open_mrc(folder / "preview.mrc").data) == shown).all()  # what was there still is


def _likeness(one: NDArray[np.float32], other: NDArray[np.float32]) -> float:
    """Return the correlation of two volumes when one is moved, by whole voxels, to where it is highest."""
    a, b = ((volume - volume.mean()) / volume.std() for volume in (one, other))
    product = np.fft.rfftn(a) * np.fft.rfftn(b).conj()
    return float(np.fft.irfftn(product, a.shape, (0, 1, 2)).max() / a.size)
