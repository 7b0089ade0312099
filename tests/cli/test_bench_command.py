"""`eucentric bench`: a table and JSON of all that was timed, and refusals before any work."""

from pathlib import Path

import pytest
from command_line import Run
from command_line import run as run

from eucentric.cli import main


@pytest.mark.usefixtures("one_thread")
def test_every_task_has_times_errors_and_a_floor(run: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))  # so that no command of others is found
    ran = run("bench", "all", "--size", 64, "--repeat", 1, "--iterations", 4, "--json")
    assert ran.status == 0
    assert ran.json["settings"] == {"what": "all", "size": 64, "repeat": 1, "iterations": 4, "seed": 0}
    cases = {case["name"]: case for case in ran.json["cases"]}
    assert list(cases) == [
        "weighted back-projection",
        "SIRT",
        "alignment, axis given",
        "alignment, axis not given",
    ]
    for case in cases.values():
        ours, floor = case["rows"][0], case["floor"]
        assert ours["program"] == "eucentric"
        assert (ours["state"], ours["runs"], ours["ratio"]) == ("ran", 1, 1)
        assert 0 < ours["least_s"] <= ours["median_s"] <= ours["most_s"]
        assert floor["seconds"] > 0
        assert case["floors"] == pytest.approx(ours["median_s"] / floor["seconds"])
        assert f"Ours takes {case['floors']:.1f} times that." in ran.err
        for row in case["rows"]:
            assert row["program"] in ran.err
    assert cases["weighted back-projection"]["rows"][1]["state"] == "not installed"
    assert "not installed" in ran.err
    # Without noise the blobs come back up to the pixel; four rounds of SIRT have not got that far.
    assert cases["weighted back-projection"]["rows"][0]["accuracy"]["fsc"] > 0.93
    assert cases["SIRT"]["rows"][0]["accuracy"]["fsc"] > 0.8
    given, found = (cases[f"alignment, axis {axis}"]["rows"][0]["accuracy"] for axis in ("given", "not given"))
    assert given["shift_rms_px"] < 0.4  # of images of 64 pixels, with up to 4 pixels of shift
    assert given["axis_error_deg"] == 0
    assert found["shift_rms_px"] < 0.5
    assert abs(found["axis_error_deg"]) < 3


@pytest.mark.parametrize(
    ("arguments", "status", "said"),
    [
        (["reconstrct"], 2, 'Did you mean "reconstruct"?'),
        (["--size", "63"], 2, "--size 63"),
        (["--repeat", "0"], 2, "--repeat 0"),
        (["--iterations", "-1"], 2, "--iterations -1"),
        (["--peers-pyton", "x"], 2, "Did you mean --peers-python?"),
        (["--peers-python", "/absent/python"], 1, "Give the path of a Python in --peers-python"),
    ],
)
def test_what_cannot_be_timed_is_refused_before_any_work(
    run: Run, arguments: list[str], status: int, said: str
) -> None:
    ran = run("bench", *arguments, "--json")
    assert (ran.status, ran.json) == (status, None)
    assert said in " ".join(ran.err.split())


def test_help_has_an_example(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["bench", "--help"]) == 0
    assert "eucentric bench" in capsys.readouterr().out.split("Example: ")[1]
