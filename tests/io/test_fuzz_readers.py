"""Every reader survives mutated files, a few of each here; `benchmarks/fuzz_readers.py` runs a hundred thousand."""

import inspect
import os
import pkgutil
import re
import struct
import sys
import time
from importlib import import_module
from pathlib import Path
from types import CodeType, FrameType

import numpy as np
import pytest

import eucentric.io
from eucentric.core import FormatError
from phantoms.eer import COMPRESSIONS
from phantoms.fuzz_counts import count_fields, with_count
from phantoms.fuzz_deadly import deadly, fate
from phantoms.fuzz_pool import case_of, run
from phantoms.fuzz_seeds import all_fed
from phantoms.fuzzing import Fed, HangError, OutsideError, feed, mutate

CASES = 8
_READERS = re.compile(r"(read|load|open|examine)_")
_NEEDS_NO_SEED: dict[str, str] = {}
"""Readers that no seed reaches, and why that is right."""


@pytest.fixture(scope="module")
def readers() -> dict[str, Fed]:
    default = Path(__file__).parents[3] / "shared" / "data"
    data = Path(os.environ.get("EUCENTRIC_DATA", default))
    return {fed.name: fed for fed in all_fed(data if data.is_dir() else None)}


def test_no_mutation_is_more_than_refused(readers: dict[str, Fed]) -> None:
    for name, fed in readers.items():
        read = [feed(fed, files, more_bytes=None) for files in fed.seeds]  # the first calls compile, and load
        assert any(read), name
        draw = np.random.default_rng(7)
        for _ in range(CASES):
            feed(fed, mutate(fed.seeds[int(draw.integers(len(fed.seeds)))], draw))


def test_the_harness_sees_what_a_reader_may_not_do(tmp_path: Path) -> None:
    secret = tmp_path / "secret"
    secret.write_text("x")

    def refuse(path: Path) -> None:
        raise FormatError(f"{path}: no.")

    def wait(path: Path) -> None:
        time.sleep(5)

    files = {"a": b"x"}
    assert feed(Fed("good", Path.read_bytes, "a", (files,)), files)
    assert not feed(Fed("refuses", refuse, "a", (files,)), files)
    with pytest.raises(OutsideError, match="secret"):
        feed(Fed("peeks", lambda path: secret.read_text(), "a", (files,)), files)
    with pytest.raises(OutsideError):
        feed(Fed("lists", lambda path: list(tmp_path.iterdir()), "a", (files,)), files)
    with pytest.raises(OutsideError):
        feed(Fed("climbs", lambda path: list(path.parent.parent.iterdir()), "a", (files,)), files)
    with pytest.raises(HangError):
        feed(Fed("hangs", wait, "a", (files,)), files, seconds=1)
    with pytest.raises(ZeroDivisionError):
        feed(Fed("crashes", lambda path: 1 / 0, "a", (files,)), files)
    with pytest.raises(MemoryError):
        feed(Fed("grasps", lambda path: np.ones(1 << 28), "a", (files,)), files)

    def hide(path: Path) -> None:
        try:
            np.empty(1 << 30)
        except MemoryError as error:
            raise FormatError(f"{path}: damaged.") from error

    with pytest.raises(MemoryError, match="damaged"):
        feed(Fed("hides that it grasps", hide, "a", (files,)), files)


@pytest.mark.filterwarnings("ignore:.*multi-threaded:DeprecationWarning")  # of fork: quick, and nothing is computed
def test_a_process_that_dies_or_hangs_is_told_with_its_case_and_the_others_go_on() -> None:
    (fed,) = deadly()

    def fates(seed: int) -> list[str]:
        return [fate(case_of(fed, seed, case)["a"]) for case in range(5)]

    seed = next(seed for seed in range(1000) if sorted(fates(seed)[:4]) == ["dies", "hangs", "is read", "is read"])
    outcome = run(deadly, "deadly", 5, seed, hang_s=0.5, start="fork")
    told = dict(outcome.wrong)
    assert set(told) == {case for case, one in enumerate(fates(seed)) if one != "is read"}
    assert all(("SIGKILL" if fates(seed)[case] == "dies" else "hung") in what for case, what in told.items())
    assert outcome.read == 5 - len(told)


def test_counts_of_binary_files_are_found_and_set(readers: dict[str, Fed]) -> None:
    seeds = {name: fed.seeds for name, fed in readers.items()}
    mrc = seeds["mrc"][0]["ts.mrc"]
    assert {(0, "<i"), (4, "<i"), (8, "<i"), (92, "<i")} <= set(count_fields(mrc))
    eer = seeds["movie eer"][0]["m.eer"]
    values = {struct.unpack_from(code, eer, at)[0] for at, code in count_fields(eer)}
    assert {24, 40, *list(COMPRESSIONS)[:1]} <= values
    model = seeds["imod model"][0]["a.mod"]
    assert 5 in {struct.unpack_from(code, model, at)[0] for at, code in count_fields(model)}  # points of a contour
    assert count_fields(seeds["xf"][0]["a.xf"]) == []
    draw = np.random.default_rng(0)
    sides = {struct.unpack_from("<i", with_count(mrc, draw))[0] for _ in range(800)}
    assert {0, -1, (1 << 31) - 1, 1 << 24, 11, 9} <= sides


def test_every_reader_of_the_package_is_fed(readers: dict[str, Fed]) -> None:
    found: dict[CodeType, str] = {}
    for module in pkgutil.walk_packages(eucentric.io.__path__, "eucentric.io."):
        if "._" in module.name:
            continue
        for name, value in inspect.getmembers(import_module(module.name), inspect.isfunction):
            if _READERS.match(name) and value.__module__ == module.name:
                found[value.__code__] = f"{module.name}.{name}"
    reached: set[str] = set()

    def note(frame: FrameType, event: str, argument: object) -> None:
        if event == "call" and frame.f_code in found:
            reached.add(found[frame.f_code])

    for fed, files in [(one, files) for one in readers.values() for files in one.seeds]:
        if reached < set(found.values()):
            sys.setprofile(note)
            try:
                feed(fed, files, more_bytes=None)
            finally:
                sys.setprofile(None)
    unfed = set(found.values()) - reached
    assert not unfed - set(_NEEDS_NO_SEED), f"no seed in phantoms/fuzz_seeds.py reaches {sorted(unfed)}: give it one"
    assert set(_NEEDS_NO_SEED) <= unfed, "what is listed as unreached is reached"
