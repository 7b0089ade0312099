"""`eucentric session exclude` and `include`: what they say, and what the next processing of a stack does of it."""

import shutil
from pathlib import Path

import pytest
from command_line import Run, stages_run
from command_line import run as run

from eucentric.report import ReportInput
from eucentric.workflow.records import ProcessOutcome
from phantoms.series import WrittenPhantom


@pytest.fixture
def session(processed: ProcessOutcome, tmp_path: Path) -> Path:
    return shutil.copytree(processed.folder.parents[1], tmp_path / "session")


def test_a_tilt_of_a_stack_is_excluded_and_left_out(
    session: Path, phantom: WrittenPhantom, run: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    def write(path: Path, data: ReportInput, _: object) -> None:
        path.write_text(data.series.name)  # pictures take longer than all the rest

    monkeypatch.setattr("eucentric.workflow.process.write_report", write)
    ran = run("session", "exclude", session, "ts", "4", "20", "--reason", "grid bar", "--json")
    assert (ran.status, ran.json) == (0, {"series": "ts", "excluded": {"4": "grid bar", "20": "grid bar"}})
    assert "eucentric process" in ran.err
    ran = run("session", "include", session, "ts", "20", "--json")
    assert ran.json["excluded"] == {"4": "grid bar"}
    quick = ("--axis", "84.3", "--depth", "2000", "--rounds", "1")
    ran = run("process", phantom.stack, "--output", session, *quick, "--json")
    assert stages_run(ran) == ["align", "reconstruct", "assess", "report"]
    assert ran.json["series"][0]["tilts_left_out"] == {"4": "excluded: grid bar"}
    ran = run("session", "exclude", session, "ts", "4", "--reason", "grid bar")
    assert "nothing is to be done again" in ran.err
    ran = run("session", "include", session, "ts", "--json")
    assert ran.json["excluded"] == {}
    assert "excluded are none" in ran.err


def test_what_cannot_be_excluded_is_told(session: Path, run: Run) -> None:
    assert run("session", "exclude", session, "ts").status == 2
    ran = run("session", "exclude", session, "ts", "21")
    assert ran.status == 1
    assert "0–20" in ran.err
    ran = run("session", "exclude", session, "tss", "1")
    assert 'Did you mean "ts"?' in ran.err
    ran = run("session", "exclude", session, "ts", *range(17))
    assert "4 of 21 tilts would be left" in ran.err
