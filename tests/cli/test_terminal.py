"""What a person sees: a bar on a terminal, lines elsewhere, and the demonstration from end to end."""

import os
import pty
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from command_line import Run
from command_line import run as run

from eucentric.design import ConstantIncrement, Design, DoseSymmetric, Specimen
from eucentric.workflow.records import ProcessOutcome
from phantoms.series import WrittenPhantom

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


def test_the_demonstration_runs_through_and_is_compared_with_the_truth(
    run: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    scheme = DoseSymmetric(increment=ConstantIncrement(step_deg=6))
    plan = Design(scheme=scheme, specimen=Specimen(thickness_A=1500)).plan()
    monkeypatch.setattr("eucentric.cli.demo._plan", lambda: plan)
    monkeypatch.setattr("eucentric.cli.demo._SIZE", 96)
    monkeypatch.setattr("eucentric.cli.demo._PIXEL_A", 46.0)
    ran = run("demo", "--output", tmp_path / "demo", "--json")
    assert ran.status == 0
    assert Path(ran.json["outcome"]["report"]).is_file()
    assert (tmp_path / "demo" / "comparison.png").stat().st_size > 10_000
    found = ran.json["comparison"]
    # A tilt axis off by 1° moves the corners of 96 pixels by less than one; shifts are found to a fraction of that.
    assert abs(found["axis_measured_deg"] - found["axis_true_deg"]) < 1
    assert found["score"]["shift_rms_px"] < 0.6
    # Gold and proteins take some per cent of what bare ice of that thickness lets through.
    ratio = np.array(found["counts_predicted"]) / np.array(found["counts_true"])
    assert ratio.min() > 0.97
    assert ratio.max() < 1.15
    np.testing.assert_allclose(found["counts_measured"], found["counts_true"], rtol=0.02)
    assert "predicted" in ran.err
    again = run("demo", "--output", tmp_path / "demo", "--json")
    assert again.json["simulated"]["made_now"] == 0
    assert "nothing had changed" in again.err
