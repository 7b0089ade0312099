"""What a person sees: a bar on a terminal, lines elsewhere, and the demonstration from end to end."""

import functools
import os
import pty
import subprocess
import sys
from pathlib import Path

import pytest
from command_line import Run
from command_line import run as run

import eucentric.workflow
from eucentric.workflow import ProcessOutcome, WrittenPhantom, write_phantom_series

COMMAND = [sys.executable, "-c", "from eucentric.cli import main; main()", "reconstruct"]


def on_a_terminal(command: list[str]) -> str:
    """Run a command with a terminal as its standard error, and return what was drawn there."""
    ours, theirs = pty.openpty()
    environment = {**os.environ, "TERM": "xterm-256color", "COLUMNS": "120", "OMP_NUM_THREADS": "1"}
    with subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=theirs, env=environment):
        os.close(theirs)
        drawn = b""
        while True:
            try:
                some = os.read(ours, 4096)
            except OSError:  # how Linux says that the other end was closed
                break
            if not some:
                break
            drawn += some
    os.close(ours)
    return drawn.decode()


def test_a_bar_is_drawn_on_a_terminal_and_not_in_a_log(
    run: Run, phantom: WrittenPhantom, processed: ProcessOutcome, tmp_path: Path
) -> None:
    alignment = processed.folder / "alignment.json"
    command = [*COMMAND, str(phantom.stack), "--alignment", str(alignment), "-o", str(tmp_path / "out.mrc")]
    drawn = on_a_terminal(command)
    assert "Back-projecting" in drawn
    assert "━" in drawn
    assert "/21" in drawn
    log = run(*command[len(COMMAND) - 1 :])
    assert log.err.splitlines()[-1].startswith(f"Wrote {tmp_path / 'out.mrc'}: ")
    assert "\x1b" not in log.err
    assert "━" not in log.err
    assert "Back-projecting" not in log.err


def test_the_demonstration_runs_through_and_is_scored_against_the_truth(
    run: Run, phantom: WrittenPhantom, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    tilts_deg = [float(tilt) for tilt in range(-60, 61, 6)]
    small = functools.partial(write_phantom_series, tilts_deg=tilts_deg, size=64, pixel_A=80.0)
    monkeypatch.setattr(eucentric.workflow, "write_phantom_series", small)
    ran = run("demo", "--output", tmp_path / "demo", "--json")
    assert ran.status == 0
    assert Path(ran.json["outcome"]["report"]).is_file()
    assert ran.json["outcome"]["tilt_axis_uncertainty_deg"] is not None  # it was searched for
    # A tilt axis off by 1° moves the corners of 64 pixels by less than one; shifts are found to a fraction of that.
    assert abs(ran.json["score"]["axis_error_deg"]) < 1
    assert ran.json["score"]["shift_rms_px"] < 0.5
    assert "Against the truth: shifts to" in ran.err
    again = run("demo", "--output", tmp_path / "demo", "--json")
    assert "nothing had changed" in again.err
