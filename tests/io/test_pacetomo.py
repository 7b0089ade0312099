"""PACEtomo is modelled here from what its version 1.9.2c does: its parser, and the loop over its two branches."""

import math
import re
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from plan_cases import designs, pacetomo_designs
from pydantic import ValidationError

from eucentric.core import InputError
from eucentric.design import (
    ConstantDefocus,
    ConstantExposure,
    ConstantIncrement,
    CosineIncrement,
    Design,
    DoseSymmetric,
    FrameCount,
    FrameExposure,
    Hybrid,
    InverseCosineExposure,
    Plan,
    Routine,
    SaxtonIncrement,
    Specimen,
    StaggeredDefocus,
    Unidirectional,
)
from eucentric.io import PacetomoTarget, pacetomo_settings, write_pacetomo

DEFAULTS: dict[str, Any] = {
    "startTilt": 0, "minTilt": -60, "maxTilt": 60, "step": 3, "groupSize": 2, "minDefocus": -5, "maxDefocus": -5,
    "stepDefocus": 0.5, "pretilt": 0, "zeroExpTime": 0, "delayTilt": 0.3, "trackExpTime": 0, "trackDefocus": 0,
    "zeroDefocus": 0, "autoStartTilt": False, "trackTwice": False,
}  # fmt: skip
TARGETS = [
    PacetomoTarget(name="a_01", shift_um=(0, 0), stage_um=(100.5, -3.25)),
    PacetomoTarget(name="a_02", shift_um=(1.5, -2), stage_um=(102, -5.25), skip=True),
]


class Pacetomo:
    """Reads a targets file, and takes every target's images."""

    def __init__(self, path: Path, **by_hand: Any) -> None:
        self.settings = dict(DEFAULTS)
        self.settings.update(by_hand)
        self.targets: list[dict[str, str]] = []
        for line in path.read_bytes().decode("ascii").splitlines():
            words = line.split(" ")
            if words[0] == "":
                continue
            if line.startswith("_set") and len(words) == 4:
                assert words[1] in self.settings
                self.settings[words[1]] = float(words[3])
            elif line.startswith("_bset") and len(words) == 4:
                assert words[1] in self.settings
                self.settings[words[1]] = words[3].lower() in ("true", "yes", "y", "on")
            elif line.startswith("_tgt"):
                self.targets.append({})
            else:
                self.targets[-1][words[0]] = words[2]  # an IndexError where a stray line stands before the targets

    def images(self) -> list[tuple[float, bool]]:
        """Return the tilt of each image, and whether it has the time of the first one."""
        s = self.settings
        start, step, group = s["startTilt"], s["step"], s["groupSize"]
        high, low = max(s["maxTilt"], s["minTilt"]), min(s["maxTilt"], s["minTilt"])
        if (high - start) % step != 0 or (start - low) % step != 0:
            high = round(int((high - start) / step) * step + start, 1)
            low = round(int((low - start) / step) * step + start, 1)
        taken: list[tuple[float, bool]] = []
        finished = {"plus": False, "minus": False}

        def tilt(angle: float) -> None:
            branch = "minus" if angle < start else "plus"
            taken.append((angle, s["zeroExpTime"] > 0 and angle == start))
            if angle >= high or angle <= low:
                finished[branch] = True

        plus = minus = start
        tilt(start)
        for _ in range(math.ceil(max(high - start, abs(low - start)) / group / step)):
            for _ in range(group):  # a TypeError where the group is a decimal
                plus += step
                if not finished["plus"]:
                    tilt(plus)
            for _ in range(group):
                minus -= step
                if not finished["minus"]:
                    tilt(minus)
        return taken

    def defoci_um(self, targets: int, focus: float) -> list[float]:
        """Return the defocus of each target, where `focus` is what autofocus left the lens at."""
        s = self.settings
        near, far = max(s["minDefocus"], s["maxDefocus"]), min(s["minDefocus"], s["maxDefocus"])
        here, end = focus, focus - far + near
        found = []
        for _ in range(targets):
            found.append(here - focus + far)
            here += s["stepDefocus"]
            if here > end:
                here = focus
        return found


def exported(folder: Path, plan: Plan, targets: tuple[PacetomoTarget, ...] = ()) -> Pacetomo:
    told = write_pacetomo(folder / "a_tgts.txt", plan, targets)
    return Pacetomo(folder / "a_tgts.txt", groupSize=told.groupSize)


def pacetomo_plan(**changes: Any) -> Plan:
    return Design().replace(**{"scheme": DoseSymmetric(order="pacetomo"), **changes}).plan()


def assert_takes_the_plan(pacetomo: Pacetomo, plan: Plan) -> None:
    assert [tilt for tilt, _ in pacetomo.images()] == pytest.approx([exposure.tilt_deg for exposure in plan], abs=1e-5)


@settings(max_examples=150, deadline=None, derandomize=True)
@given(design=pacetomo_designs())
def test_the_settings_bring_back_the_angles_in_order(tmp_path_factory: pytest.TempPathFactory, design: Design) -> None:
    plan = design.plan()
    if min(plan, key=lambda exposure: exposure.tilt_deg).order == 0:
        with pytest.raises(InputError, match=r"scheme\.start_deg is the lower end"):
            pacetomo_settings(plan)
        return
    assert_takes_the_plan(exported(tmp_path_factory.getbasetemp(), plan), plan)


@settings(max_examples=60, deadline=None, derandomize=True)
@given(design=designs())
def test_any_plan_is_either_taken_as_it_is_or_refused(tmp_path_factory: pytest.TempPathFactory, design: Design) -> None:
    plan, folder = design.plan(), tmp_path_factory.mktemp("any")
    try:
        pacetomo = exported(folder, plan)
    except InputError:
        refused = True
    else:
        refused = False
        assert_takes_the_plan(pacetomo, plan)
    assert refused != (folder / "a_tgts.txt").exists()


@given(step=st.floats(1, 9), start=st.integers(-3, 3))
@settings(max_examples=100, deadline=None, derandomize=True)
def test_steps_that_its_arithmetic_cannot_take_are_refused_and_all_others_taken(
    tmp_path_factory: pytest.TempPathFactory, step: float, start: int
) -> None:
    scheme = DoseSymmetric(
        start_deg=start * step, increment=ConstantIncrement(step_deg=step), order="pacetomo", group=2
    )
    plan = pacetomo_plan(scheme=scheme)
    try:
        pacetomo = exported(tmp_path_factory.getbasetemp(), plan)
    except InputError as error:
        fix = error.fix
    else:
        fix = "Choose a step and a start of whole or half degrees"
        assert_takes_the_plan(pacetomo, plan)
    assert fix.startswith("Choose a step and a start of whole or half degrees")


@pytest.mark.parametrize("step", [1.0, 1.5, 2.0, 2.5, 3.0, 4.0, 5.0])
def test_common_steps_are_taken(tmp_path: Path, step: float) -> None:
    scheme = DoseSymmetric(increment=ConstantIncrement(step_deg=step), order="pacetomo", group=3)
    assert_takes_the_plan(exported(tmp_path, pacetomo_plan(scheme=scheme)), pacetomo_plan(scheme=scheme))


def test_a_start_at_the_upper_end_is_taken(tmp_path: Path) -> None:
    plan = pacetomo_plan(scheme=DoseSymmetric(order="pacetomo", start_deg=60.0))
    assert_takes_the_plan(exported(tmp_path, plan), plan)


def test_what_would_change_the_plan_is_switched_off_whatever_the_users_script_has(tmp_path: Path) -> None:
    write_pacetomo(tmp_path / "a_tgts.txt", pacetomo_plan())
    changed = {"autoStartTilt": True, "trackTwice": True, "trackExpTime": 3, "trackDefocus": -8, "zeroDefocus": -6}
    settings = Pacetomo(tmp_path / "a_tgts.txt", **changed).settings
    assert not any(settings[name] for name in changed)


def test_a_lamella_keeps_its_stage_angles_and_its_pretilt_turns_its_sign(tmp_path: Path) -> None:
    """A lamella that lies flat at +9° starts there, and has a pretilt of -9° in PACEtomo's words (its README)."""
    plan = pacetomo_plan(
        specimen=Specimen(pre_tilt_deg=9.0), scheme=DoseSymmetric(order="pacetomo", min_deg=-51, max_deg=51, group=2)
    )
    pacetomo = exported(tmp_path, plan)
    assert pacetomo.settings["pretilt"] == -9.0
    assert pacetomo.settings["startTilt"] == 9.0
    assert (pacetomo.settings["minTilt"], pacetomo.settings["maxTilt"]) == (-42.0, 60.0)
    assert_takes_the_plan(pacetomo, plan)


def test_angles_that_are_no_multiples_of_the_step_come_with_a_warning(tmp_path: Path) -> None:
    plan = pacetomo_plan(specimen=Specimen(pre_tilt_deg=10.0))
    assert_takes_the_plan(exported(tmp_path, plan), plan)
    assert "cannot resume" in (tmp_path / "a_tgts.txt").read_text(encoding="ascii")
    exported(tmp_path, pacetomo_plan())
    assert "cannot resume" not in (tmp_path / "a_tgts.txt").read_text(encoding="ascii")


def test_the_group_is_never_told_by_a_set_line(tmp_path: Path) -> None:
    """`_set` makes it a decimal, over which PACEtomo 1.9.2c cannot count: it ends after the first image."""
    plan = pacetomo_plan(scheme=DoseSymmetric(order="pacetomo", group=4))
    assert exported(tmp_path, plan).settings["groupSize"] == 4
    text = (tmp_path / "a_tgts.txt").read_text(encoding="ascii")
    assert not re.search(r"(?m)^\S.*groupSize", text)
    assert "groupSize = 4 at the top" in text


def test_a_hybrid_gives_the_first_image_its_own_time(tmp_path: Path) -> None:
    plan = pacetomo_plan(
        scheme=Hybrid(untilted_e_A2=15.0, rest=DoseSymmetric(order="pacetomo", group=2)),
        exposure=ConstantExposure(total_e_A2=135.0),
        frames=FrameExposure(each_e_A2=0.25),
        routine=Routine(dose_rate_e_A2_per_s=2.0),
    )
    pacetomo = exported(tmp_path, plan)
    told = pacetomo_settings(plan)
    assert told.recordTime == pytest.approx(3.0 / 2.0)
    assert pacetomo.settings["zeroExpTime"] == pytest.approx(15.0 / 2.0)
    times = [pacetomo.settings["zeroExpTime"] if own else told.recordTime for _, own in pacetomo.images()]
    assert [time * 2.0 for time in times] == pytest.approx([exposure.exposure_e_A2 for exposure in plan])
    assert_takes_the_plan(pacetomo, plan)
    assert exported(tmp_path, pacetomo_plan()).settings["zeroExpTime"] == 0.0


@pytest.mark.parametrize("focus", [0.0, -0.1, 12.3, 1 / 3, -77.7])
@pytest.mark.parametrize("series", [2, 3, 5, 8])
def test_targets_take_the_defoci_of_the_session_in_turn(tmp_path: Path, series: int, focus: float) -> None:
    defocus = StaggeredDefocus(low_A=21_000.0, high_A=47_000.0, spacing="even", series=series, index=1)
    pacetomo = exported(tmp_path, pacetomo_plan(defocus=defocus))
    expected = [-value / 1e4 for value in defocus.session_A()][::-1]
    assert pacetomo.defoci_um(2 * series, focus) == pytest.approx(expected * 2, abs=1e-4)


@pytest.mark.parametrize("focus", [0.0, 1 / 3, -77.7])
def test_one_defocus_for_all(tmp_path: Path, focus: float) -> None:
    pacetomo = exported(tmp_path, pacetomo_plan(defocus=ConstantDefocus(defocus_A=33_000.0)))
    assert pacetomo.defoci_um(4, focus) == pytest.approx([-3.3] * 4)


PLAIN = DoseSymmetric(order="pacetomo")


@pytest.mark.parametrize(
    ("changes", "what", "fix"),
    [
        ({"scheme": Unidirectional()}, "scheme.kind is unidirectional", "scheme.kind: dose-symmetric"),
        ({"defocus": StaggeredDefocus()}, "defocus.spacing is geometric", "defocus.spacing: even"),
        ({"scheme": Hybrid(rest=Unidirectional())}, "scheme.rest.kind", "scheme.rest.order: pacetomo"),
        ({"scheme": PLAIN.replace(order="hagen")}, "scheme.order is hagen", "scheme.order: pacetomo"),
        ({"scheme": PLAIN.replace(order="serialem")}, "scheme.order is serialem", "scheme.order: pacetomo"),
        ({"scheme": PLAIN.replace(first="negative")}, "scheme.first is negative", "scheme.first: positive"),
        ({"scheme": PLAIN.replace(grow_by=1, grow_beyond_deg=20)}, "scheme.grow_by is 1", "scheme.grow_by: 0"),
        ({"scheme": PLAIN.replace(run_out_beyond_deg=40)}, "scheme.run_out_beyond_deg is 40", "run_out_beyond_deg out"),
        ({"scheme": PLAIN.replace(increment=CosineIncrement())}, "scheme.increment.kind is cosine", "kind: constant"),
        ({"scheme": PLAIN.replace(increment=SaxtonIncrement())}, "scheme.increment.kind is saxton", "kind: constant"),
        ({"scheme": PLAIN.replace(start_deg=-60.0)}, "scheme.start_deg is the lower end", "start_deg higher"),
        (
            {"scheme": Hybrid(rest=PLAIN.replace(start_deg=9.0))},
            "scheme.rest.start_deg is 9",
            "scheme.rest.start_deg: 0",
        ),
        (
            {"exposure": InverseCosineExposure(total_e_A2=120)},
            "exposure.kind inverse-cosine",
            "exposure.kind: constant",
        ),
        ({"scheme": Hybrid(rest=PLAIN), "frames": FrameCount(frames=8)}, "frames.kind count", "that divides both"),
        ({"defocus": ConstantDefocus(defocus_A=-100.0)}, "an overfocus", "Set an underfocus"),
    ],
)
def test_what_it_cannot_do_is_refused_naming_the_field_and_the_remedy(
    tmp_path: Path, changes: dict[str, Any], what: str, fix: str
) -> None:
    frames = {"frames": FrameExposure(rounding="nearest")}
    plan = pacetomo_plan(**{**frames, **changes})
    with pytest.raises(InputError) as caught:
        write_pacetomo(tmp_path / "a_tgts.txt", plan)
    assert what in caught.value.what
    assert fix in caught.value.fix
    assert not list(tmp_path.iterdir())


def test_what_comes_to_the_same_order_is_not_refused(tmp_path: Path) -> None:
    for scheme in (PLAIN.replace(order="serialem", first="positive"), PLAIN.replace(run_out_beyond_deg=61)):
        plan = pacetomo_plan(scheme=scheme)
        assert_takes_the_plan(exported(tmp_path, plan), plan)


def test_targets_are_written_as_it_reads_them(tmp_path: Path) -> None:
    pacetomo = exported(tmp_path, pacetomo_plan(), tuple(TARGETS))
    assert pacetomo.targets == [
        {
            "tgtfile": "a_01_tgt.mrc", "tsfile": "a_01.mrc", "viewfile": "a_01_view.mrc", "stageX": "100.5",
            "stageY": "-3.25", "SSX": "0.0", "SSY": "0.0", "skip": "False",
        },
        {
            "tgtfile": "a_02_tgt.mrc", "tsfile": "a_02.mrc", "viewfile": "a_02_view.mrc", "stageX": "102.0",
            "stageY": "-5.25", "SSX": "1.5", "SSY": "-2.0", "skip": "True",
        },
    ]  # fmt: skip


def test_without_targets_there_is_a_template_that_it_skips(tmp_path: Path) -> None:
    assert exported(tmp_path, pacetomo_plan()).targets == []
    text = (tmp_path / "a_tgts.txt").read_text(encoding="ascii")
    # Without its comment signs the template is a target.
    (tmp_path / "b_tgts.txt").write_text(text.split(" # The block")[1].split("\n", 1)[1].replace(" # ", ""))
    assert set(Pacetomo(tmp_path / "b_tgts.txt").targets[0]) == set(
        exported(tmp_path, pacetomo_plan(), tuple(TARGETS)).targets[0]
    )


def test_a_name_may_stand_once(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="a_01"):
        write_pacetomo(tmp_path / "a_tgts.txt", pacetomo_plan(), (TARGETS[0], TARGETS[0]))


@pytest.mark.parametrize("name", ["a 1", "", "a/b", "ä"])
def test_a_name_with_which_its_lines_would_break_is_refused(name: str) -> None:
    with pytest.raises(ValidationError):
        PacetomoTarget(name=name, shift_um=(0, 0), stage_um=(0, 0))
