"""The script is run for real, on a small recording microscope behind a module named serialem."""

import ast
import json
import os
import re
import sys
import warnings
from collections import Counter
from collections.abc import Callable, Iterator
from functools import cache
from pathlib import Path
from tempfile import TemporaryDirectory
from types import CodeType
from typing import Any

import pytest
from hypothesis import given, settings
from plan_cases import designs

from eucentric.core import FormatWarning, InputError
from eucentric.design import (
    ConstantExposure,
    ConstantIncrement,
    Design,
    DoseSymmetric,
    Explicit,
    ExplicitExposure,
    FrameExposure,
    Plan,
    Routine,
    Stage,
    Unidirectional,
)
from eucentric.io import read_mdoc, write_serialem_script

COMMANDS = {
    # Name and arguments as in SerialEM's master list of commands (MacroMasterList.h): D, S and I are a number, a
    # string and a whole number, small letters optional ones.
    "AddToAutodoc": "SS",
    "AlignTo": "Siiiidddi",
    "AutoFocus": "ii",
    "CloseFile": "s",
    "Copy": "SS",
    "Delay": "Ds",
    "EchoBreakLines": "s",
    "ImageProperties": "s",
    "LimitNextAutoAlign": "D",
    "OpenNewFile": "S",
    "OpenOldFile": "S",
    "Record": "",
    "ReportAlignShift": "",
    "ReportAutoFocus": "",
    "ReportAxisPosition": "S",
    "ReportColumnOrGunValve": "",
    "ReportCurrentFilename": "i",
    "ReportDirectory": "",
    "ReportFileNumber": "",
    "ReportFileZsize": "",
    "ReportLowDose": "",
    "ReportProperty": "S",
    "ReportTiltAngle": "",
    "RestoreCameraSet": "s",
    "Save": "si",
    "SetExposure": "SDd",
    "SetFrameTime": "SD",
    "SetTargetDefocus": "D",
    "TiltTo": "Didd",
    "Trial": "",
    "WriteAutodoc": "",
}
KINDS = {"D": (int, float), "S": (str,), "I": (int,)}


class Killed(BaseException):
    """The run ends here, as when the user presses STOP or the computer loses power."""


class SemError(Exception):
    """What SerialEM raises when a command fails."""


class Microscope:
    """Keeps the specimen's account: what hit it, at which tilt, for how long. Survives the runs of a script."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.tilt_deg = 0.0
        self.moves: list[tuple[float, float]] = []
        self.low_dose, self.valves, self.limit_deg, self.area_um, self.mdoc = 1, 1, 70.0, 5.0, True
        self.target_um, self.focus_error, self.camera_factor, self.stage_error_deg = 0.0, 0, 1.0, 0.0
        self.exposure_s = self.frame_s = 0.0
        self.records: list[dict[str, Any]] = []
        self.trials: list[float] = []
        self.focused: list[tuple[float, float]] = []
        self.open_file: Path | None = None
        self.buffers: dict[str, Any] = {}
        self.commands: list[str] = []
        self.log: list[str] = []
        self.kill_at: int | None = None
        self.kill_after = False
        self.progress_sizes: list[int] = []

    def __getattr__(self, name: str) -> Callable[..., Any]:
        if name not in COMMANDS:
            raise AttributeError(f"SerialEM has no command {name} that this script is known to use")

        def command(*given: Any) -> Any:
            keys = COMMANDS[name]
            assert sum(key.isupper() for key in keys) <= len(given) <= len(keys), (name, given)
            for key, value in zip(keys, given, strict=False):
                assert isinstance(value, KINDS[key.upper()]), (name, given)
                assert not isinstance(value, bool)
            at = len(self.commands)
            self.commands.append(name)
            self.progress_sizes.append(sum(p.stat().st_size for p in self.folder.glob("*.progress.txt")))
            if at == self.kill_at and not self.kill_after:
                raise Killed
            result = getattr(self, f"do_{name}")(*given)
            if at == self.kill_at:
                raise Killed
            return result

        return command

    # Each command, as it is in SerialEM: several values come as a tuple, one alone as it is.
    def do_ReportDirectory(self) -> str:
        return str(self.folder)

    def do_EchoBreakLines(self, text: str = "") -> None:
        assert text.isascii()
        self.log.append(text)

    def do_ReportProperty(self, name: str) -> float:
        assert name == "MaximumTiltAngle"
        return self.limit_deg

    def do_ReportLowDose(self) -> tuple[float, float]:
        return float(self.low_dose), 3.0

    def do_ReportColumnOrGunValve(self) -> float:
        return float(self.valves)

    def do_ReportAxisPosition(self, area: str) -> tuple[float, float, float, float]:
        assert area in ("F", "T")
        return self.area_um, 0.0, 0.0, 0.0

    def do_ReportFileNumber(self) -> float:
        return 1.0 if self.open_file else -1.0

    def do_ReportCurrentFilename(self, split: int = 0) -> str:
        assert self.open_file, "SerialEM suspends the script"
        return str(self.open_file)

    def do_OpenNewFile(self, name: str) -> None:
        if Path(name).exists():
            raise SemError(f"{name} already exists")
        self.open_file = Path(name)
        self.write_stack([])

    def do_OpenOldFile(self, name: str) -> None:
        assert self.open_file != Path(name), "SerialEM refuses a file that is open"
        self.open_file = Path(name)
        self.stack()

    def do_CloseFile(self, option: str = "") -> None:
        self.open_file = None

    def do_ReportFileZsize(self) -> float:
        return float(len(self.stack()))

    def do_WriteAutodoc(self) -> None:
        if not self.mdoc:
            raise SemError("There is no .mdoc file for the current image file")

    def do_AddToAutodoc(self, key: str, value: str) -> None:
        self.do_WriteAutodoc()
        stack = self.stack()
        stack[-1][key] = value
        self.write_stack(stack)

    def stack(self) -> list[dict[str, Any]]:
        assert self.open_file, "SerialEM suspends the script"
        found: list[dict[str, Any]] = json.loads(self.open_file.read_text(encoding="utf-8"))
        return found

    def write_stack(self, images: list[dict[str, Any]]) -> None:
        assert self.open_file
        self.open_file.write_text(json.dumps(images), encoding="utf-8")

    def do_TiltTo(self, tilt: float, *_: Any) -> None:
        if abs(tilt) > self.limit_deg + 0.05:
            raise SemError("Attempt to tilt too high")
        self.moves.append((self.tilt_deg, tilt))
        self.tilt_deg = tilt

    def do_ReportTiltAngle(self) -> float:
        return self.tilt_deg + self.stage_error_deg

    def do_Delay(self, time: float, unit: str) -> None:
        assert unit == "s"
        assert time >= 0

    def do_Trial(self) -> None:
        self.trials.append(self.tilt_deg)
        self.buffers["A"] = self.tilt_deg

    def do_LimitNextAutoAlign(self, limit_um: float) -> None:
        assert limit_um > 0

    def do_AlignTo(self, buffer: str, *_: Any) -> None:
        if buffer not in self.buffers:
            raise SemError(f"There is no image in buffer {buffer}")
        self.buffers["aligned"] = (self.buffers["A"], self.buffers[buffer])

    def do_ReportAlignShift(self) -> tuple[float, ...]:
        return (1.0, 1.0, 30.0, 40.0, 30.0, 40.0)

    def do_Copy(self, source: str, target: str) -> None:
        assert re.fullmatch("[A-T]", source)
        assert re.fullmatch("[A-T]", target)
        self.buffers[target] = self.buffers[source]

    def do_SetTargetDefocus(self, defocus_um: float) -> None:
        if not -200 <= defocus_um <= 50:
            raise SemError("Target defocus too large")
        self.target_um = defocus_um

    def do_AutoFocus(self, *_: Any) -> None:
        self.focused.append((self.tilt_deg, self.target_um))

    def do_ReportAutoFocus(self) -> tuple[float, float]:
        return self.target_um, float(self.focus_error)

    def do_SetExposure(self, area: str, seconds: float, *_: Any) -> None:
        assert area == "R"
        assert seconds > 0
        self.exposure_s = seconds

    def do_SetFrameTime(self, area: str, seconds: float) -> float:
        assert area == "R"
        self.frame_s = seconds
        return seconds

    def do_RestoreCameraSet(self, area: str = "") -> None:
        if not self.exposure_s:
            raise SemError("No camera parameters were changed; there is nothing to restore")

    def do_Record(self) -> None:
        assert self.open_file, "an image that cannot be saved"
        assert self.low_dose
        image = {
            "tilt_deg": self.tilt_deg,
            "seconds": self.exposure_s * self.camera_factor,
            "frames": self.exposure_s / self.frame_s if self.frame_s else None,
            "target_um": self.target_um,
        }
        self.records.append(image)
        self.buffers["A"] = image

    def do_ImageProperties(self, buffer: str = "A") -> tuple[float, ...]:
        return 100.0, 100.0, 1.0, self.buffers[buffer]["seconds"], 0.1, 3.0

    def do_Save(self, *_: Any) -> None:
        self.write_stack([*self.stack(), dict(self.buffers["A"])])


@pytest.fixture(scope="module", autouse=True)
def disk() -> Iterator[list[int]]:
    """Let no run wait for the disk; give the sizes that the files had which were forced to it."""
    forced: list[int] = []
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("os.fsync", lambda handle: forced.append(os.fstat(handle).st_size))
        yield forced


@pytest.fixture
def scope(tmp_path: Path) -> Microscope:
    return Microscope(tmp_path)


PLAN = Design(
    scheme=DoseSymmetric(min_deg=-6, max_deg=6, increment=ConstantIncrement(step_deg=3.0), order="serialem"),
    exposure=ExplicitExposure(each_e_A2=(7.0, 2.0, 2.5, 3.0, 3.25)),
    frames=FrameExposure(each_e_A2=0.25, rounding="nearest"),
    routine=Routine(dose_rate_e_A2_per_s=2.5),
).plan()


@cache
def script(plan: Plan) -> str:
    with TemporaryDirectory() as folder:
        path = Path(folder) / "ts_01.py"
        write_serialem_script(path, plan)
        return path.read_text(encoding="ascii")


@cache
def compiled(text: str) -> CodeType:
    return compile(text, "ts_01.py", "exec")


def scripted(plan: Plan, **changes: object) -> CodeType:
    """Write the script, change settings at its top, and compile it as SerialEM does: indented, within a try."""
    text = script(plan)
    for name, value in changes.items():
        text, changed = re.subn(rf"(?m)^{name} = \S+", f"{name} = {value!r}", text)
        assert changed == 1, name
    indented = "".join(f"  {line}\n" for line in text.split("\n"))
    return compiled(f"try:\n{indented}\nexcept SystemExit:\n  raise\n")


def run(code: CodeType, scope: Microscope) -> None:
    before = sys.modules.get("serialem")
    sys.modules["serialem"] = scope  # type: ignore[assignment]
    try:
        exec(code, {"__name__": "__main__"})
    finally:
        del sys.modules["serialem"]
        if before is not None:
            sys.modules["serialem"] = before


def stopped(code: CodeType, scope: Microscope) -> str:
    with pytest.raises(SystemExit) as caught:
        run(code, scope)
    assert scope.log[-1].startswith("STOPPED: ")
    return str(caught.value)


def delivered(scope: Microscope, plan: Plan) -> list[int]:
    """Return the order of every image that was recorded, from what it was: each has its own tilt."""
    orders = {exposure.tilt_deg: exposure.order for exposure in plan}
    return [orders[image["tilt_deg"]] for image in scope.records]


def assert_is_the_plan(scope: Microscope, plan: Plan, rate: float) -> None:
    assert [image["tilt_deg"] for image in scope.records] == [exposure.tilt_deg for exposure in plan]
    for image, exposure in zip(scope.records, plan, strict=True):
        assert image["seconds"] * rate == pytest.approx(exposure.exposure_e_A2, rel=1e-12)
        assert image["frames"] == pytest.approx(exposure.frames, rel=1e-9)
        assert image["target_um"] == pytest.approx(-exposure.defocus_A / 1e4, rel=1e-12)


@settings(max_examples=15, deadline=None, derandomize=True)
@given(design=designs())
def test_exactly_the_plan_is_delivered_in_order(tmp_path_factory: pytest.TempPathFactory, design: Design) -> None:
    scope = Microscope(tmp_path_factory.mktemp("run"))
    plan = design.plan()
    run(scripted(plan), scope)
    assert_is_the_plan(scope, plan, design.routine.dose_rate_e_A2_per_s)
    images = json.loads((scope.folder / "ts_01.mrc").read_text(encoding="utf-8"))
    for image, exposure in zip(images, plan, strict=True):
        assert float(image["ExposureDose"]) == pytest.approx(exposure.exposure_e_A2, abs=1e-6)
        assert float(image["PriorRecordDose"]) == pytest.approx(exposure.pre_exposure_e_A2, abs=1e-5)
        assert float(image["TargetDefocus"]) == pytest.approx(-exposure.defocus_A / 1e4, abs=1e-4)
    assert scope.open_file is None
    every = design.routine.focus_every
    assert [tilt for tilt, _ in scope.focused] == [exposure.tilt_deg for exposure in plan][::every]


@settings(max_examples=15, deadline=None, derandomize=True)
@given(design=designs())
def test_the_script_is_ascii_for_any_python_3(tmp_path_factory: pytest.TempPathFactory, design: Design) -> None:
    path = tmp_path_factory.getbasetemp() / "script.py"
    write_serialem_script(path, design.plan())
    text = path.read_bytes().decode("ascii")
    assert text.startswith("#!Python\n")
    tree = ast.parse(text, feature_version=(3, 6))
    imported = [alias.name for node in ast.walk(tree) if isinstance(node, ast.Import) for alias in node.names]
    assert set(imported) - {"serialem"} <= set(sys.stdlib_module_names)
    assert not any(isinstance(node, ast.ImportFrom) for node in ast.walk(tree))


def test_the_commands_known_here_are_those_that_the_script_uses(tmp_path: Path) -> None:
    write_serialem_script(tmp_path / "ts.py", PLAN)
    assert set(re.findall(r"\bsem\.(\w+)\(", (tmp_path / "ts.py").read_text(encoding="ascii"))) == set(COMMANDS)


# What happens when a run ends anywhere

SHORT = PLAN.design.replace(
    scheme=DoseSymmetric(min_deg=-3, max_deg=3, increment=ConstantIncrement(step_deg=3.0), order="serialem"),
    exposure=ExplicitExposure(each_e_A2=(7.0, 2.0, 2.5)),
).plan()


def command_count(folder: Path) -> int:
    scope = Microscope(folder)
    run(scripted(SHORT), scope)
    return len(scope.commands)


def killed(plan: Plan, folder: Path, at: int, after: bool) -> Microscope:
    scope = Microscope(folder)
    scope.kill_at, scope.kill_after = at, after
    with pytest.raises(Killed):
        run(scripted(plan), scope)
    return scope


def run_again(plan: Plan, scope: Microscope, **changes: object) -> None:
    scope.kill_at, scope.log = None, []
    run(scripted(plan, **changes), scope)


def named_as_unknown(scope: Microscope) -> set[int]:
    return {int(number) for line in scope.log for number in re.findall(r"^UNKNOWN: exposure (\d+) ", line)}


def every_end(tmp_path: Path) -> Iterator[Microscope]:
    """Give a microscope for every point where a run can be killed, also in the middle of a line of progress."""
    for at in range(command_count(tmp_path)):
        for after in (False, True):
            folder = tmp_path / f"{at}-{after}"
            folder.mkdir()
            scope = killed(SHORT, folder, at, after)
            yield scope
            sizes = scope.progress_sizes[: at + 1]
            if not after and at and sizes[at] > sizes[at - 1]:  # killed within the writing that came just before
                for cut in (sizes[at - 1] + 1, sizes[at] - 1):
                    torn = tmp_path / f"{at}-torn-{cut}"
                    torn.mkdir()
                    scope = killed(SHORT, torn, at, after)
                    progress = next(torn.glob("*.progress.txt"))
                    progress.write_bytes(progress.read_bytes()[:cut])
                    yield scope


@pytest.mark.parametrize("restarted", [False, True])
def test_wherever_a_run_ends_nothing_is_exposed_twice_and_nothing_lost_in_silence(
    tmp_path: Path, restarted: bool
) -> None:
    ends = unknown_ends = 0
    for scope in every_end(tmp_path):
        ends += 1
        if restarted:
            scope.open_file, scope.buffers = None, {}
        run_again(SHORT, scope)
        counts = Counter(delivered(scope, SHORT))
        assert max(counts.values()) == 1, scope.folder
        unknown = named_as_unknown(scope)
        unknown_ends += bool(unknown)
        assert set(range(len(SHORT))) - set(counts) <= unknown, scope.folder
        assert len(unknown) <= 1
        assert (len(unknown) == 1) == any("not repeated: exposures" in line for line in scope.log)
        images = json.loads((scope.folder / "ts_01.mrc").read_text(encoding="utf-8"))
        saved = {image["tilt_deg"] for image in images}
        assert all(exposure.tilt_deg in saved for exposure in SHORT if exposure.order not in unknown)
        # Once more: nothing is left to do, and the same is reported.
        run_again(SHORT, scope)
        assert Counter(delivered(scope, SHORT)) == counts
        assert named_as_unknown(scope) == unknown
    assert unknown_ends >= 2 * len(SHORT)
    assert ends > 100


def test_an_intent_is_on_the_disk_before_the_exposure(scope: Microscope, disk: list[int]) -> None:
    record = scope.do_Record

    def watched() -> None:
        progress = scope.folder / "ts_01.progress.txt"
        assert disk[-1] == progress.stat().st_size
        assert json.loads(progress.read_text(encoding="ascii").splitlines()[-1])["state"] == "intent"
        record()

    scope.do_Record = watched  # type: ignore[method-assign]
    run(scripted(PLAN), scope)
    assert len(scope.records) == len(PLAN)


def test_an_unknown_exposure_is_repeated_only_when_it_is_named(tmp_path: Path) -> None:
    at = [i for i, name in enumerate(recorded_commands(tmp_path)) if name == "Record"][2]
    folder = tmp_path / "run"
    folder.mkdir()
    scope = killed(PLAN, folder, at, after=True)
    run_again(PLAN, scope, REPEAT=(0, 1))  # those are done: naming them exposes nothing
    assert sorted(delivered(scope, PLAN)) == [0, 1, 2, 3, 4]
    assert named_as_unknown(scope) == {2}
    run_again(PLAN, scope, REPEAT=(2,))
    assert sorted(delivered(scope, PLAN)) == [0, 1, 2, 2, 3, 4]
    assert any("REPEATED" in line for line in scope.log)
    images = json.loads((folder / "ts_01.mrc").read_text(encoding="utf-8"))
    # What was spent before it: everything, and itself once already.
    assert float(images[-1]["PriorRecordDose"]) == pytest.approx(PLAN[-1].pre_exposure_e_A2 + PLAN[-1].exposure_e_A2)
    run_again(PLAN, scope, REPEAT=(2,))
    assert len(scope.records) == 6


def recorded_commands(tmp_path: Path) -> list[str]:
    folder = tmp_path / "whole"
    folder.mkdir()
    scope = Microscope(folder)
    run(scripted(PLAN), scope)
    return scope.commands


def test_a_finished_series_is_not_touched(scope: Microscope) -> None:
    run(scripted(PLAN), scope)
    commands = len(scope.commands)
    run_again(PLAN, scope)
    assert set(scope.commands[commands:]) == {"ReportDirectory", "EchoBreakLines"}


def test_progress_of_another_plan_is_not_taken_up(scope: Microscope) -> None:
    run(scripted(PLAN), scope)
    other = PLAN.design.replace(exposure=ExplicitExposure(each_e_A2=(7.0, 2.0, 2.5, 3.0, 3.5))).plan()
    assert "another plan" in stopped(scripted(other), scope)
    assert len(scope.records) == len(PLAN)


# What is checked before the first exposure


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"low_dose": 0}, "low dose mode is off"),
        ({"valves": 0}, "valves are not open"),
        ({"valves": -1}, "valves are not open"),
        ({"limit_deg": 5.9}, "MaximumTiltAngle"),
        ({"area_um": 0.0}, "Trial area lies on the target"),
    ],
)
def test_a_microscope_that_is_not_ready_is_not_moved(scope: Microscope, change: dict[str, Any], said: str) -> None:
    vars(scope).update(change)
    assert said in stopped(scripted(PLAN), scope)
    assert not scope.moves
    assert not scope.records
    assert not scope.trials
    assert not list(scope.folder.glob("*.mrc"))


def test_a_stack_that_is_there_already_is_not_written_into(scope: Microscope) -> None:
    (scope.folder / "ts_01.mrc").write_text("[]", encoding="utf-8")
    assert "exists" in stopped(scripted(PLAN), scope)
    assert not scope.records


def test_a_stack_that_is_gone_stops_the_second_run(tmp_path: Path) -> None:
    at = [i for i, name in enumerate(recorded_commands(tmp_path)) if name == "Record"][2]
    folder = tmp_path / "run"
    folder.mkdir()
    scope = killed(PLAN, folder, at, after=False)
    scope.open_file = None
    (folder / "ts_01.mrc").unlink()
    assert "missing" in stopped(scripted(PLAN), scope_without_kill(scope))
    assert len(scope.records) == 2


def scope_without_kill(scope: Microscope) -> Microscope:
    scope.kill_at = None
    return scope


def test_no_mdoc_is_found_out_before_the_first_exposure(scope: Microscope) -> None:
    scope.mdoc = False
    with pytest.raises(SemError, match="mdoc"):
        run(scripted(PLAN), scope)
    assert not scope.records
    assert not scope.trials


def test_a_stage_that_is_not_there_ends_the_run_before_the_exposure(scope: Microscope) -> None:
    scope.stage_error_deg = 0.5
    assert "Nothing was exposed" in stopped(scripted(PLAN), scope)
    assert not scope.records


# How it tilts, tracks and focuses


def test_every_tilt_of_a_dose_symmetric_series_is_reached_from_below(scope: Microscope) -> None:
    plan = Design(stage=Stage(min_deg=-60.0, max_deg=60.0)).plan()
    scope.limit_deg = 60.0
    run(scripted(plan), scope)
    ends = {to: since for since, to in scope.moves}  # where the last move to each angle began
    assert all(ends[exposure.tilt_deg] < exposure.tilt_deg for exposure in plan if exposure.tilt_deg > -60)


@pytest.mark.parametrize(("first", "sign"), [("negative", 1), ("positive", -1)])
def test_a_series_in_one_direction_takes_up_the_backlash_once(scope: Microscope, first: Any, sign: int) -> None:
    plan = Design(scheme=Unidirectional(first=first), exposure=ConstantExposure(total_e_A2=100.0)).plan()
    scope.tilt_deg = -62.0 * sign  # nobody knows from where it came there
    run(scripted(plan), scope)
    assert len(scope.moves) == len(plan) + 1
    assert scope.moves[0][1] == -63.0 * sign
    assert all((to - since) * sign > 0 for since, to in scope.moves[1:])


def test_trial_images_are_aligned_to_the_nearest_in_tilt(scope: Microscope) -> None:
    pairs = []
    align = scope.do_AlignTo

    def watched(buffer: str, *rest: Any) -> None:
        align(buffer, *rest)
        pairs.append(scope.buffers["aligned"])

    scope.do_AlignTo = watched  # type: ignore[method-assign]
    run(scripted(PLAN), scope)
    assert pairs == [(-3.0, 0.0), (3.0, 0.0), (-6.0, -3.0), (6.0, 3.0)]
    assert scope.trials == [0.0, -3.0, 3.0, -6.0, 6.0]  # the shift is small at once: no second round


def test_tracking_and_focusing_can_be_left_out(scope: Microscope) -> None:
    run(scripted(PLAN, TRACK=False, FOCUS_EVERY=0, SET_FRAME_TIME=False), scope)
    assert len(scope.records) == len(PLAN)
    assert not scope.trials
    assert not scope.focused
    assert "SetFrameTime" not in scope.commands


def test_a_failed_autofocus_is_reported_or_ends_the_run(scope: Microscope) -> None:
    scope.focus_error = -1
    assert "autofocus failed" in stopped(scripted(PLAN, STOP_IF_FOCUS_FAILS=True), scope)
    assert not scope.records
    run_again(PLAN, scope)
    assert len(scope.records) == len(PLAN)
    assert sum("autofocus failed" in line for line in scope.log) == len(PLAN)


def test_a_camera_that_changes_the_exposure_is_reported_and_accounted_for(scope: Microscope) -> None:
    scope.camera_factor = 1.1
    run(scripted(PLAN), scope)
    assert sum("the camera changed its time" in line for line in scope.log) == len(PLAN)
    images = json.loads((scope.folder / "ts_01.mrc").read_text(encoding="utf-8"))
    assert float(images[-1]["ExposureDose"]) == pytest.approx(1.1 * PLAN[-1].exposure_e_A2)
    assert float(images[-1]["PriorRecordDose"]) == pytest.approx(1.1 * PLAN[-1].pre_exposure_e_A2)


def test_the_dose_rate_can_be_given(scope: Microscope) -> None:
    path = scope.folder / "ts_01.py"
    write_serialem_script(path, PLAN, name="grid3_ts7", dose_rate_e_A2_per_s=10.0)
    run(compile(path.read_text(encoding="ascii"), "script", "exec"), scope)
    assert_is_the_plan(scope, PLAN, 10.0)
    assert sorted(p.name for p in scope.folder.iterdir()) == ["grid3_ts7.mrc", "grid3_ts7.progress.txt", "ts_01.py"]


def test_one_exposure_is_a_plan_too(scope: Microscope) -> None:
    plan = Design(scheme=Explicit(tilts_deg=(-9.5,)), exposure=ConstantExposure(total_e_A2=40.0)).plan()
    run(scripted(plan), scope)
    assert_is_the_plan(scope, plan, 3.0)


@pytest.mark.parametrize("name", ["", "ts 1", 'a"b', "../ts", "é", ".ts", "a" * 101])
def test_a_name_that_is_no_file_name_everywhere_is_refused(tmp_path: Path, name: str) -> None:
    with pytest.raises(InputError, match="cannot be the name"):
        write_serialem_script(tmp_path / "script.py", PLAN, name=name)
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize("rate", [0.0, -1.0, float("nan"), float("inf")])
def test_a_dose_rate_that_is_none_is_refused(tmp_path: Path, rate: float) -> None:
    with pytest.raises(InputError, match="dose rate"):
        write_serialem_script(tmp_path / "script.py", PLAN, dose_rate_e_A2_per_s=rate)


def test_the_keys_it_adds_are_those_that_our_reader_of_mdoc_files_knows(scope: Microscope) -> None:
    run(scripted(PLAN), scope)
    images = json.loads((scope.folder / "ts_01.mrc").read_text(encoding="utf-8"))
    lines = ["PixelSpacing = 1.35", "Voltage = 300", "ImageFile = ts_01.mrc", ""]
    for z, image in enumerate(images):
        added = [f"{key} = {image[key]}" for key in ("ExposureDose", "PriorRecordDose", "TargetDefocus")]
        lines += [f"[ZValue = {z}]", f"TiltAngle = {image['tilt_deg']}", *added, ""]
    path = scope.folder / "ts_01.mrc.mdoc"
    path.write_text("\n".join(lines), encoding="utf-8")
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", FormatWarning)  # this small .mdoc lacks what does not matter here
        series = read_mdoc(path)
    assert [section.exposure_e_A2 for section in series.sections] == [e.exposure_e_A2 for e in PLAN]
    assert [section.pre_exposure_e_A2 for section in series.sections] == [e.pre_exposure_e_A2 for e in PLAN]
    assert [section.target_defocus_A for section in series.sections] == pytest.approx([e.defocus_A for e in PLAN])
