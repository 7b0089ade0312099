"""`eucentric simulate` as it is met on the command line: what it says, refuses, and survives."""

import subprocess
import sys
from pathlib import Path

import pytest
from command_line import RUN_AND_DIE, Run, partials
from command_line import run as run

from eucentric.design import ConstantExposure, ConstantIncrement, Design, DoseSymmetric, Specimen
from eucentric.io import read_mdoc, write_plan
from eucentric.session import RunStatus, read_history
from eucentric.specimen.samples import SPECIMENS

QUICK = ("--specimen", "beads", "--size", "64", "--pixel", "12", "--frames", "2")


@pytest.fixture(scope="module")
def plan(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Three tilts of 800 Å of ice."""
    path = tmp_path_factory.mktemp("plan") / "plan.yaml"
    scheme = DoseSymmetric(min_deg=-30, max_deg=30, increment=ConstantIncrement(step_deg=30))
    design = Design(scheme=scheme, exposure=ConstantExposure(total_e_A2=12), specimen=Specimen(thickness_A=800))
    write_plan(path, design.plan())
    return path


def test_it_says_what_it_wrote_and_what_to_do_next(run: Run, plan: Path, tmp_path: Path) -> None:
    ran = run("simulate", plan, "--output", tmp_path / "s", *QUICK, "--json")
    assert ran.status == 0
    assert (ran.json["tilts"], ran.json["made_now"]) == (3, 3)
    assert f"eucentric process {ran.json['folder']}" in ran.err
    assert len(read_mdoc(Path(ran.json["mdoc"])).sections) == 3
    assert len(list((tmp_path / "s" / "frames").glob("*.tif"))) == 3


def test_the_list_has_every_specimen_with_a_picture(run: Run) -> None:
    listed = run("simulate", "--list", "--json").json["specimens"]
    assert [one["name"] for one in listed] == list(SPECIMENS)
    assert all(Path(one["picture"]).stat().st_size > 1000 for one in listed)
    told = run("simulate", "--list").err
    assert all(name in told for name in SPECIMENS)


@pytest.mark.parametrize(
    ("arguments", "status", "says"),
    [
        ((), 2, "Name a plan"),
        (("nowhere.yaml",), 1, "nowhere.yaml"),
        (("PLAN", "--specimen", "cel"), 1, 'Did you mean "cell"?'),
        (("PLAN", "--specimen", "nowhere.yaml"), 1, "nowhere.yaml"),
        (("PLAN", "--effects", "no-drfit"), 1, 'Did you mean "drift"?'),
        (("PLAN", "--size", "0"), 2, "--size 0"),
        (("PLAN", "--pixel", "-1"), 2, "--pixel"),
        (("PLAN", "--frames", "0"), 2, "--frames 0"),
        (("PLAN", "--detector", "k4"), 2, "--detector"),
        (("PLAN", "--format", "eer"), 2, "--format"),
        (("PLAN", "--resume"), 1, "no simulation of TS_001 to go on with"),
    ],
)
def test_wrong_calls_are_refused_in_words(
    run: Run,
    plan: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    arguments: tuple[str, ...],
    status: int,
    says: str,
) -> None:
    monkeypatch.chdir(tmp_path)
    given = [str(plan) if one == "PLAN" else one for one in arguments]
    ran = run("simulate", *given, "--output", tmp_path / "s")
    assert (ran.status, ran.json) == (status, None)
    assert says in " ".join(ran.err.split())
    assert not (tmp_path / "s" / "frames").exists()


def test_a_plan_that_cannot_be_is_refused(run: Run, plan: Path, tmp_path: Path) -> None:
    broken = tmp_path / "broken.yaml"
    broken.write_text(plan.read_text(encoding="utf-8").replace("max_deg: 30.0", "max_deg: 95.0"), encoding="utf-8")
    ran = run("simulate", broken, "--output", tmp_path / "s", *QUICK)
    assert ran.status == 1
    assert str(broken) in ran.err
    assert not (tmp_path / "s").exists()


def test_a_model_that_is_missing_or_malformed_is_named(run: Run, plan: Path, tmp_path: Path) -> None:
    specimen = tmp_path / "mine.yaml"
    specimen.write_text("ice: {thickness_A: 800}\nmolecules:\n- {model: model.pdb, count: 3}\n", encoding="utf-8")
    for written in (None, "ATOM  nonsense\n"):
        if written:
            (tmp_path / "model.pdb").write_text(written, encoding="utf-8")
        ran = run("simulate", plan, "--specimen", specimen, "--output", tmp_path / "s", "--size", "64", "--pixel", "12")
        assert ran.status == 1
        assert "model.pdb" in ran.err
        assert not (tmp_path / "s" / "frames").exists()


def test_other_things_in_the_folder_are_left_alone(run: Run, plan: Path, tmp_path: Path) -> None:
    (tmp_path / "thesis.tex").touch()
    ran = run("simulate", plan, "--output", tmp_path, *QUICK)
    assert ran.status == 1
    assert "thesis.tex" in ran.err
    assert [path.name for path in tmp_path.iterdir()] == ["thesis.tex"]


def test_ctrl_c_says_what_is_kept(run: Run, plan: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def stop(*_: object, **__: object) -> None:
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr("eucentric.workflow.simulate.write_movie", stop)
        ran = run("simulate", plan, "--output", tmp_path / "s", *QUICK)
    assert ran.status == 1
    assert "--resume goes on from there" in ran.err
    assert run("simulate", plan, "--output", tmp_path / "s", *QUICK, "--resume").status == 0


def test_a_killed_run_is_carried_on_to_the_same_files(run: Run, plan: Path, tmp_path: Path) -> None:
    killed, whole = tmp_path / "killed", tmp_path / "whole"
    command = ["simulate", str(plan), *QUICK, "--output"]
    dies_at = "TS_001_001_30.0.tif"
    ended = subprocess.run(
        [sys.executable, "-c", RUN_AND_DIE, dies_at, *command, str(killed)], capture_output=True, text=True, check=False
    )
    assert ended.returncode == -9
    assert [path.name for path in (killed / "frames").glob("TS*.tif")] == ["TS_001_000_0.0.tif"]
    assert run(*command, killed).status == 1  # not without being told
    last = read_history(killed)[-1]
    assert (last.stage, last.status) == ("simulate", RunStatus.INTERRUPTED)
    resumed = run(*command, killed, "--resume", "--json")
    assert (resumed.status, resumed.json["made_now"]) == (0, 2)
    assert partials(killed) == []
    assert run(*command, whole).status == 0
    for folder in ("frames", "mdoc", "truth"):
        for path in (whole / folder).rglob("*"):
            if path.is_file():
                assert (killed / path.relative_to(whole)).read_bytes() == path.read_bytes(), path.name


def test_a_full_disk_loses_nothing_that_was_whole(run: Run, plan: Path, small_disk: Path) -> None:
    output = small_disk / "s"
    ran = run("simulate", plan, "--specimen", "beads", "--size", "256", "--pixel", "4", "--output", output)
    assert ran.status == 1
    assert "the disk is full" in ran.err
    assert partials(output) == []
    subprocess.run(["mount", "-o", "remount,size=200m", str(small_disk)], check=True)
    again = run(
        "simulate", plan, "--specimen", "beads", "--size", "256", "--pixel", "4", "--output", output, "--resume"
    )
    assert again.status == 0
