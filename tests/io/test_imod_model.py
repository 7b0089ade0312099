"""IMOD's models: real files, exact round trips, an independent parser, and bytes that went wrong."""

import warnings
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as st_np

from eucentric.core import FormatError, FormatWarning
from eucentric.io import ImodModel, ImodObject, is_imod_model, read_imod_model, write_imod_model

points = st_np.arrays(
    np.float32, st.tuples(st.integers(0, 6), st.just(3)), elements=st.floats(-1e5, 1e5, width=32, allow_nan=False)
)
names = st.text(st.characters(min_codepoint=32, max_codepoint=0x2FF), max_size=30)
objects = st.builds(
    ImodObject,
    contours=st.lists(points, max_size=4).map(tuple),
    name=names,
    flags=st.integers(0, 2**32 - 1),
    colour=st.tuples(*[st.sampled_from([0.0, 0.25, 1.0])] * 3),
)
models = st.builds(
    ImodModel,
    objects=st.lists(objects, max_size=3).map(tuple),
    size_xyz=st.tuples(*[st.integers(0, 9000)] * 3),
    name=names,
    pixel_A=st.one_of(st.none(), st.sampled_from([2.5, 10.0, 40.0])),
)

SAMPLE = ImodModel(
    objects=(ImodObject(contours=(np.arange(12, dtype=np.float32).reshape(4, 3), np.zeros((1, 3), np.float32))),),
    size_xyz=(512, 400, 41),
    pixel_A=20.2,
)


@settings(max_examples=60)
@given(models)
def test_round_trip_is_exact(tmp_path_factory: pytest.TempPathFactory, model: ImodModel) -> None:
    path = tmp_path_factory.getbasetemp() / "round.mod"
    write_imod_model(path, model)
    back = read_imod_model(path)
    assert (back.size_xyz, back.name, len(back.objects)) == (model.size_xyz, model.name, len(model.objects))
    assert back.pixel_A == (None if model.pixel_A is None else pytest.approx(model.pixel_A, rel=1e-6))
    for one, other in zip(back.objects, model.objects, strict=True):
        assert (one.name, one.flags, one.colour) == (other.name, other.flags, other.colour)
        assert len(one.contours) == len(other.contours)
        for read, given_points in zip(one.contours, other.contours, strict=True):
            np.testing.assert_array_equal(read, given_points)
    raw = path.read_bytes()
    write_imod_model(path, back)
    assert path.read_bytes() == raw


@pytest.mark.parametrize(
    ("name", "contours", "first", "pixel_A"),
    [
        ("meshed_contour_example.mod", [67], (673.6958, 853.4349, 32.8754), 10.68),
        ("meshed_curvature_example.mod", [11, 11], (6.875, 62.875, 124.0), 2.156),
        ("multiple_objects_example.mod", [0, 1, 1], (367.00006, 661.83344, 134.0), 19.7333),
        ("point_sizes_example.mod", [1, 3, 1], (438.5, 898.5, 46.0), 12.399),
        ("slicer_angle_example.mod", [4], (235.42159, 682.91248, 301.95468), 16.14545),
        ("two_contour_example.mod", [2], (64.33333, 64.66667, 80.0), 4.48),
    ],
)
def test_real_models(real_data: Path, name: str, contours: list[int], first: tuple[float, ...], pixel_A: float) -> None:
    path = real_data / "alignments" / "imod-models" / name
    assert is_imod_model(path)
    model = read_imod_model(path)
    assert [len(one.contours) for one in model.objects] == contours
    some = next(contour for one in model.objects for contour in one.contours)
    np.testing.assert_allclose(some[0], first, rtol=1e-5)
    assert model.pixel_A == pytest.approx(pixel_A, rel=1e-4)


def test_another_program_reads_what_is_written(tmp_path: Path) -> None:
    imodmodel = pytest.importorskip("imodmodel")
    write_imod_model(tmp_path / "a.mod", SAMPLE)
    table = imodmodel.read(tmp_path / "a.mod")
    np.testing.assert_array_equal(table[["x", "y", "z"]].to_numpy(), np.concatenate(SAMPLE.objects[0].contours))


@settings(max_examples=300)
@given(st.data())
def test_bytes_that_went_wrong_are_refused_or_read_and_nothing_else(
    tmp_path_factory: pytest.TempPathFactory, data: st.DataObject
) -> None:
    folder = tmp_path_factory.getbasetemp()
    write_imod_model(folder / "whole.mod", SAMPLE)
    raw = bytearray((folder / "whole.mod").read_bytes())
    for _ in range(data.draw(st.integers(0, 4))):
        raw[data.draw(st.integers(0, len(raw) - 1))] = data.draw(st.integers(0, 255))
    cut = data.draw(st.integers(1, len(raw)))
    (folder / "broken.mod").write_bytes(bytes(raw[:cut]))
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", FormatWarning)
        try:
            model = read_imod_model(folder / "broken.mod")
        except FormatError:
            return
    assert sum(len(contour) for one in model.objects for contour in one.contours) <= len(raw) // 12


@pytest.mark.parametrize(
    ("place", "value", "says"),
    [
        (0, b"JUNK", "not an IMOD model"),
        (4, b"V0.9", "V0.9"),
        (240 + 4 + 176 + 4, b"\x7f\xff\xff\xff", "a count is"),
        (240 + 4 + 176 + 4, b"\x00\x00\x00\x60", "breaks off|a count"),
        (240 + 4 + 176 + 20, b"\x7f\xc0\x00\x00", "not a number"),
    ],
)
def test_what_is_wrong_is_said(tmp_path: Path, place: int, value: bytes, says: str) -> None:
    write_imod_model(tmp_path / "a.mod", SAMPLE)
    raw = bytearray((tmp_path / "a.mod").read_bytes())
    raw[place : place + len(value)] = value
    (tmp_path / "a.mod").write_bytes(bytes(raw))
    with pytest.raises(FormatError, match=says):
        read_imod_model(tmp_path / "a.mod")


def test_a_missing_end_is_read_around(tmp_path: Path) -> None:
    write_imod_model(tmp_path / "a.mod", SAMPLE)
    raw = (tmp_path / "a.mod").read_bytes()
    (tmp_path / "a.mod").write_bytes(raw[:-4])
    with pytest.warns(FormatWarning, match="no-end"):
        assert len(read_imod_model(tmp_path / "a.mod").objects[0].contours) == 2


def test_points_that_are_none_are_not_written(tmp_path: Path) -> None:
    bad = ImodModel(objects=(ImodObject(contours=(np.full((1, 3), np.nan, np.float32),)),), size_xyz=(8, 8, 8))
    with pytest.raises(ValueError, match="finite"):
        write_imod_model(tmp_path / "a.mod", bad)
    assert not list(tmp_path.iterdir())
