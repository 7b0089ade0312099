"""`eucentric acquire` and `eucentric session`, as a user types them."""

import io
import json
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
from command_line import Run
from command_line import run as run

from eucentric.cli import main
from eucentric.design import ConstantExposure, Design, DoseSymmetric
from eucentric.design.increments import ConstantIncrement
from eucentric.io import read_mdoc, write_plan
from eucentric.twin.log import read_log

TARGETS = """\
targets:
- {name: TS_001}
- {name: TS_002, y_A: 30000, x_A: 20000}
tracking: {y_A: -40000}
"""
KEYS = ["target", "order", "tilt_deg", "exposure_e_A2", "purpose", "state"]


@pytest.fixture
def plan(tmp_path: Path) -> Path:
    """Give a plan of five tilts."""
    scheme = DoseSymmetric(min_deg=-20.0, max_deg=20.0, increment=ConstantIncrement(step_deg=10.0))
    path = tmp_path / "plan.yaml"
    write_plan(path, Design(scheme=scheme, exposure=ConstantExposure(total_e_A2=10.0)).plan())
    return path


@pytest.fixture
def targets(tmp_path: Path) -> Path:
    path = tmp_path / "targets.yaml"
    path.write_text(TARGETS)
    return path


def test_a_plan_is_acquired_and_its_record_is_the_twin_s(run: Run, plan: Path, targets: Path, tmp_path: Path) -> None:
    session = tmp_path / "session"
    ran = run("acquire", plan, "--targets", targets, "--output", session, "--no-pixels", "--json")
    assert ran.status == 0
    assert ran.json["finish"] == "finished"
    assert [series["images"] for series in ran.json["series"]] == [5, 5]
    assert "tilt 5 of 5: -20.00°" in ran.err or "tilt 5 of 5: +20.00°" in ran.err
    assert "minutes by the microscope's clock" in ran.err
    listed = run("session", "exposures", session, "--json").json
    assert [list(one) for one in listed] == [KEYS] * len(listed)
    assert {one.pop("state") for one in listed} == {"delivered"}
    assert listed == [json.loads(line) for line in (session / "truth" / "exposures.jsonl").read_text().splitlines()]


def test_without_targets_there_is_one_on_the_axis(run: Run, plan: Path, tmp_path: Path) -> None:
    session = tmp_path / "session"
    assert run("acquire", plan, "--output", session, "--no-pixels", "--name", "TS_007").status == 0
    assert {one.target for one in read_log(session / "truth")} == {"TS_007", "tracking"}


def test_a_run_that_failed_is_resumed(run: Run, plan: Path, targets: Path, tmp_path: Path) -> None:
    session = tmp_path / "session"
    fail = ["--fail", "record order 2 target TS_001: crash"]
    ran = run("acquire", plan, "--targets", targets, "--output", session, "--no-pixels", *fail)
    assert ran.status == 1
    assert f"To go on: eucentric acquire --resume {session}" in ran.err
    again = run("acquire", "--resume", session, "--json")
    assert again.status == 0
    assert "nobody knows whether it was exposed; it counts as exposed" in again.err
    assert [(one["delivered"], one["uncertain"]) for one in again.json["series"]] == [(4, 1), (5, 0)]
    shown = run("session", "exposures", session)
    assert "uncertain" in shown.err
    assert "TS_001 10.00 e/Å²" in shown.err


def test_faults_that_struck_and_those_that_did_not_are_told(run: Run, plan: Path, tmp_path: Path) -> None:
    fail = ["--fail", "tilt at 10: refuse", "--fail", "tilt at 35: refuse"]
    ran = run("acquire", plan, "--output", tmp_path / "session", "--no-pixels", *fail, "--json")
    assert ran.json["idle"] == ["tilt at 35: refuse"]
    assert len(ran.json["struck"]) == 1
    assert 'Never struck: "tilt at 35: refuse"' in ran.err
    assert "Rehearsed: tilt" in ran.err


def test_an_uncertain_exposure_is_made_again_when_asked_for(
    run: Run, plan: Path, targets: Path, tmp_path: Path
) -> None:
    session = tmp_path / "session"
    fail = ["--fail", "record order 2 target TS_001: timeout-done", "--fail", "tilt at 20: crash"]
    run("acquire", plan, "--targets", targets, "--output", session, "--no-pixels", *fail)
    again = run("acquire", "--resume", session, "--uncertain", "retake", "--json")
    assert again.json["series"][0]["delivered"] == 5
    hits = [one.order or 0 for one in read_log(session / "truth") if (one.target, one.purpose) == ("TS_001", "record")]
    assert sorted(hits) == [0, 1, 2, 2, 3, 4]


@pytest.mark.parametrize(
    ("arguments", "status", "words"),
    [
        (["acquire"], 2, "Name a plan"),
        (["acquire", "PLAN", "--uncertain", "ask"], 2, "no terminal"),
        (["acquire", "PLAN", "--resume", "elsewhere"], 2, "name no others"),
        (["acquire", "--resume", "elsewhere"], 2, "no session there"),
        (["acquire", "PLAN", "--targets", "none.yaml"], 1, "none.yaml"),
        (["acquire", "PLAN", "--size", "3"], 2, "--size"),
        (["acquire", "PLAN", "--no-pixels", "--fail", "tilt: refused"], 1, "refuse"),
        (["acquire", "PLAN", "--microscope", "jeol"], 2, "microscope"),
        (["acquire", "PLAN", "--name", "../x"], 2, "--name ../x"),
        (["session", "exposures", "elsewhere"], 1, "not a session"),
        (["session", "stacks", "elsewhere", "--output", "x"], 1, "not a session"),
    ],
)
def test_wrong_usage_is_named(
    run: Run,
    plan: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    arguments: list[str],
    status: int,
    words: str,
) -> None:
    monkeypatch.chdir(tmp_path)
    ran = run(*(plan if one == "PLAN" else one for one in arguments))
    assert (ran.status, words in ran.err) == (status, True), ran.err


def test_without_serialem_s_module_it_says_what_is_missing(run: Run, plan: Path, tmp_path: Path) -> None:
    ran = run("acquire", plan, "--microscope", "serialem", "--host", "127.0.0.1", "--output", tmp_path / "session")
    assert ran.status == 1
    assert "SerialEM's Python module cannot be imported" in ran.err
    assert "Put the folder" in ran.err
    # Nothing was exposed: the same session can be begun again.
    assert run("acquire", plan, "--output", tmp_path / "session", "--no-pixels").status == 0


def test_events_can_be_shown(run: Run, plan: Path, tmp_path: Path) -> None:
    session = tmp_path / "session"
    run("acquire", plan, "--output", session, "--no-pixels")
    shown = run("session", "events", session)
    assert "acquisition.exposed" in shown.err
    listed = run("session", "events", session, "--json").json
    kinds = [event["kind"] for event in listed]
    assert kinds[0] == "session.opened"
    assert kinds[-1] == "acquisition.ended"
    later = run("session", "events", session, "--after", listed[-2]["id"], "--json").json
    assert [event["id"] for event in later] == [listed[-1]["id"]]


def test_an_acquisition_can_be_drawn(run: Run, plan: Path, targets: Path, tmp_path: Path) -> None:
    """Also one with an exposure of which nobody knows; two drawings are the same."""
    session = tmp_path / "session"
    fail = ["--fail", "record order 2 target TS_001: timeout-done"]
    run("acquire", plan, "--targets", targets, "--output", session, "--no-pixels", *fail)
    drawn = []
    for name in ("one.svg", "other.svg"):
        assert run("session", "figure", session, "--output", tmp_path / name).status == 0
        drawn.append((tmp_path / name).read_text())
    assert drawn[0] == drawn[1]
    assert all(words in drawn[0] for words in ("uncertain", "TS_002", "Missed by"))
    assert run("session", "figure", session, "--output", tmp_path / "one.bmp").status == 1


def test_images_become_stacks_in_both_orders(run: Run, plan: Path, tmp_path: Path) -> None:
    """Movies, .mdoc and stack of a session with pixels; `process` takes such a session (test_process_session)."""
    session, output = tmp_path / "session", tmp_path / "sorted"
    how = ["--size", 64, "--pixel", 60, "--specimen", "beads"]  # a field that the stage's misses do not leave
    ran = run("acquire", plan, "--output", session, *how, "--json")
    assert ran.status == 0
    assert len(list((session / "frames").glob("*.tif"))) == 5
    assert Path(ran.json["series"][0]["stack"]).exists()
    assert f"eucentric process {session}" in ran.err
    assert run("session", "stacks", session, "--output", output, "--json").status == 0
    tilts = [section.tilt_deg for section in read_mdoc(output / "TS_001.mrc.mdoc").sections]
    assert tilts == pytest.approx([-20, -10, 0, 10, 20])
    acquired = [section.tilt_deg for section in read_mdoc(session / "mdoc" / "TS_001.mrc.mdoc").sections]
    assert acquired == pytest.approx([0, 10, -10, -20, 20])


def test_ctrl_c_pauses_after_the_exposure_under_way(tmp_path: Path, plan: Path) -> None:
    session = tmp_path / "session"
    command = [sys.executable, "-c", "import sys; from eucentric.cli import main; sys.exit(main())"]
    how = ["--size", "128", "--pixel", "20", "--specimen", "beads", "--json"]
    child = subprocess.Popen(
        [*command, "acquire", str(plan), "--output", str(session), *how],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    log = session / "truth" / "exposures.jsonl"
    deadline = time.monotonic() + 60
    while time.monotonic() < deadline and not (log.exists() and len(log.read_text().splitlines()) >= 3):
        time.sleep(0.02)
    child.send_signal(signal.SIGINT)
    out, err = child.communicate(timeout=60)
    assert child.returncode == 0, err
    outcome = json.loads(out)
    assert outcome["finish"] == "paused"
    assert "Pausing after the exposure under way" in err
    assert outcome["series"][0]["uncertain"] == 0
    assert outcome["series"][0]["images"] < 5


def test_places_whose_beams_overlap_are_warned_of(run: Run, plan: Path, tmp_path: Path) -> None:
    close = tmp_path / "close.yaml"
    close.write_text("targets:\n- {name: A}\n- {name: B, y_A: 2000}\n")
    ran = run("acquire", plan, "--targets", close, "--output", tmp_path / "session", "--no-pixels")
    assert ran.status == 0
    assert "A and B are less than a field" in ran.err


def test_a_run_without_any_image_has_failed(run: Run, plan: Path, tmp_path: Path) -> None:
    fail = ["--fail", "image-shift times 0: refuse"]
    ran = run("acquire", plan, "--output", tmp_path / "session", "--no-pixels", *fail)
    assert ran.status == 1
    assert "0 images of 5 planned, 5 given up" in ran.err


class Terminal(io.StringIO):
    """What a user types."""

    def isatty(self) -> bool:
        return True


@pytest.mark.parametrize(("typed", "delivered"), [("y\n", 5), ("\n", 4), ("no\n", 4)])
def test_each_uncertain_exposure_is_asked_for(
    run: Run,
    plan: Path,
    targets: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    typed: str,
    delivered: int,
) -> None:
    session = tmp_path / "session"
    fail = ["--fail", "record order 2 target TS_001: crash"]
    run("acquire", plan, "--targets", targets, "--output", session, "--no-pixels", *fail)
    monkeypatch.setattr("sys.stdin", Terminal(typed))
    again = run("acquire", "--resume", session, "--uncertain", "ask", "--json")
    assert again.status == 0
    assert "Expose it again? [y/N]" in again.err
    assert again.json["series"][0]["delivered"] == delivered


def test_events_are_followed_as_lines_of_json(
    plan: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    session = tmp_path / "session"
    assert main(["acquire", str(plan), "--output", str(session), "--no-pixels"]) == 0
    capsys.readouterr()

    def leave(seconds: float) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr("eucentric.cli.session.time.sleep", leave)
    main(["session", "events", str(session), "--follow", "--json"])
    lines = capsys.readouterr().out.splitlines()
    assert json.loads(lines[0])["kind"] == "session.opened"
    assert json.loads(lines[-1])["kind"] == "acquisition.ended"
