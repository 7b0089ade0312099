"""`eucentric doctor` at the command line."""

import json
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from command_line import Run
from command_line import run as run

from eucentric.workflow import doctor
from eucentric.workflow.doctor import DoctorSettings
from eucentric.workflow.doctor.watch import Watched, watch

HEADER = """PixelSpacing = 2.5
Voltage = 300

[T =     Tilt axis angle = 85.3, binning = 1  spot = 8  camera = 2]
"""


def section(i: int) -> str:
    tilt = 3 * (i // 2 + i % 2) * (-1 if i % 2 else 1)
    return f"""
[ZValue = {i}]
TiltAngle = {tilt}
ExposureDose = 3
ExposureTime = 1
RotationAngle = 175.3
PriorRecordDose = {3 * i}
SubFramePath = D:\\frames\\TS_1_{i}.tif
NumSubFrames = 8
DateTime = 05-Nov-2023  15:2{i}:00
"""


CLEAN = HEADER + "".join(map(section, range(9)))


def write(folder: Path, text: str, name: str = "TS_1.mdoc") -> Path:
    (folder / name).write_text(text)
    return folder / name


def test_a_clean_file_is_0(run: Run, tmp_path: Path) -> None:
    ran = run("doctor", write(tmp_path, CLEAN), "--json")
    assert ran.status == 0
    assert ran.json["clean"]
    assert [view["imports"] for view in ran.json["series"][0]["views"]] == ["wrongly", "yes", "yes", "no"]
    assert "1 looked at, 0 with something to mend" in ran.err


def test_findings_are_1_and_tell_line_reason_and_remedy(run: Run, tmp_path: Path) -> None:
    path = write(tmp_path, CLEAN.replace("TiltAngle = 3\n", "TiltAngle=3\n"))
    ran = run("doctor", path, "--json")
    assert ran.status == 1
    finding = next(one for one in ran.json["series"][0]["findings"] if one["name"] == "separator")
    line = CLEAN.split("\n").index("TiltAngle = 3") + 1
    assert (finding["severity"], finding["lines"], finding["who"]) == ("error", [line], ["Warp"])
    for words in (
        f"{path}:{line}",
        "error separator",
        "Why: ",
        "To whom: Warp",
        "What to do: ",
        "RELION-5",
        "AreTomo3",
    ):
        assert words in ran.err


def test_copies_are_written_and_clean(run: Run, tmp_path: Path) -> None:
    path = write(tmp_path, CLEAN.replace("TiltAngle = 3\n", "TiltAngle=3\n"))
    ran = run("doctor", tmp_path, "--fix", tmp_path / "mended", "--json")
    (copy,) = ran.json["copies"]
    assert copy["copy_path"] == str(tmp_path / "mended" / "TS_1.mdoc")
    assert copy["changes"]
    assert "TiltAngle=3" in path.read_text()
    assert run("doctor", tmp_path / "mended").status == 0
    refused = run("doctor", tmp_path, "--fix", tmp_path)
    assert refused.status == 1
    assert "never changed" in refused.err


def test_only_the_programs_asked_for(run: Run, tmp_path: Path) -> None:
    path = write(tmp_path, CLEAN.replace("TiltAngle = 3\n", "TiltAngle=3\n"))
    ran = run("doctor", path, "--for", "relion5,imod", "--json")
    assert ran.status == 0
    assert [view["consumer"] for view in ran.json["series"][0]["views"]] == ["RELION-5", "IMOD"]


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        ((), "no path"),
        (("absent.mdoc",), "no such file"),
        ((".", "--for", "warp,pytom"), "pytom"),
        ((".", "--for", ","), "name a program"),
        ((".", "--frames", "absent"), "no such folder"),
        ((".", "--watch", "--fix", "out"), "do not go together"),
        ((".", "--poll", "0"), "--poll"),
    ],
)
def test_wrong_usage_is_2(run: Run, arguments: tuple[str, ...], says: str) -> None:
    ran = run("doctor", *arguments)
    assert ran.status == 2
    assert says in ran.err


def test_many_series_are_counted(run: Run, tmp_path: Path) -> None:
    for i in range(20):
        write(tmp_path, CLEAN.replace("TS_1_", f"TS_{i}_"), f"TS_{i}.mdoc")
    ran = run("doctor", tmp_path)
    assert ran.status == 0
    assert "20 looked at" in ran.err
    assert "--json has the series one by one" in ran.err


def test_names_in_brackets_are_no_markup(run: Run, tmp_path: Path) -> None:
    path = write(tmp_path, CLEAN, "TS_1[red].mdoc")
    assert "[red]" in run("doctor", path).err


def test_real_files(run: Run, real_data: Path) -> None:
    assert run("doctor", real_data / "mdoc").status == 1


def test_the_session_of_the_twin_is_clean(run: Run, movie_session: Path) -> None:
    ran = run("doctor", movie_session, "--json")
    assert {finding["name"] for one in ran.json["series"] for finding in one["findings"]} <= {"crosses-midnight"}
    assert ran.status == 0
    assert {view["consumer"]: view["frames"] for view in ran.json["series"][0]["views"]}["RELION-5"] == 9


class Clock:
    """A time that passes when it is slept, and what happens meanwhile."""

    def __init__(self, path: Path, *happenings: Callable[[], object]) -> None:
        self.now = path.stat().st_mtime
        self.happenings = iter(happenings)

    def time(self) -> float:
        return self.now

    def sleep(self, seconds: float) -> None:
        self.now += seconds
        next(self.happenings, lambda: None)()


def watched(path: Path, *happenings: Callable[[], object], looks: int) -> list[Watched]:
    clock = Clock(path, *happenings)
    rounds = watch([path], DoctorSettings(still_s=5, poll_s=2), clock=clock.time, sleep=clock.sleep)
    return [one for _, one in zip(range(looks), rounds, strict=False)]


def names(one: Watched) -> set[str]:
    return {finding.name for finding in one.news}


def test_while_a_file_grows_its_last_section_is_awaited(tmp_path: Path) -> None:
    half = CLEAN[: CLEAN.rindex("PriorRecordDose")]
    path = write(tmp_path, half)
    first, then = watched(path, looks=2)
    assert "half-written" not in names(first)
    assert "half-written" in names(then)  # it has stood still
    path = write(tmp_path, half)
    first, then = watched(path, lambda: path.write_text(CLEAN), looks=2)
    assert names(first) | names(then) == {"movies-not-found"}


def test_watching_tells_only_what_is_new(tmp_path: Path) -> None:
    path = write(tmp_path, CLEAN.replace("TiltAngle = 3\n", "TiltAngle=3\n"))
    spoilt = path.read_text().replace("RotationAngle = 175.3", "RotationAngle = 2")
    first, then = watched(path, lambda: path.write_text(spoilt), looks=2)
    assert "separator" in names(first)
    assert names(then) == {"tilt-axis"}
    assert {"separator", "tilt-axis"} <= {finding.name for finding in then.report.findings}


def test_ctrl_c_ends_watching_with_the_summary(
    run: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    path = write(tmp_path, CLEAN.replace("TiltAngle = 3\n", "TiltAngle=3\n"))

    def interrupted(paths: object, settings: DoctorSettings) -> Iterator[Watched]:
        yield next(watch([path], settings))
        raise KeyboardInterrupt

    monkeypatch.setattr(doctor, "watch", interrupted)
    ran = run("doctor", path, "--watch")
    assert ran.status == 1
    assert "1 looked at, 1 with something to mend" in ran.err
    from eucentric.cli import main

    main(["doctor", str(path), "--watch", "--json"])
    lines = capsys.readouterr().out.splitlines()
    assert "separator" in {json.loads(line)["name"] for line in lines}
