"""Help, version, and wrong usage: status 2, the option's name, and what was meant."""

import subprocess
import sys
from pathlib import Path

import pytest
from command_line import Run
from command_line import run as run

from eucentric import __version__
from eucentric.cli import main

VERBS = ["demo", "design", "process", "reconstruct", "restore", "watch"]


def test_the_version_and_the_verbs_are_told(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["--version"]) == 0
    assert capsys.readouterr().out.strip() == __version__
    assert main(["--help"]) == 0
    out = capsys.readouterr().out
    assert all(verb in out for verb in VERBS)


@pytest.mark.parametrize("verb", VERBS)
def test_every_verb_explains_itself_with_an_example(verb: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert main([verb, "--help"]) == 0
    out = capsys.readouterr().out
    assert "Example: " in out
    assert f"eucentric {verb}" in out.split("Example: ")[1]
    assert all(option in out for option in ("--output", "--json"))
    assert ("--device" in out) == (verb != "design")  # nothing of a design is worth a GPU


@pytest.mark.parametrize(
    "arguments", [["--help"], ["process", "--help"], ["process", "x.mrc", "-o", "y", "--cutof", "1"]]
)
def test_help_does_not_wait_for_heavy_libraries(arguments: list[str]) -> None:
    script = (
        "import sys; from eucentric.cli import main; main(sys.argv[1:]);"
        "sys.exit(repr({'torch', 'numba', 'matplotlib', 'zarr', 'scipy'} & sys.modules.keys()))"
    )
    result = subprocess.run([sys.executable, "-c", script, *arguments], capture_output=True, text=True, check=False)
    assert result.stderr.strip().splitlines()[-1] == "set()"


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["proces", "x"], 'Did you mean "process"?'),
        (["process", "x", "-o", "y", "--cutof", "0.5"], "Did you mean --cutoff?"),
        (["process", "x", "-o", "y", "--filter", "rampp"], 'Did you mean "ramp"?'),
        (["process", "x"], "--output"),
        (["process", "-o", "y"], "STACKS"),
        (["process", "x", "-o", "y", "--bin", "two"], "--bin"),
        (["process", "x", "-o", "y", "--bin", "0"], "--bin 0: should be greater than or equal to 1"),
        (["process", "x", "-o", "y", "--cutoff", "3"], "--cutoff 3.0: should be less than or equal to 1"),
        (["process", "x", "-o", "y", "--cutoff", "nan"], "--cutoff nan"),
        (["process", "x", "-o", "y", "--axis", "inf"], "--axis inf"),
        (["process", "x", "-o", "y", "--max-shift", "0.9"], "--max-shift 0.9"),
        (["process", "x", "-o", "y", "--depth", "-1"], "--depth -1"),
        (["process", "x", "-o", "y", "--thickness", "0"], "--thickness 0"),
        (["process", "x", "-o", "y", "--mean-free-path", "0"], "--mean-free-path 0"),
        (["process", "x", "-o", "y", "--pixel", "-3"], "--pixel"),
        (["process", "x", "-o", "y", "--device", "gpu"], "--device"),
        (["process", "x", "-o", "y", "--name", "a/b"], "--name"),
        (["process", "x", "y", "-o", "z", "--angles", "a.tlt"], "--angles"),
        (["reconstruct", "x", "-o", "y"], "--alignment"),
        (["reconstruct", "x", "-o", "y", "--xf", "a.xf"], "--tlt"),
        (["reconstruct", "x", "-o", "y", "--alignment", "a.json", "--pixel", "3"], "--pixel"),
        (["reconstruct", "x", "-o", "y", "--alignment", "a.json", "--size", "4", "4"], "--size"),
        (["reconstruct", "x", "-o", "y", "--alignment", "a.json", "--falloff", "2"], "--falloff 2"),
    ],
)
def test_wrong_usage_is_named_and_leaves_nothing(
    run: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, arguments: list[str], said: str
) -> None:
    monkeypatch.chdir(tmp_path)
    ran = run(*arguments, "--json")
    assert (ran.status, ran.json) == (2, None)
    assert ran.err.startswith("Wrong usage: ")
    assert said in ran.err
    assert "--help" in ran.err
    assert list(tmp_path.iterdir()) == []


def test_the_package_runs_as_the_program_does() -> None:
    done = subprocess.run([sys.executable, "-m", "eucentric", "--version"], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == __version__
