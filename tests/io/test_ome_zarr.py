import json
import re
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import zarr
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray
from ome_zarr_models.v05.image import Image

from eucentric.core import FormatError, InputError
from eucentric.io.ome_zarr import read_ome_zarr, write_ome_zarr


def ramp(shape: tuple[int, ...], dtype: str = "float32") -> NDArray[Any]:
    """Values linear in position: averaging keeps them so, and tells where each coarse voxel lies."""
    z, y, x = np.indices(shape)
    return np.asarray(z + 2 * y + 3 * x, dtype)


def values(level: "zarr.Array[Any]") -> NDArray[Any]:
    """All values; zarr's own annotation of what it returns is too wide for numpy's tests."""
    loaded: Any = level[:]
    return np.asarray(loaded)


def test_it_is_a_valid_image_with_the_finest_level_unchanged(tmp_path: Path) -> None:
    data = np.random.default_rng(3).normal(size=(70, 130, 90)).astype(np.float32)
    write_ome_zarr(tmp_path / "a.zarr", data, 13.5, name="TS_01")
    model = Image.from_zarr(zarr.open_group(str(tmp_path / "a.zarr"), mode="r"))
    axes = model.ome_attributes.multiscales[0].axes
    assert [(axis.name, axis.type, axis.unit) for axis in axes] == [(name, "space", "angstrom") for name in "zyx"]
    image = read_ome_zarr(tmp_path / "a.zarr")
    assert image.name == "TS_01"
    assert [level.shape for level in image.levels] == [(70, 130, 90), (35, 65, 45), (17, 32, 22)]
    np.testing.assert_array_equal(image.levels[0][:], data)
    whole = data[:70, :130, :90].reshape(35, 2, 65, 2, 45, 2).mean((1, 3, 5))
    np.testing.assert_allclose(values(image.levels[1]), whole, atol=1e-6)


@settings(max_examples=15, deadline=None, derandomize=True)
@given(st.tuples(st.integers(1, 140), st.integers(1, 40), st.integers(1, 40)), st.integers(1, 4))
def test_every_voxel_of_every_level_lies_where_its_transform_says(
    tmp_path_factory: pytest.TempPathFactory, shape: tuple[int, int, int], levels: int
) -> None:
    path = tmp_path_factory.getbasetemp() / "ramp.zarr"
    write_ome_zarr(path, ramp(shape), 4.0, name="ramp", levels=levels)
    image = read_ome_zarr(path)
    assert len(image.levels) == levels
    for level, voxel, start in zip(image.levels, image.voxels_zyx_A, image.starts_zyx_A, strict=True):
        at_A = np.indices(level.shape).reshape(3, -1).T * voxel + start
        np.testing.assert_allclose(values(level).ravel(), at_A @ (1, 2, 3) / 4.0, rtol=1e-5)


@pytest.mark.parametrize("dtype", ["int8", "uint8", "int16", "uint16", "float16"])
def test_types_are_kept_and_integers_rounded(tmp_path: Path, dtype: str) -> None:
    data = ramp((3, 8, 8), dtype)
    write_ome_zarr(tmp_path / "a.zarr", data, 1.0, name="a", levels=2)
    fine, coarse = read_ome_zarr(tmp_path / "a.zarr").levels
    assert (fine.dtype, coarse.dtype) == (np.dtype(dtype), np.dtype(dtype))
    np.testing.assert_array_equal(coarse[:], ramp((3, 8, 8))[:2, ::2, ::2][:1] + 3)


def test_big_endian_maps_are_written(tmp_path: Path) -> None:
    write_ome_zarr(tmp_path / "a.zarr", ramp((4, 5, 6)).astype(">f4"), 1.0, name="a")
    np.testing.assert_array_equal(read_ome_zarr(tmp_path / "a.zarr").levels[0][:], ramp((4, 5, 6)))


def test_an_old_folder_is_replaced_whole_and_kept_on_failure(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "a.zarr"
    write_ome_zarr(path, ramp((4, 5, 6)), 1.0, name="old")

    def fail(*_: object) -> None:
        raise RuntimeError("stop")

    with monkeypatch.context() as patch:
        patch.setattr("eucentric.io.ome_zarr._Level.finish", fail)
        with pytest.raises(RuntimeError, match="stop"):
            write_ome_zarr(path, ramp((2, 2, 2)), 1.0, name="new")
    assert read_ome_zarr(path).name == "old"
    assert [p.name for p in tmp_path.iterdir()] == ["a.zarr"]
    write_ome_zarr(path, ramp((2, 2, 2)), 1.0, name="new")
    assert read_ome_zarr(path).levels[0].shape == (2, 2, 2)


@pytest.mark.parametrize(
    ("data", "pixel_A", "levels", "says"),
    [
        (ramp((2, 2, 2), "float64"), 1.0, None, "float64"),
        (ramp((2, 2, 2))[0], 1.0, None, "voxels"),
        (ramp((2, 2, 2)), 0.0, None, "voxel size"),
        (ramp((2, 2, 2)), 1.0, 0, "0 levels"),
    ],
)
def test_what_cannot_be_written_is_refused(tmp_path: Path, data: Any, pixel_A: float, levels: Any, says: str) -> None:
    with pytest.raises(InputError, match=says):
        write_ome_zarr(tmp_path / "a.zarr", data, pixel_A, name="a", levels=levels)
    assert not list(tmp_path.iterdir())


def test_other_folders_are_refused(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="no such file"):
        read_ome_zarr(tmp_path / "absent.zarr")
    with pytest.raises(FormatError, match=re.escape("not an OME-Zarr 0.5 image")):
        read_ome_zarr(tmp_path)
    (tmp_path / "file").write_text("x")
    with pytest.raises(FormatError, match="is a folder"):
        read_ome_zarr(tmp_path / "file")
    write_ome_zarr(tmp_path / "a.zarr", ramp((4, 5, 6)), 1.0, name="a")
    meta = tmp_path / "a.zarr" / "zarr.json"
    for old, new, says in (
        ("angstrom", "nanometer", "in Å"),
        ('"scale"', '"skale"', "not an OME"),
        ("{", "", "not an"),
    ):
        whole = meta.read_text()
        meta.write_text(whole.replace(old, new))
        with pytest.raises(FormatError, match=says):
            read_ome_zarr(tmp_path / "a.zarr")
        meta.write_text(whole)
    assert json.loads(meta.read_text())["attributes"]["ome"]["version"] == "0.5"


def test_the_ecosystems_reader_agrees(tmp_path: Path) -> None:
    """Ask ngff-zarr, which shares no code with our metadata, where voxels lie."""
    ngff_zarr = pytest.importorskip("ngff_zarr", reason="ngff-zarr is not installed; it is an optional oracle")
    write_ome_zarr(tmp_path / "a.zarr", ramp((70, 80, 90)), 4.0, name="a")
    theirs = ngff_zarr.from_ngff_zarr(str(tmp_path / "a.zarr"))
    for level, image in enumerate(theirs.images):
        assert image.scale == dict.fromkeys("zyx", 4.0 * 2**level)
        assert image.translation == dict.fromkeys("zyx", 2.0 * (2**level - 1))
        assert set(image.axes_units.values()) == {"angstrom"}
    np.testing.assert_array_equal(theirs.images[0].data.compute(), ramp((70, 80, 90)))
