"""What an acquisition leaves, on the session page: tilts of a growing .mdoc, pictures made as they are asked for."""

import asyncio
import io
import os
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from datetime import datetime, timedelta
from pathlib import Path

import httpx
import numpy as np
import pytest
from fastapi import FastAPI
from numpy.typing import NDArray
from PIL import Image
from starlette.responses import Response

from eucentric.acquisition.past import details_of
from eucentric.acquisition.series_files import SeriesFiles, SeriesImage
from eucentric.io import write_mrc
from eucentric.io.movies import write_movie
from eucentric.microscope import Readback, StagePosition
from eucentric.session import ExposureBook, Intent, Session
from eucentric.web.served import NotServedError
from eucentric.web.session.model import SessionModel
from eucentric.web.session.pictures import Pictures
from eucentric.web.session.records import SeriesView, TiltView
from eucentric.web.session.routes import add_routes
from eucentric.workflow.live import SeriesState

Get = Callable[[str], httpx.Response]

SERIES, SHAPE_YX, PIXEL_A = "TS_001", (40, 60), 10.0
TILTS_DEG = (0.0, 3.0, -3.0)
BEGAN = datetime(2026, 11, 29, 12, 0, 0)


@pytest.fixture
def session(tmp_path: Path) -> Iterator[Session]:
    with Session.create_or_open(tmp_path / "session") as session:
        (session.folder / "frames").mkdir()
        yield session


@pytest.fixture
def get(session: Session) -> Get:
    """Ask the routes, without a server."""
    app = FastAPI()
    add_routes(app, session.folder)
    app.add_exception_handler(NotServedError, lambda *_: Response(status_code=404))

    async def ask(path: str) -> httpx.Response:
        async with httpx.AsyncClient(transport=httpx.ASGITransport(app), base_url="http://test") as client:
            return await client.get(path)

    def get(path: str) -> httpx.Response:
        with ThreadPoolExecutor(1) as aside:  # a browser's tests may have a loop running here
            return aside.submit(asyncio.run, ask(path)).result()

    return get


def frames(bright: str = "top") -> NDArray[np.uint8]:
    """Return a movie, one half of whose pictures is brighter, rows upward."""
    pixels = np.full((4, *SHAPE_YX), 3, np.uint8)
    half = SHAPE_YX[0] // 2
    pixels[:, half:] += 9 * (bright == "top")
    pixels[:, :half] += 9 * (bright == "bottom")
    return pixels


def expose(session: Session, order: int, *, settled: bool = True) -> Path:
    """Note an exposure as the engine does, and write its movie."""
    movie = session.folder / "frames" / f"{SERIES}_{order:03d}.tif"
    book = ExposureBook(session)
    said = details_of(movie.name, frames().shape, readback(order), 3e4)
    number = book.intend(Intent(target=SERIES, order=order, tilt_deg=TILTS_DEG[order], exposure_e_A2=3.0))
    book.delivered(number, SERIES, exposure_e_A2=3.1, tilt_deg=TILTS_DEG[order], **said)
    write_movie(movie, frames(), PIXEL_A)
    if settled:
        long_ago(movie)
    body = {"order": order, "counts_share": 0.9, "wanted_defocus_A": 3e4}
    placed = {"predicted_yx_A": [100.0, 0.0], "measured_yx_A": [130.0, 40.0]}
    session.note("acquisition.exposed", body | placed, series=SERIES)
    return movie


def readback(order: int) -> Readback:
    return Readback(
        purpose="record",
        stage=StagePosition(tilt_deg=TILTS_DEG[order]),
        image_shift_yx_A=(3000.0, 4000.0),
        defocus_A=3.5e4,
        exposure_e_A2=3.1,
        dose_rate_e_px_s=10,
        began=BEGAN + timedelta(seconds=40 * order),
        seconds=1.5,
        counts_min=0,
        counts_max=20,
        counts_mean=8,
    )


def write_mdoc(session: Session, n: int) -> SeriesFiles:
    """Write the .mdoc of the first `n` tilts, as a script or a simulation leaves it."""
    files = SeriesFiles(
        name=SERIES, folder=session.folder, pixel_A=PIXEL_A, shape_yx=SHAPE_YX, voltage_kV=300, began=BEGAN
    )
    images = [
        SeriesImage(
            movie=f"{SERIES}_{order:03d}.tif",
            frames=4,
            readback=readback(order),
            target_defocus_A=3e4,
            pre_exposure_e_A2=3.1 * order,
        )
        for order in range(n)
    ]
    files.write_mdoc(images)
    return files


def write_stack(files: SeriesFiles, n: int) -> None:
    """Write the stack as it grows: in its place, the sections before as they were."""
    new = files.stack.with_name("new.mrc")
    write_mrc(new, np.repeat(frames()[:1].astype(np.int16), n, axis=0), PIXEL_A, kind="stack", label="Test")
    files.stack.touch()
    files.stack.write_bytes(new.read_bytes())
    new.unlink()


def long_ago(path: Path) -> None:
    os.utime(path, (1e9, 1e9))


def seen(model: SessionModel) -> SeriesView:
    model.advance(SERIES)
    return model.series[SERIES]


def picture_of(get: Get, tilt: TiltView) -> NDArray[np.float64]:
    assert tilt.picture is not None
    answer = get(tilt.picture)
    assert answer.headers["content-type"] == "image/jpeg"
    return np.asarray(Image.open(io.BytesIO(answer.content)), float)


def test_an_acquisition_is_shown_with_pictures_and_what_the_engine_noted(session: Session, get: Get) -> None:
    session.note("acquisition.started", {"steps": 3, "targets": [SERIES]})
    expose(session, 0)
    expose(session, 1)
    view = seen(SessionModel(session.folder))
    first, second = view.tilts
    grey = picture_of(get, second)
    assert grey.shape == SHAPE_YX
    assert grey[:10].mean() > grey[-10:].mean() + 100  # rows of our arrays go upward, those of pictures down
    assert (first.shutter_s, first.since_last_s, second.since_last_s) == (1.5, None, 40.0)
    assert second.lens_defocus_A == 3.5e4
    assert second.image_shift_A == pytest.approx(5000)
    assert second.miss_A == pytest.approx(50)
    assert second.received_e_A2 == pytest.approx(6.2)


def test_a_movie_that_is_being_written_has_no_picture_yet(session: Session, get: Get) -> None:
    session.note("acquisition.started", {"steps": 3, "targets": [SERIES]})
    session.note("acquisition.series", {}, series=SERIES)
    model = SessionModel(session.folder)
    assert seen(model).state is SeriesState.QUEUED
    movie = expose(session, 0, settled=False)
    assert seen(model).tilts[0].picture is None
    whole = movie.read_bytes()
    movie.write_bytes(whole[: len(whole) // 2])  # it lies still for a while, half-written
    long_ago(movie)
    torn = seen(model).tilts[0].picture
    assert torn is not None
    answer = get(torn)
    assert (answer.status_code, answer.headers["content-type"]) == (200, "image/svg+xml")
    assert answer.headers["cache-control"] == "no-store"
    movie.write_bytes(whole)
    os.utime(movie, (1e9 + 5, 1e9 + 5))
    tilt = seen(SessionModel(session.folder)).tilts[0]
    assert tilt.picture != torn
    assert picture_of(get, tilt).shape == SHAPE_YX


def test_a_script_s_series_is_known_by_its_mdoc(session: Session, get: Get) -> None:
    session.note("rehearsal.begun", {"script": "a.py", "settings": {}})
    model = SessionModel(session.folder, clock=iter(range(0, 1000, 2)).__next__)
    files = write_mdoc(session, 2)
    write_stack(files, 2)
    view = seen(model)
    assert view.state is SeriesState.GROWING
    assert [tilt.tilt_deg for tilt in view.tilts] == [0.0, 3.0]
    assert view.spent_e_A2 == pytest.approx(6.2)
    first, second = view.tilts
    assert (second.counts, second.lens_defocus_A, second.target_defocus_A) == (8.0, 3.5e4, 3e4)
    assert (second.since_last_s, second.shutter_s) == (40.0, 1.5)
    assert picture_of(get, second).shape == SHAPE_YX
    write_mdoc(session, 3)
    write_stack(files, 3)
    grown = seen(model).tilts
    assert [tilt.picture for tilt in grown[:2]] == [first.picture, second.picture]  # sections that are there stay
    assert picture_of(get, grown[2]).shape == SHAPE_YX
    assert "no picture" in get(f"/session-stacks/{SERIES}/3").text
    session.note("rehearsal.ended", {"ending": "finished", "reason": "", "exposures": 3})
    assert seen(model).state is SeriesState.DONE
    write_movie(session.folder / "frames" / f"{SERIES}_001.tif", frames("bottom"), PIXEL_A)
    long_ago(session.folder / "frames" / f"{SERIES}_001.tif")
    (_, by_movie, _) = seen(SessionModel(session.folder)).tilts
    grey = picture_of(get, by_movie)
    assert grey[-10:].mean() > grey[:10].mean() + 100


def test_an_mdoc_that_is_torn_or_no_series_shows_nothing(session: Session) -> None:
    files = write_mdoc(session, 2)
    text = files.mdoc.read_text()
    files.mdoc.write_text(text[: text.rindex("TiltAngle")])
    (session.folder / "mdoc" / "map.mrc.mdoc").write_text("[MontSection = 0]\nPieceCoordinates = 0 0 0\n")
    model = SessionModel(session.folder)
    assert [tilt.tilt_deg for tilt in seen(model).tilts] == [0.0]
    assert model.series["map"].tilts == ()


def test_only_files_of_the_session_are_read_and_each_once(session: Session, get: Get, tmp_path: Path) -> None:
    outside = tmp_path / "outside.tif"
    write_movie(outside, frames(), PIXEL_A)
    (session.folder / "frames" / "link.tif").symlink_to(outside)
    for name in ("link.tif", "../../outside.tif", "%2e%2e%2f%2e%2e%2foutside.tif", "absent.tif", "x" * 2000 + ".tif"):
        assert get(f"/session-movies/{name}").status_code == 404
    for name in ("..%2foutside", "absent"):
        assert get(f"/session-stacks/{name}/0").status_code == 404
    own = session.folder / "frames" / "own.tif"
    write_movie(own, frames(), PIXEL_A)
    pictures = Pictures(session.folder)
    first = pictures.movie("own.tif")
    assert pictures.movie("own.tif") is first
    write_movie(own, frames("bottom"), PIXEL_A)
    assert pictures.movie("own.tif") != first
    own.unlink()
    with pytest.raises(NotServedError):
        pictures.movie("own.tif")
    assert sorted(path.name for path in session.folder.rglob("*.jpg")) == []
