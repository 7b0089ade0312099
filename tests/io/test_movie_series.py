"""Series from their .mdoc and movies: what belongs together, and what is said of what is missing or wrong."""

import os
import re
import warnings
from collections.abc import Callable
from datetime import datetime, timedelta
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from eucentric.core import DataWarning, EucentricError, EucentricWarning, InputError
from eucentric.io import write_mrc
from eucentric.io.mdoc_writer import MdocHeader, MdocImage, write_mdoc
from eucentric.io.movie_series import MovieSeries, load_movie_series
from eucentric.io.movies import write_movie

TILTS = (0.0, 3.0, -3.0, -6.0, 6.0)  # as acquired
BY_ANGLE = sorted(range(5), key=TILTS.__getitem__)  # sections
PIXEL_A, EXPOSURE = 1.7, 3.0


def counts(order: int, shape: tuple[int, int, int] = (4, 20, 16)) -> NDArray[np.uint8]:
    return np.random.default_rng(order).poisson(0.7, shape).astype(np.uint8)


def movie_name(order: int) -> str:
    return f"TS_1_{order:03d}_{TILTS[order]:.1f}.tif"


@pytest.fixture
def session(tmp_path: Path) -> Path:
    """A session of five tilts, as acquisition leaves it; the path of its .mdoc."""
    return write_session(tmp_path / "session")


def write_session(folder: Path) -> Path:
    for part in ("frames", "mdoc"):
        (folder / part).mkdir(parents=True, exist_ok=True)
    for order in range(5):
        write_movie(folder / "frames" / movie_name(order), counts(order), PIXEL_A, compression="none")
    images = [
        MdocImage(
            tilt_deg=TILTS[order],
            exposure_e_A2=EXPOSURE,
            pre_exposure_e_A2=EXPOSURE * order,
            defocus_A=30_000,
            target_defocus_A=30_000 + 100 * order,
            exposure_s=1.0,
            recorded=datetime(2026, 11, 24) + timedelta(seconds=30 * order),
            frame_path=rf"D:\frames\{movie_name(order)}",
            n_frames=4,
            pixel_A=PIXEL_A,
            spot_size=5,
        )
        for order in range(5)
    ]
    header = MdocHeader(pixel_A=PIXEL_A, voltage_kV=300, image_file="TS_1.mrc", shape_yx=(20, 16), tilt_axis_deg=84.0)
    mdoc = folder / "mdoc" / "TS_1.mrc.mdoc"
    write_mdoc(mdoc, header, images)
    edit(mdoc, lambda text: re.sub(r"\[ZValue = (\d)\]", lambda z: f"[ZValue = {BY_ANGLE.index(int(z[1]))}]", text))
    return mdoc


def edit(mdoc: Path, change: Callable[[str], str]) -> None:
    mdoc.write_text(change(mdoc.read_text(encoding="utf-8")), encoding="utf-8")


def without(key: str) -> Callable[[str], str]:
    return lambda text: "".join(line for line in text.splitlines(keepends=True) if not line.startswith(key))


def load(mdoc: Path, **options: object) -> tuple[MovieSeries, str]:
    """Load a series, and return it with all that was warned of."""
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always", EucentricWarning)
        series = load_movie_series(mdoc, **options)  # type: ignore[arg-type]
    return series, "\n".join(str(warning.message) for warning in caught)


def test_a_session_is_loaded_whole(session: Path) -> None:
    gain = session.parents[1] / "frames" / "gain.mrc"
    write_mrc(gain, np.ones((1, 20, 16), np.float32), PIXEL_A, kind="stack")
    loaded, said = load(session)
    assert not said
    series = loaded.series
    assert (series.name, series.shape_yx, series.voltage_kV) == ("TS_1", (20, 16), 300)
    assert series.pixel_A == pytest.approx(PIXEL_A)
    assert series.tilt_axis_deg == pytest.approx(84)
    assert series.tilts_deg == tuple(sorted(TILTS))
    assert [tilt.order for tilt in series.tilts] == BY_ANGLE
    assert [tilt.pre_exposure_e_A2 for tilt in series.tilts] == [EXPOSURE * order for order in BY_ANGLE]
    assert loaded.target_defocus_A == pytest.approx([30_000 + 100 * order for order in BY_ANGLE])
    assert (loaded.missing, loaded.gain, loaded.sources[0]) == ({}, gain, session)
    for order, movie in zip(BY_ANGLE, loaded.movies, strict=True):
        assert movie is not None
        np.testing.assert_array_equal(movie.read(), counts(order))


def test_where_movies_are_looked_for(session: Path, tmp_path: Path) -> None:
    elsewhere = tmp_path / "elsewhere"
    (session.parents[1] / "frames").rename(elsewhere)
    with pytest.raises(InputError, match=r"not one of its 5 movies.*--frames"):
        load(session)
    assert load(session, frames=elsewhere)[0].missing == {}
    for movie in elsewhere.iterdir():
        movie.rename(session.parent / movie.name)
    assert load(session)[0].missing == {}
    with pytest.raises(InputError, match="no such folder"):
        load(session, frames=elsewhere / "absent")
    with pytest.raises(InputError, match="no such gain"):
        load(session, gain=elsewhere / "absent.mrc")


def test_no_path_of_the_mdoc_is_followed(session: Path, tmp_path: Path) -> None:
    secret = tmp_path / "secret.tif"
    (session.parents[1] / "frames" / movie_name(1)).rename(secret)
    named = rf"D:\frames\{movie_name(1)}"
    for path in (str(secret), "../../secret.tif", r"..\..\secret.tif"):
        text = session.read_text(encoding="utf-8")
        assert named in text
        session.write_text(text.replace(named, path), encoding="utf-8")
        named = path
        loaded, said = load(session)
        assert loaded.missing.keys() == {BY_ANGLE.index(1)}
        assert "secret.tif" in loaded.missing[BY_ANGLE.index(1)]
        assert "[movie-left-out]" in said


def test_one_movie_missing_or_no_movie_costs_its_own_tilt(session: Path) -> None:
    frames = session.parents[1] / "frames"
    (frames / movie_name(1)).unlink()
    (frames / movie_name(2)).write_bytes(b"no movie at all")
    (frames / movie_name(4)).write_bytes(b"")
    loaded, said = load(session)
    at = {order: section for section, order in enumerate(BY_ANGLE)}
    assert loaded.missing.keys() == {at[1], at[2], at[4]}
    for order in (1, 2, 4):
        assert movie_name(order) in loaded.missing[at[order]]
        assert loaded.movies[at[order]] is None
        assert loaded.missing[at[order]] in said
    assert said.count("[movie-left-out]") == 3
    assert len(loaded.series.tilts) == 5


def test_a_cut_movie_is_named_and_gives_what_it_has(session: Path) -> None:
    path = session.parents[1] / "frames" / movie_name(0)
    path.write_bytes(path.read_bytes()[:-50])
    loaded, said = load(session)
    movie = loaded.movies[BY_ANGLE.index(0)]
    assert movie is not None
    assert movie.lost == (3,)
    assert movie_name(0) in said
    assert "3 can be read" in said
    with pytest.warns(DataWarning, match="frame-left-out"):
        found = list(movie.frames_or_none())
    assert [frame is None for frame in found] == [False, False, False, True]


def test_the_size_of_most_is_that_of_the_series(session: Path) -> None:
    frames = session.parents[1] / "frames"
    write_movie(frames / movie_name(BY_ANGLE[0]), counts(0, (4, 10, 16)), PIXEL_A)
    loaded, said = load(session)
    assert loaded.series.shape_yx == (20, 16)
    assert loaded.missing.keys() == {0}
    assert "10 x 16" in said


def test_a_frame_count_that_is_not_the_mdocs_is_told(session: Path) -> None:
    write_movie(session.parents[1] / "frames" / movie_name(1), counts(1, (3, 20, 16)), PIXEL_A)
    loaded, said = load(session)
    assert "[frame-count]" in said
    assert movie_name(1) in said
    movie = loaded.movies[BY_ANGLE.index(1)]
    assert movie is not None
    assert movie.shape[0] == 3


def test_one_movie_named_by_two_tilts_is_believed_by_neither(session: Path) -> None:
    edit(session, lambda text: text.replace(movie_name(1), movie_name(2)))
    loaded, said = load(session)
    assert loaded.missing.keys() == {BY_ANGLE.index(1), BY_ANGLE.index(2)}
    assert "share" in loaded.missing[BY_ANGLE.index(1)]
    assert "movie-left-out" in said
    for order in (0, 3, 4):
        edit(session, lambda text, order=order: text.replace(movie_name(order), movie_name(2)))  # type: ignore[misc]
    with pytest.raises(InputError, match="not one of its 5 movies"):
        load(session)


def test_exposures(session: Path) -> None:
    edit(session, without("PriorRecordDose"))
    loaded, _ = load(session)
    assert [tilt.pre_exposure_e_A2 for tilt in loaded.series.tilts] == [EXPOSURE * order for order in BY_ANGLE]
    assert any("sums of the exposures" in note for note in loaded.notes)
    edit(session, without("ExposureDose"))
    loaded, said = load(session)
    assert {tilt.exposure_e_A2 for tilt in loaded.series.tilts} == {None}
    assert "[exposure-missing]" in said
    loaded, said = load(session, exposure_e_A2=2.5)
    assert {tilt.exposure_e_A2 for tilt in loaded.series.tilts} == {2.5}
    assert [tilt.pre_exposure_e_A2 for tilt in loaded.series.tilts] == [2.5 * order for order in BY_ANGLE]
    assert "[exposure-missing]" not in said


def test_exposures_that_contradict_each_other_are_told(session: Path) -> None:
    edit(session, lambda text: text.replace(f"PriorRecordDose = {EXPOSURE * 4:g}", "PriorRecordDose = 24"))
    loaded, said = load(session)
    assert "[pre-exposure]" in said
    assert loaded.series.tilts[BY_ANGLE.index(4)].pre_exposure_e_A2 == 24


def test_pixel_size_and_name(session: Path) -> None:
    loaded, said = load(session, pixel_A=2.0, name="mine")
    assert (loaded.series.pixel_A, loaded.series.name) == (2.0, "mine")
    edit(session, lambda text: text.replace(f"PixelSpacing = {PIXEL_A:g}", "PixelSpacing = 3.4"))
    loaded, said = load(session)
    assert loaded.series.pixel_A == pytest.approx(PIXEL_A)
    assert "[pixel-size]" in said
    with pytest.raises(InputError, match="name"):
        load(session, name="../x")


@settings(max_examples=60)
@given(
    edits=st.lists(st.tuples(st.integers(0, 100_000), st.binary(min_size=1, max_size=6)), min_size=1, max_size=6),
    of_mdoc=st.booleans(),
)
def test_damaged_files_are_read_or_refused_in_our_own_words(
    tmp_path_factory: pytest.TempPathFactory, edits: list[tuple[int, bytes]], of_mdoc: bool
) -> None:
    folder = tmp_path_factory.getbasetemp() / "damaged-session"
    mdoc = folder / "mdoc" / "TS_1.mrc.mdoc"
    if not mdoc.exists():
        write_session(folder)
        mdoc.with_suffix(".kept").write_bytes(mdoc.read_bytes())
    movie = folder / "frames" / movie_name(0)
    write_movie(movie, counts(0), PIXEL_A, compression="none")
    mdoc.write_bytes(mdoc.with_suffix(".kept").read_bytes())
    path = mdoc if of_mdoc else movie
    raw = bytearray(path.read_bytes())
    for at, what in edits:
        raw[at % len(raw) : at % len(raw) + len(what)] = what
    path.write_bytes(raw)
    os.utime(path)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", EucentricWarning)
        try:
            loaded = load_movie_series(mdoc)
        except EucentricError:
            return
    assert len(loaded.movies) == len(loaded.series.tilts) == len(loaded.target_defocus_A)
    for section, opened in enumerate(loaded.movies):
        assert (opened is None) == (section in loaded.missing)


def test_a_movies_name_that_no_disk_takes_is_only_missing(movie_session: Path, tmp_path: Path) -> None:
    text = (movie_session / "mdoc" / "TS_1.mrc.mdoc").read_text()
    (tmp_path / "ts.mdoc").write_text(text.replace("TS_1_000_0.0", "A" * 300))
    with pytest.warns(DataWarning, match="there is no AAA"):
        series = load_movie_series(tmp_path / "ts.mdoc", frames=movie_session / "frames")
    assert len(series.missing) == 1


def test_what_the_mdoc_holds_beside_the_series_is_passed_on(session: Path) -> None:
    edit(session, lambda text: text.replace("SpotSize", "Aperture"))
    series, _ = load(session)
    assert "Aperture" in series.unread
    assert "TiltAngle" not in series.unread
