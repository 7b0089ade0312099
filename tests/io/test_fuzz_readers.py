"""Every reader survives mutated files, a few of each here; `benchmarks/fuzz_readers.py` runs a hundred thousand."""

import os
import time
from pathlib import Path

import numpy as np
import pytest

from eucentric.core import FormatError
from phantoms.fuzz_seeds import all_fed
from phantoms.fuzzing import Fed, HangError, OutsideError, feed, mutate

CASES = 12


@pytest.fixture(scope="module")
def readers() -> dict[str, Fed]:
    default = Path(__file__).parents[3] / "shared" / "data"
    data = Path(os.environ.get("EUCENTRIC_DATA", default))
    return {fed.name: fed for fed in all_fed(data if data.is_dir() else None)}


def test_no_mutation_is_more_than_refused(readers: dict[str, Fed]) -> None:
    for name, fed in readers.items():
        read = [feed(fed, files) for files in fed.seeds]  # the first calls compile, and load what is needed
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
