"""`eucentric design` as a user meets it: the plan, its table and JSON, comparisons, the search, exports, refusals."""

import json
import re
from pathlib import Path
from typing import Any

import pytest
from command_line import Run
from command_line import run as run

from eucentric.cli import main

EXAMPLE = ["design", "--scheme", "dose-symmetric", "--range", "60", "--step", "3", "--group", "2", "--exposure", "120",
           "--thickness", "2000", "--pixel", "1.35"]  # fmt: skip
EXPOSURE_KEYS = {"order", "tilt_deg", "exposure_e_A2", "pre_exposure_e_A2", "frames", "defocus_A", "thickness_A",
                 "transmission", "counts_per_px", "time_s"}  # fmt: skip
SUMMARY_KEYS = {"missing_wedge_fraction", "elongation", "crowther_A", "reversals", "stage_travel_deg", "duration_s",
                "information_bits", "asymmetry", "transfer"}  # fmt: skip


def shown(capsys: pytest.CaptureFixture[str], *arguments: object) -> tuple[int, str, str]:
    """Run a command line that prints for a person."""
    capsys.readouterr()
    status = main([str(argument) for argument in arguments])
    out, err = capsys.readouterr()
    return status, out, err


def test_the_example_writes_a_plan_and_tells_what_it_will_yield(run: Run, tmp_path: Path) -> None:
    plan = tmp_path / "plan.yaml"
    made = run(*EXAMPLE, "--output", plan, "--json")
    assert made.status == 0
    assert plan.exists()
    assert str(plan) in made.err
    exposures, summary = made.json["exposures"], made.json["summary"]
    assert all(set(one) >= EXPOSURE_KEYS for one in exposures)
    assert set(summary) >= SUMMARY_KEYS
    assert [one["tilt_deg"] for one in exposures[:9]] == [0, -3, -6, 3, 6, -9, -12, 9, 12]
    assert sum(one["exposure_e_A2"] for one in exposures) == pytest.approx(120)
    assert summary["missing_wedge_fraction"] == pytest.approx(1 / 3)
    assert summary["crowther_A"] == pytest.approx(209.4, abs=0.1)
    assert 0 < exposures[0]["time_s"] < exposures[-1]["time_s"] < summary["duration_s"]
    again = run("design", "show", plan, "--json")
    assert again.json == made.json


@pytest.mark.parametrize(
    ("options", "transfer", "asymmetry"),
    [
        (["--scheme", "unidirectional"], 0.182, 0.96),
        (["--scheme", "bidirectional"], 0.221, 0.97),
        (["--scheme", "bidirectional", "--start", "-21"], 0.228, 0.61),
        (["--scheme", "dose-symmetric"], 0.232, 0.02),
    ],
)
def test_published_transfer_and_asymmetry(run: Run, options: list[str], transfer: float, asymmetry: float) -> None:
    summary = run("design", *options, "--json").json["summary"]
    assert summary["transfer"] == pytest.approx(transfer, abs=5e-4)
    assert summary["asymmetry"] == pytest.approx(asymmetry, abs=5e-3)


def test_the_table_fits_a_terminal_and_says_each_thing(capsys: pytest.CaptureFixture[str]) -> None:
    status, out, err = shown(capsys, *EXAMPLE)
    assert status == 0
    assert err == ""
    lines = out.splitlines()
    rows = lines[1:42]
    assert max(len(line) for line in lines[:42]) <= 80
    assert "…" not in out
    assert rows[1].split() == ["1", "-3.00", "2.93", "2.9", "8", "3.00", "2003", "0.530", "2.82", "0.49", "2.2", "0:37"]
    assert "41 tilts, 120.0 e/Å²" in out
    assert "missing wedge 33.3%, elongation 1.55, slab sampled to 209 Å" in out


def test_options_change_a_plan_that_is_given(run: Run, tmp_path: Path) -> None:
    first, second = tmp_path / "a.yaml", tmp_path / "b.json"
    options = ["--voltage", "200", "--scheme", "bidirectional", "--start", "-21", "--range", "51"]
    run("design", *options, "-o", first, "--json")
    run("design", "--from", first, "--step", "1.5", "--times-at-60", "2", "-o", second, "--json")
    design = json.loads(second.read_text())["design"]
    assert design["lens"]["voltage_kV"] == 200
    assert design["scheme"]["kind"] == "bidirectional"
    assert (design["scheme"]["start_deg"], design["scheme"]["max_deg"]) == (-21, 51)
    assert design["scheme"]["increment"]["step_deg"] == 1.5
    assert design["exposure"] == {"kind": "inverse-cosine", "total_e_A2": 120, "untilted_e_A2": None, "times_at_60": 2}


def test_each_option_reaches_its_field(run: Run, tmp_path: Path) -> None:
    """Every plain option, each with a value that is not its default."""
    from eucentric.cli.design.options import _FIELDS

    values: dict[str, object] = {
        "increment": "saxton", "order": "pacetomo", "first": "negative", "group": 3, "grow_by": 1, "times_at_60": 1.5,
        "min": -48, "max": 57, "start": 3, "voltage": 200, "pre_tilt": 5, "mean_free_path": 3000,
        "stage_min": -80, "stage_max": 80,
    }  # fmt: skip
    for option, path in _FIELDS.items():
        value = values.get(option, 7)
        got = run("design", f"--{option.replace('_', '-')}", value, "--json").json["design"]
        for name in path.split("."):
            got = got[name]
        assert got == value, option


def test_other_ways_to_say_it(run: Run, tmp_path: Path) -> None:
    def exposures(*options: object) -> list[dict[str, Any]]:
        made = run("design", *options, "--json")
        assert made.status == 0, made.err
        listed: list[dict[str, Any]] = made.json["exposures"]
        return listed

    hybrid = exposures("--untilted-exposure", 20)
    assert hybrid[0]["exposure_e_A2"] == 20
    assert hybrid[1]["exposure_e_A2"] == pytest.approx(100 / 40)
    per_tilt = exposures("--exposure-per-tilt", 3.2, "--frame-exposure", 0.4)
    assert {one["exposure_e_A2"] for one in per_tilt} == {3.2}
    assert {one["frames"] for one in per_tilt} == {8}
    rounded = exposures("--frame-exposure", 0.4, "--frame-rounding", "nearest", "--times-at-60", 2)
    assert len({one["frames"] for one in rounded}) > 1
    counts = [one["counts_per_px"] for one in exposures("--weighting", "equal-counts")]
    assert max(counts) == pytest.approx(min(counts))
    listed = tmp_path / "tilts.rawtlt"
    listed.write_text("10\n0\n-30\n")
    assert [one["tilt_deg"] for one in exposures("--angles", listed)] == [10, 0, -30]
    staggered = exposures("--defocus", 20_000, "--defocus-to", 40_000, "--series", 3, "--index", 1)
    assert staggered[0]["defocus_A"] == pytest.approx(20_000 * 2**0.5)
    even = exposures("--defocus", 20_000, "--defocus-to", 40_000, "--series", 3, "--index", 1, "--spacing", "even")
    assert {one["defocus_A"] for one in even} == {30_000}
    lamella = exposures("--pre-tilt", 10, "--range", 60)
    assert lamella[0]["tilt_deg"] == 10
    assert lamella[0]["slab_tilt_deg"] == 0


def test_figures_are_drawn(run: Run, tmp_path: Path) -> None:
    one = run("design", "--defocus-to", 40_000, "--figure", tmp_path / "one.png", "--json")
    assert one.status == 0
    assert (tmp_path / "one.png").read_bytes().startswith(b"\x89PNG")
    assert (tmp_path / "one_ctf.png").exists()


def test_plans_side_by_side(run: Run, capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    plans = [tmp_path / "symmetric.yaml", tmp_path / "one-way.yaml"]
    for plan, scheme in zip(plans, ("dose-symmetric", "unidirectional"), strict=True):
        run("design", "--scheme", scheme, "-o", plan, "--json")
    picture = tmp_path / "comparison.svg"
    compared = run("design", "compare", *plans, "--output", picture, "--json")
    assert compared.status == 0
    assert "<svg" in picture.read_text(encoding="utf-8")
    assert [one["name"] for one in compared.json["plans"]] == ["symmetric", "one-way"]
    assert compared.json["plans"][0]["summary"]["transfer"] > compared.json["plans"][1]["summary"]["transfer"]
    status, out, _ = shown(capsys, "design", "compare", *plans, "--output", picture)
    assert status == 0
    assert re.search(r"transfer at 10 Å\s+0\.232\s+0\.182", out)
    assert re.search(r"reversals\s+20\s+0", out)


def test_the_search_tells_its_winner_and_writes_it(run: Run, tmp_path: Path) -> None:
    best = tmp_path / "best.yaml"
    options = [
        "design",
        "optimise",
        "--thickness",
        "2000",
        "--exposure",
        "120",
        "--goal",
        "bits",
        "--max-minutes",
        "20",
    ]
    found = run(*options, "-o", best, "--figure", tmp_path / "spot.png", "--json")
    assert found.status == 0
    assert found.json["tried"] >= 2000
    assert found.json["limited_by"] in found.json["gains"]
    assert found.json["best"]["minutes"] <= 20
    assert (tmp_path / "spot.png").exists()
    plan = run("design", "show", best, "--json").json
    assert plan["summary"]["tilts"] == found.json["best"]["tilts"]
    assert plan["summary"]["exposure_e_A2"] == pytest.approx(120)


def test_the_search_in_words(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("eucentric.design.optimiser.SearchSpace", lambda: _tiny())
    status, out, _ = shown(capsys, "design", "optimise", "--max-minutes", "30")
    assert status == 0
    assert "Best of" in out
    assert "Limited by" in out
    assert "Within 1% of it" in out
    assert "The sweet spot" in out
    assert "…" not in out


@pytest.mark.parametrize(("to", "ending"), [("serialem", "_serialem.py"), ("pacetomo", "_tgts.txt"), ("csv", ".csv")])
def test_plans_go_to_acquisition_programs(run: Run, tmp_path: Path, to: str, ending: str) -> None:
    plan = tmp_path / "plan.yaml"
    run("design", "--group", "2", "--order", "pacetomo", "-o", plan, "--json")
    exported = run("design", "export", plan, "--to", to, "--json")
    assert exported.status == 0, exported.err
    written = Path(exported.json["written"])
    assert written == tmp_path / f"plan{ending}"
    assert written.stat().st_size > 100


def test_a_plan_that_pacetomo_cannot_do_is_refused(run: Run, tmp_path: Path) -> None:
    plan = tmp_path / "plan.yaml"
    run("design", "--scheme", "unidirectional", "-o", plan, "--json")
    refused = run("design", "export", plan, "--to", "pacetomo", "-o", tmp_path / "x.txt")
    assert refused.status == 1
    assert "scheme" in refused.err
    assert not (tmp_path / "x.txt").exists()


def test_the_schema_is_printed(run: Run) -> None:
    schema = run("design", "schema")
    assert schema.status == 0
    assert {"design", "exposures"} <= set(schema.json["properties"])


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["--range", "75"], "--range is 75; permitted: -70 to 70, by the limits of the stage (-70 to 70)."),
        (["--range", "60", "--pre-tilt", "15"], "--range is 60; permitted: -85 to 55, by the limits of the stage"),
        (["--step", "50", "--range", "20"], "--step is 50; permitted: up to 40, the extent of the range."),
        (["--step", "-3"], "--step is -3: should be greater than or equal to 0.05."),
        (["--exposure", "-1"], "--exposure is -1: should be greater than or equal to 0."),
        (["--frame-exposure", "0.4"], "--frame-exposure is 0.4; permitted: what divides a tilt's 2.927 e/Å², such as"),
        (["--frames", "0"], "--frames is 0: should be greater than or equal to 1."),
        (["--frames", "8", "--frame-exposure", "1"], "--frames and --frame-exposure say the same"),
        (["--pre-tilt", "61"], "--pre-tilt is 61: should be less than or equal to 60."),
        (["--start", "70"], "--start is 70; permitted: -60 to 60, within the range."),
        (["--min", "20", "--max", "10"], "--max is 10; permitted: above --min, which is 20."),
        (["--thickness", "0"], "--thickness is 0: should be greater than 0."),
        (["--thickness", "nan"], "--thickness is nan"),
        (["--untilted-exposure", "130"], "--untilted-exposure is 130; permitted: below the total, 120 e/Å²."),
        (["--index", "3"], "--index goes with --defocus-to."),
        (["--defocus-to", "40000", "--index", "5"], "--index is 5; permitted: 0 to 4, for 5 series."),
        (["--scheme", "dose-symetric"], 'Did you mean "dose-symmetric"?'),
        (["--scheme", "hybrid"], "--scheme hybrid is made with --untilted-exposure"),
        (["--order", "pacetom"], 'Did you mean "pacetomo"?'),
        (["--weighting", "constnat"], 'Did you mean "constant"?'),
        (["--grup", "2"], "Did you mean --group?"),
        (["--voltage", "3"], "--voltage is 3: should be greater than or equal to 60."),
    ],
)
def test_what_cannot_be_is_refused_by_its_option(run: Run, arguments: list[str], said: str, tmp_path: Path) -> None:
    plan = tmp_path / "plan.yaml"
    refused = run("design", *arguments, "--output", plan)
    assert refused.status == 2
    assert said in " ".join(refused.err.split())
    assert not plan.exists()


@pytest.mark.parametrize(
    ("arguments", "status", "said"),
    [
        (
            ["--scheme", "unidirectional", "--group", "2"],
            2,
            "--group does not go with a scheme that is uni",
        ),
        (["--from", "listed", "--step", "2"], 2, "--step does not go with a scheme that is explicit."),
        (["--from", "listed", "--range", "50"], 2, "--range does not go with a scheme that is explicit."),
        (["optimise", "--weighting", "constant"], 2, "--weighting is for the search to find"),
        (["optimise", "--exposure", "-5"], 2, "--exposure is -5; permitted: above 0"),
        (["optimise", "--goal", "resolution", "--target", "2"], 1, "No design reaches 2 Å: Nyquist is at 2.7 Å."),
    ],
)
def test_options_that_do_not_go_together(
    run: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, arguments: list[str], status: int, said: str
) -> None:
    monkeypatch.setattr("eucentric.design.optimiser.SearchSpace", lambda: _tiny())
    (tmp_path / "tilts.rawtlt").write_text("0\n3\n-3\n")
    run("design", "--angles", tmp_path / "tilts.rawtlt", "-o", tmp_path / "listed.yaml", "--json")
    refused = run("design", *(tmp_path / "listed.yaml" if one == "listed" else one for one in arguments))
    assert refused.status == status
    assert said in " ".join(refused.err.split())


def test_a_search_starts_from_any_plan_and_any_lamella(
    run: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("eucentric.design.optimiser.SearchSpace", lambda: _tiny())
    (tmp_path / "tilts.rawtlt").write_text("0\n3\n-3\n")
    plan = tmp_path / "listed.yaml"
    run("design", "--angles", tmp_path / "tilts.rawtlt", "--exposure-per-tilt", "20", "-o", plan, "--json")
    found = run("design", "optimise", "--from", plan, "--pre-tilt", "20", "--frame-exposure", "0.4", "--json")
    assert found.status == 0, found.err
    best = found.json["best"]["design"]
    assert best["exposure"]["total_e_A2"] == pytest.approx(60)
    assert best["specimen"]["pre_tilt_deg"] == 20
    assert best["frames"] == {"kind": "equal-exposure", "each_e_A2": 0.4, "rounding": "nearest"}


def test_a_hybrid_plan_is_changed_in_its_rest(run: Run, tmp_path: Path) -> None:
    plan = tmp_path / "hybrid.yaml"
    run("design", "--untilted-exposure", "20", "-o", plan, "--json")
    changed = run("design", "--from", plan, "--step", "2", "--range", "50", "--json").json
    assert changed["design"]["scheme"]["untilted_e_A2"] == 20
    assert len(changed["exposures"]) == 51


def _tiny() -> Any:
    from eucentric.design import SearchSpace

    return SearchSpace(half_ranges_deg=(54.0,), steps_deg=(2.0,), groups=(1,), starts=(0.0,), times_at_60=(1.0,))


def test_a_misspelt_field_of_a_file_is_named_with_what_was_meant(run: Run, tmp_path: Path) -> None:
    plan = tmp_path / "plan.yaml"
    plan.write_text("design:\n  specimen:\n    thicknes_A: 1000\n")
    refused = run("design", "show", plan)
    assert refused.status == 1
    assert str(plan) in refused.err
    assert 'Did you mean "thickness_A"?' in " ".join(refused.err.split())


@pytest.mark.parametrize("command", ["show", "compare", "optimise", "export", "schema"])
def test_every_command_explains_itself_with_an_example(command: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["design", command, "--help"]) == 0
    assert f"eucentric design {command}" in capsys.readouterr().out.split("Example: ")[1]
