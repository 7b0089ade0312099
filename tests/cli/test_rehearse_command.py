"""`eucentric rehearse`, as a user types it."""

import json
from pathlib import Path

import pytest
from command_line import Run
from command_line import run as run

from eucentric.cli import main
from eucentric.report.serialem_commands import commands_page
from eucentric.twin.serialem.doings import Doings

SCRIPT = """\
import serialem as sem
sem.MoveToNavItem(1)
sem.OpenNewFile("TS_001.mrc")
for tilt in (0, 3, -3):
    sem.TiltTo(tilt)
    sem.Record()
    sem.S()
print("took", int(sem.ReportFileZsize()))
"""
QUICK = ("--specimen", "beads", "--no-pixels", "--size", 256)


@pytest.fixture(autouse=True)
def _no_page(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    """Leave the report, which takes a second, to the test that looks at it."""
    if "report" not in request.node.name:
        monkeypatch.setattr("eucentric.workflow.rehearse.write_rehearsal_page", lambda *_, **__: None)


def write_script(folder: Path, text: str = SCRIPT) -> Path:
    path = folder / "script.py"
    path.write_text(text)
    return path


def test_a_script_is_rehearsed_and_told_with_its_report(run: Run, tmp_path: Path) -> None:
    out = tmp_path / "out"
    ran = run("rehearse", write_script(tmp_path), *QUICK, "--output", out, "--json")
    assert ran.status == 0
    assert (ran.json["script"], ran.json["ending"]) == ("script.py", "finished")
    assert [(one["name"], one["merit"]["images"]) for one in ran.json["targets"]] == [("TS_001", 3)]
    assert ran.json["exposures"]
    words = " ".join(ran.err.split())
    assert "script.py finished." in words
    assert "took 3" in words  # SerialEM's log
    assert "minutes by the microscope's clock" in words
    assert "rehearsal.html" in words
    assert f"eucentric process {out}" in words
    assert (out / "rehearsal.html").is_file()


def test_without_the_log_only_the_summary_is_told(run: Run, tmp_path: Path) -> None:
    ran = run("rehearse", write_script(tmp_path), *QUICK, "--output", tmp_path / "out", "--no-log")
    assert (ran.status, ran.json) == (0, None)
    assert "took 3" not in ran.err
    assert "took 3\n" in (tmp_path / "out" / "mdoc" / "serialem.log").read_text()


def test_the_folder_is_rehearsal_where_none_is_named(run: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    assert run("rehearse", write_script(tmp_path), *QUICK).status == 0
    again = run("rehearse", "script.py", *QUICK)
    assert again.status == 1
    assert "rehearsal: this folder is not empty" in " ".join(again.err.split())


@pytest.mark.parametrize(
    ("text", "line", "said"),
    [
        ("import serialem as sem\n\nsem.TiltToo(3)\n", 3, "has no attribute 'TiltToo'"),
        ("import serialem as sem\nsem.TiltTo(3, 0, 0, 0, 0)\n", 2, "TiltTo() takes at most 4 arguments (5 given)"),
        ("x = 1\nif x\n", 2, "SyntaxError"),
        ("import serialem as sem\nsem.FFT('A')\n", 2, "that the twin does not simulate"),
        ("import serialem as sem\nwhile True:\n    sem.Delay(1, 'min')\n", 3, "(--max-hours)"),
    ],
)
def test_a_script_that_goes_wrong_is_told_with_its_line_and_the_reason(
    run: Run, tmp_path: Path, text: str, line: int, said: str
) -> None:
    more = ("--max-hours", 0.5, "--no-log", "--json")  # the log has the script's own traceback
    ran = run("rehearse", write_script(tmp_path, text), *QUICK, "--output", tmp_path / "out", *more)
    assert ran.status == 1
    assert ran.json["line"] == line
    words = " ".join(ran.err.split())
    assert f"at line {line}" in words
    assert said in words


def test_a_loop_without_commands_is_stopped_after_the_silence_that_is_allowed(run: Run, tmp_path: Path) -> None:
    script = write_script(tmp_path, "while True:\n    pass\n")
    ran = run("rehearse", script, *QUICK, "--output", tmp_path / "out", "--silent", 0.5, "--json")
    assert (ran.status, ran.json["ending"]) == (1, "stopped")
    assert "called no command of SerialEM for 0.5 s" in ran.json["reason"]


def test_faults_strike_and_those_that_did_not_are_told(run: Run, tmp_path: Path) -> None:
    ran = run(
        "rehearse",
        write_script(tmp_path),
        *QUICK,
        "--output",
        tmp_path / "out",
        "--fail",
        "Record after 1: refuse no camera",
        "--fail",
        "AutoFocus at tilt 30: refuse",
        "--no-log",
        "--json",
    )
    assert (ran.status, ran.json["line"]) == (1, 6)
    words = " ".join(ran.err.split())
    assert "no camera" in words
    assert "AutoFocus at tilt 30: refuse" in words
    done = Doings.model_validate_json((tmp_path / "out" / "rehearsal.json").read_text())
    assert done.idle == ("AutoFocus at tilt 30: refuse",)


def test_a_fault_that_is_none_is_refused_with_what_was_meant(run: Run, tmp_path: Path) -> None:
    ran = run("rehearse", write_script(tmp_path), "--fail", "AutoFokus: refuse", "--output", tmp_path / "out")
    assert ran.status == 1
    assert 'Did you mean "AutoFocus"?' in " ".join(ran.err.split())
    assert not (tmp_path / "out").exists()


def test_dialogs_are_answered_from_a_file_and_an_unanswered_one_shows_how(run: Run, tmp_path: Path) -> None:
    script = write_script(tmp_path, "import serialem as sem\nif sem.YesNoBox('Is the slit in?'):\n    sem.TiltTo(3)\n")
    ran = run("rehearse", script, *QUICK, "--output", tmp_path / "one", "--json")
    assert (ran.status, ran.json["ending"], ran.json["line"]) == (1, "stopped", 2)
    assert "--answers FILE" in ran.json["reason"]
    answers = tmp_path / "answers.yaml"
    answers.write_text(ran.json["reason"].partition("for example:")[2])
    ran = run("rehearse", script, *QUICK, "--output", tmp_path / "two", "--answers", answers, "--json")
    assert (ran.status, ran.json["dialogs"]) == (0, 1)


def test_a_script_from_outside_must_connect_first(run: Run, tmp_path: Path) -> None:
    ran = run(
        "rehearse", write_script(tmp_path), *QUICK, "--no-inside", "--output", tmp_path / "one", "--no-log", "--json"
    )
    assert (ran.status, ran.json["line"]) == (1, 2)
    assert "ConnectToSEM" in ran.json["reason"]
    outside = write_script(tmp_path, SCRIPT.replace("sem.MoveTo", "sem.ConnectToSEM(48888, 'localhost')\nsem.MoveTo"))
    assert run("rehearse", outside, *QUICK, "--no-inside", "--output", tmp_path / "two").status == 0


@pytest.mark.parametrize(
    ("arguments", "status", "said"),
    [
        ((), 2, "Name a script"),
        (("{script}", "--targets", 0), 2, "targets"),
        (("{script}", "--size", 8), 2, "size"),
        (("{script}", "--max-hours", 0), 2, "max_hours"),
        (("{script}", "--targts", 3), 2, "--targets"),
        (("no_such.py",), 1, "there is no such script"),
        (("{script}", "--plan", "no_such.yaml"), 1, "no_such.yaml"),
        (("{script}", "--answers", "no_such.yaml"), 1, "no_such.yaml"),
        (("{script}", "--effects", "no-coma,no-comma"), 1, "no such effect"),
    ],
)
def test_wrong_usage_is_told_before_anything_is_written(
    run: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, arguments: tuple[object, ...], status: int, said: str
) -> None:
    monkeypatch.chdir(tmp_path)
    script = str(write_script(tmp_path))
    ran = run("rehearse", *(str(one).format(script=script) for one in arguments))
    assert ran.status == status
    assert said.lower().replace("_", "-") in " ".join(ran.err.lower().replace("_", "-").split())
    assert not (tmp_path / "rehearsal").exists()


def test_the_commands_are_listed_as_markdown(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["rehearse", "--commands"]) == 0
    assert capsys.readouterr().out == commands_page()


def test_help_has_an_example_that_is_a_command_line(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["rehearse", "--help"]) == 0
    words = " ".join(capsys.readouterr().out.split())
    assert "eucentric rehearse PACEtomo.py --specimen lamella --targets 3" in words
    assert "--no-pixels" in words


def test_the_json_is_that_of_the_record(run: Run, tmp_path: Path) -> None:
    ran = run("rehearse", write_script(tmp_path), *QUICK, "--output", tmp_path / "out", "--json")
    record = json.loads((tmp_path / "out" / "rehearsal.json").read_text())
    assert ran.json["seconds"] == record["seconds"]
    assert sum(ran.json["exposures"].values()) == sum(not one["before"] for one in record["taken"])
