"""Runs a command line in this process, and holds its two streams to what every verb promises."""

import json
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from eucentric.cli import main


@dataclass(frozen=True)
class Ran:
    """What a command line left: its status, what stands on standard error, and the JSON if there was any."""

    status: int
    err: str
    json: Any


Run = Callable[..., Ran]


@pytest.fixture
def run(capsys: pytest.CaptureFixture[str]) -> Run:
    """Run a command line; standard output must hold one JSON document or nothing."""

    def run(*arguments: object) -> Ran:
        capsys.readouterr()
        status = main([str(argument) for argument in arguments])
        out, err = capsys.readouterr()
        assert "Traceback" not in err
        return Ran(status, err, json.loads(out) if out else None)

    return run


def partials(folder: Path) -> list[Path]:
    """Return what a stage has left half-written."""
    return [path for path in folder.rglob(".*") if path.name.startswith((".partial-", ".aside-"))]


def stages_run(ran: Ran, series: int = 0) -> list[str]:
    """Return the stages that the JSON says have run."""
    return [stage["stage"] for stage in ran.json["series"][series]["stages"] if stage["ran"]]


# Takes a file's name and a command line; dies as if by the hand of another when that file is whole but not yet under
# its name.
RUN_AND_DIE = """
import os, signal, sys
import numba, torch
import eucentric.core.files as files
from eucentric.cli import main

numba.set_num_threads(1)
torch.set_num_threads(1)
put_in_place = files._put_in_place

def die(partial, path):
    if path.name == sys.argv[1]:
        os.kill(os.getpid(), signal.SIGKILL)
    put_in_place(partial, path)

files._put_in_place = die
sys.exit(main(sys.argv[2:]))
"""
