"""What the tomogram page fetches: the right slice, kept by the browser while it is, and refusals in a sentence."""

import asyncio
import io
import os
import shutil
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import httpx
import numpy as np
import pytest
from fastapi import FastAPI
from PIL import Image

from eucentric.io import write_mrc
from eucentric.web.tomogram.routes import add_routes
from phantoms.tomogram_session import BEAD_ZYX, SERIES, SHAPE_ZYX, VOXEL_A, tomogram, tomogram_session

Get = Callable[..., httpx.Response]
SLICE = f"/api/slice/{SERIES}/tomogram/z/{BEAD_ZYX[0]}"


@pytest.fixture(scope="module")
def session(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tomogram_session(tmp_path_factory.mktemp("routes") / "session")


@pytest.fixture(scope="module")
def get(session: Path) -> Get:
    """Ask the routes, without a server."""
    return getter(session)


def getter(session: Path) -> Get:
    app = FastAPI()
    add_routes(app, session)

    async def ask(path: str, headers: dict[str, str]) -> httpx.Response:
        transport = httpx.ASGITransport(app=app)
        async with httpx.AsyncClient(transport=transport, base_url="http://127.0.0.1") as client:
            return await client.get(path, headers=headers)

    def get(path: str, **headers: str) -> httpx.Response:
        with ThreadPoolExecutor(1) as aside:  # a browser's tests may have a loop running here
            return aside.submit(asyncio.run, ask(path, headers)).result()

    return get


def test_a_slice_is_a_picture_of_the_volume(get: Get) -> None:
    answer = get(f"{SLICE}?low=-4&high=4&format=png")
    assert answer.headers["content-type"] == "image/png"
    with Image.open(io.BytesIO(answer.content)) as picture:
        greys = np.asarray(picture, dtype=float)
    expected = np.clip((tomogram()[BEAD_ZYX[0], ::-1] + 4) * 255 / 8, 0, 255)
    assert np.abs(greys - expected).max() <= 0.51
    assert get(SLICE).headers["content-type"] == "image/jpeg"
    assert get(f"/api/slice/{SERIES}/tomogram/z/middle").content == get(f"/api/slice/{SERIES}/tomogram/z/12").content


def test_a_browser_keeps_a_slice_whose_content_it_named(get: Get) -> None:
    stamp = get(f"/api/volume/{SERIES}/tomogram").json()["stamp"]
    named, unnamed = get(f"{SLICE}?stamp={stamp}"), get(SLICE)
    assert "immutable" in named.headers["cache-control"]
    assert "no-cache" in unnamed.headers["cache-control"]
    again = get(SLICE, **{"if-none-match": unnamed.headers["etag"]})
    assert (again.status_code, again.content) == (304, b"")
    assert get(f"{SLICE}?average=3").headers["etag"] != unnamed.headers["etag"]


def test_a_volume_tells_its_size_place_and_limits(get: Get) -> None:
    about = get(f"/api/volume/{SERIES}/tomogram").json()
    assert about["shape_zyx"] == list(SHAPE_ZYX)
    assert about["voxel_zyx_A"] == [VOXEL_A] * 3
    assert about["first_zyx_A"] == [-120.0, -400.0, -500.0]
    assert -3.2 < about["low"] < -2.4
    assert 2.4 < about["high"] < 3.2
    averaged = get(f"/api/volume/{SERIES}/tomogram?average=9").json()
    assert averaged["high"] - averaged["low"] == pytest.approx((about["high"] - about["low"]) / 3, rel=0.15)


def test_a_series_tells_its_versions_in_their_order(get: Get) -> None:
    about = get(f"/api/volumes/{SERIES}").json()
    labels = [version["label"] for version in about["versions"]]
    assert labels == ["Full", "Restored", "Even half", "Odd half"]
    assert about["stack"] is True


def test_a_value_is_that_of_the_voxel(get: Get) -> None:
    place = "/".join(map(str, BEAD_ZYX))
    assert get(f"/api/value/{SERIES}/tomogram/{place}").json() == {"value": 40}
    assert get(f"/api/value/{SERIES}/tomogram_restored/{place}").json() == {"value": 20}


def test_tilts_come_by_angle_with_their_exposure_and_alignment(get: Get) -> None:
    views = get(f"/api/tilts/{SERIES}").json()
    assert [view["tilt_deg"] for view in views] == [-24, -12, 0, 12, 24]
    assert [view["order"] for view in views] == [4, 2, 0, 1, 3]
    assert views[1]["pre_exposure_e_A2"] == 6
    assert [view["used"] for view in views] == [True, False, True, True, False]
    assert views[4]["reason"] == "blank"
    assert all(view["axis_deg"] is not None for view in views)


@pytest.mark.parametrize(
    "path",
    [
        "/api/slice/TS_001/TS_009/z/0",
        "/api/slice/TS_009/tomogram/z/0",
        "/api/slice/TS_001/.hidden/z/0",
        "/api/slice/TS_001/..%2F..%2Foutside/z/0",
        "/api/slice/..%2F..%2F/tomogram/z/0",
        "/api/slice/../tomogram/z/0",
        "/api/slice/TS_001/leaves/z/0",
        "/api/slice/TS_001/%2Fetc%2Fpasswd/z/0",
        "/api/slice/TS_001/tomogram%00/z/0",
        "/api/slice/leaving/tomogram/z/0",
        "/api/volume/TS_001/leaves",
        "/api/volumes/..",
        "/api/tilts/nothing",
        "/api/value/TS_001/leaves/0/0/0",
    ],
)
def test_nothing_outside_the_session_is_opened(session: Path, get: Get, path: str) -> None:
    outside = session.parent / "outside"
    outside.mkdir(exist_ok=True)
    for name in ("outside.mrc", "tomogram.mrc", "outside/tomogram.mrc"):
        if not (session.parent / name).exists():
            shutil.copy(session / f"series/{SERIES}/tomogram.mrc", session.parent / name)
    for link, target in ((f"{SERIES}/leaves.mrc", "outside.mrc"), ("leaving", "outside")):
        if not (session / "series" / link).is_symlink():
            (session / "series" / link).symlink_to(session.parent / target)
    answer = get(path)
    assert answer.status_code == 404
    assert b"PNG" not in answer.content
    assert str(session.parent) not in answer.text


@pytest.mark.parametrize(
    ("path", "why"),
    [
        (f"/api/slice/{SERIES}/tomogram/w/0", "axis"),
        (f"/api/slice/{SERIES}/tomogram/z/-1", "index"),
        (f"/api/slice/{SERIES}/tomogram/z/24", "There is no slice 24"),
        (f"/api/slice/{SERIES}/tomogram/z/1e99", "index"),
        (f"{SLICE}?low=1&high=1", "black point must lie below"),
        (f"{SLICE}?low=1", "Give both"),
        (f"{SLICE}?low=nan&high=1", "low"),
        (f"{SLICE}?low=0&high=inf", "high"),
        (f"{SLICE}?average=0", "average"),
        (f"{SLICE}?average=100000", "average"),
        (f"{SLICE}?largest=100000", "largest"),
        (f"{SLICE}?format=svg", "format"),
        (f"{SLICE}?contrast=3", "there is no field 'contrast'"),
        (f"/api/value/{SERIES}/tomogram/0/0/100", "There is no voxel"),
        (f"/api/volume/{SERIES}/tomogram?average=x", "average"),
    ],
)
def test_bad_input_is_refused_in_a_sentence(get: Get, path: str, why: str) -> None:
    answer = get(path)
    assert answer.status_code == 400
    assert why in answer.json()["what"] + answer.json()["fix"]


def test_a_volume_that_changes_while_it_is_looked_at(tmp_path: Path) -> None:
    session = tomogram_session(tmp_path / "session")
    get, path = getter(session), session / f"series/{SERIES}/tomogram.mrc"
    stamp = get(f"/api/volume/{SERIES}/tomogram").json()["stamp"]
    before = get(f"{SLICE}?low=-4&high=4").content
    write_mrc(path, tomogram(seed=5), VOXEL_A, kind="volume")
    stale = get(f"{SLICE}?low=-4&high=4&stamp={stamp}")
    assert stale.status_code == 409
    assert "written anew" in stale.json()["what"]
    assert get(f"{SLICE}?low=-4&high=4").content != before
    os.truncate(path, 30_000)
    half = get(SLICE)
    assert half.status_code == 422
    assert "wait until it is written" in half.json()["fix"]


def test_a_series_without_a_journal_of_it_has_no_tilts(session: Path, get: Get) -> None:
    (session / "series/TS_new").mkdir(exist_ok=True)
    assert get("/api/tilts/TS_new").json() == []
    assert get("/api/volumes/TS_new").json() == {"series": "TS_new", "versions": [], "stack": False}
