"""kill -9 in the middle of a stage: the same command afterwards carries on from the last one that was done."""

import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from command_line import RUN_AND_DIE, Run, partials, stages_run
from command_line import run as run

from eucentric.io import open_mrc
from eucentric.session import RunStatus, read_history
from eucentric.workflow.records import ProcessOutcome
from phantoms.series import WrittenPhantom


@pytest.mark.parametrize(
    ("dies_at", "stage", "then_run"),
    [
        ("evidence.json", "align", ["align", "reconstruct", "assess", "report"]),
        ("tomogram.zarr", "reconstruct", ["reconstruct", "assess", "report"]),
    ],
)
def test_a_killed_run_is_carried_on(
    run: Run,
    phantom: WrittenPhantom,
    processed: ProcessOutcome,
    tmp_path: Path,
    dies_at: str,
    stage: str,
    then_run: list[str],
) -> None:
    session = tmp_path / "session"
    command = ["process", str(phantom.stack), "--output", str(session), "--axis", "84.3", "--json"]
    killed = subprocess.run(
        [sys.executable, "-c", RUN_AND_DIE, dies_at, *command], capture_output=True, text=True, check=False
    )
    assert killed.returncode == -9
    assert killed.stdout == ""
    (left,) = partials(session)
    assert left.name.endswith(dies_at)
    last = read_history(session)[-1]
    assert (last.stage, last.status) == (stage, RunStatus.INTERRUPTED)
    again = run(*command)
    assert again.status == 0
    assert f"ts: {stage} again, for last run interrupted: the process that ran it was killed" in again.err
    assert stages_run(again) == then_run
    assert partials(session) == []
    ours, whole = (open_mrc(folder / "tomogram.mrc").data for folder in (session / "series" / "ts", processed.folder))
    # Another process may have summed in another order.
    np.testing.assert_allclose(ours, whole, atol=1e-3 * float(whole.std()))
