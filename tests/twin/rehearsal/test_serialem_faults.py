"""Faults of a rehearsal: commands that fail, and a microscope that does, for scripts that handle it and that do not."""

from pathlib import Path

import pytest
from serialem_cases import Rig, make

from eucentric.core import InputError
from eucentric.twin.fault import Fault
from eucentric.twin.faulty import Faulty
from eucentric.twin.serialem.failing import CommandFault, parse_faults

SERIES = """
import serialem as sem
for tilt in (0, 30, 60):
    sem.TiltTo(tilt)
    sem.ImageShiftByMicrons(1, 0)
    sem.Record()
"""
CAREFUL = """
import serialem as sem
for tilt in (0, 30, 60):
    sem.TiltTo(tilt)
    for attempt in range(3):
        try:
            sem.ImageShiftByMicrons(1, 0)
            sem.Record()
            break
        except sem.SEMerror as error:
            print('again:', error)
            sem.Delay(90, 's')
"""


def struck(rig: Rig) -> list[str]:
    scope = rig.bench.scope
    return [*rig.serialem.faults.struck, *(scope.struck if isinstance(scope, Faulty) else ())]


# What is read


@pytest.mark.parametrize(
    ("text", "fault"),
    [
        ("AutoFocus: refuse", CommandFault("AutoFocus", "AutoFocus: refuse")),
        ("AutoFocus at tilt 30: refuse", CommandFault("AutoFocus", "", at_deg=30)),
        ("Autofocus at -30.5 after 2 times 0: refuse", CommandFault("AutoFocus", "", at_deg=-30.5, after=2, times=0)),
        ("AlignTo times 3: refuse no peak", CommandFault("AlignTo", "", times=3, says="no peak")),
    ],
)
def test_a_text_that_begins_with_a_command_is_of_that_command(text: str, fault: CommandFault) -> None:
    ((found,), of_microscope) = parse_faults([text])
    assert of_microscope == ()
    assert (found.name, found.at_deg, found.after) == (fault.name, fault.at_deg, fault.after)
    assert (found.times, found.says, found.text) == (fault.times, fault.says, text)


@pytest.mark.parametrize(
    ("text", "plain"),
    [
        ("ImageShift at tilt 30: refuse", "image-shift at 30: refuse"),
        ("BeamTilt times 2: timeout", "beam-tilt times 2: timeout"),
        ("record after 2: beam-lost returns 60", "record after 2: beam-lost returns 60"),
        ("tilt at -12: off 0.5", "tilt at -12: off 0.5"),
    ],
)
def test_others_are_of_the_microscope_underneath(text: str, plain: str) -> None:
    assert parse_faults([text]) == ((), (Fault.parse(plain),))


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("AutoFokus: refuse", r'Did you mean "AutoFocus"\?'),
        ("AligneTo: refuse", r'Did you mean "AlignTo"\?'),
        ("image-shfit: refuse", r'[Dd]id you mean "image-shift"\?'),
        ("ImageShift: refus", r'[Dd]id you mean "refuse"\?'),
        ("AutoFocus", "cannot be understood"),
        ("AutoFocus: beam-lost", "cannot be understood"),
        ("AutoFocus at high tilt: refuse", "cannot be understood"),
        ("AutoFocus at 1.2.3: refuse", "cannot be understood"),
        ("", "cannot be understood"),
    ],
)
def test_a_fault_that_is_none_is_refused_with_what_was_meant(text: str, said: str) -> None:
    with pytest.raises(InputError, match=said) as raised:
        parse_faults(["tilt: refuse", text])
    assert repr(text) in str(raised.value)
    assert "COMMAND [at [tilt] DEG]" in str(raised.value)


# What strikes


def test_a_script_that_does_not_handle_a_refused_shift_ends_there(tmp_path: Path) -> None:
    rig = make(tmp_path, faults=("ImageShift at tilt 30: refuse",))
    ended = rig.run(SERIES)
    assert (ended.ending, ended.line) == ("failed", 5)
    assert ended.reason.startswith("SEMerror: The microscope refused the move (image shift to")
    assert "nothing moved" in ended.reason
    assert [one.tilt_deg for one in rig.bench.taken] == [0.0]
    assert rig.sem.ReportSpecimenShift() == pytest.approx((1.0, 0.0))
    assert len(struck(rig)) == 1
    assert [(one.command, one.line, one.not_simulated) for one in rig.bench.refused] == [
        ("ImageShiftByMicrons", 5, False)
    ]


def test_a_script_that_handles_it_goes_on(tmp_path: Path) -> None:
    rig = make(tmp_path, faults=("ImageShift at tilt 30: refuse",))
    assert rig.run(CAREFUL).ending == "finished"
    assert [one.tilt_deg for one in rig.bench.taken] == [0.0, 30.0, 60.0]
    assert rig.log().count("again: ") == 1
    assert rig.sem.ReportSpecimenShift() == pytest.approx((3.0, 0.0))


def test_a_lost_beam_costs_half_an_exposure_and_comes_back(tmp_path: Path) -> None:
    rig = make(tmp_path, faults=("record after 1: beam-lost returns 60",))
    assert rig.run(CAREFUL).ending == "finished"
    doses = [one.exposure_e_A2 for one in rig.bench.taken]
    assert doses == pytest.approx([3.0, 1.5, 3.0, 3.0])
    assert [one.tilt_deg for one in rig.bench.taken] == [0.0, 30.0, 30.0, 60.0]
    assert "received 1.5 e/" in rig.bench.refused[0].reason
    lost = make(tmp_path, faults=("record after 1: beam-lost returns 60",))
    assert lost.run(SERIES).line == 6
    assert [one.exposure_e_A2 for one in lost.bench.taken] == pytest.approx([3.0, 1.5])


def test_a_beam_that_stays_away_is_told_to_the_end(tmp_path: Path) -> None:
    rig = make(tmp_path, faults=("record: no-beam",))
    assert rig.run(CAREFUL).ending == "finished"
    assert rig.bench.taken == []
    assert "valves are closed" in rig.bench.refused[-1].reason


def test_a_command_is_refused_with_the_words_that_were_given(tmp_path: Path) -> None:
    rig = make(tmp_path, faults=("AutoFocus after 1: refuse The focus images are bad",))
    ended = rig.run("import serialem as sem\nsem.AutoFocus(1)\nsem.AutoFocus(1)\n")
    assert (ended.ending, ended.line) == ("failed", 3)
    assert ended.reason == "SEMerror: AutoFocus: The focus images are bad"
    assert struck(rig) == ["AutoFocus at 0.0°: refused"]
    assert len(rig.bench.taken) == 3  # of the first: the second exposed nothing


@pytest.mark.parametrize(
    ("fault", "call"),
    [
        ("AutoFocus: refuse", "sem.G()"),
        ("G: refuse", "sem.AutoFocus()"),
        ("Record: refuse", "sem.R()"),
        ("TiltUp: refuse", "sem.U()"),
        ("Save: refuse", "sem.S()"),
    ],
)
def test_a_fault_strikes_a_command_by_its_short_name_too(tmp_path: Path, fault: str, call: str) -> None:
    rig = make(tmp_path, faults=(fault,))
    ended = rig.run(f"import serialem as sem\n{call}\n")
    assert (ended.ending, ended.line) == ("failed", 2)
    assert "made to fail by this rehearsal" in ended.reason
    assert rig.twin.exposures == 0


def test_faults_count_the_calls_that_they_are_meant_for(tmp_path: Path) -> None:
    rig = make(tmp_path, faults=("Echo at tilt 30 after 1 times 2: refuse",))
    told = rig.run(
        "import serialem as sem\nfor tilt in (0, 30, 30.4, 29.6, 30, 30):\n    sem.TiltTo(tilt)\n    try:\n"
        "        sem.Echo(f'said at {tilt}')\n    except SEMerror:\n        pass\n"
    )
    assert told.ending == "finished"
    said = [line.rsplit(" ", 1)[1] for line in rig.log().splitlines() if line.startswith("said")]
    assert said == ["0", "30", "30", "30"]
    assert len(struck(rig)) == 2


def test_a_fault_for_always_strikes_every_time(tmp_path: Path) -> None:
    rig = make(tmp_path, faults=("Trial times 0: refuse",))
    text = "for _ in range(4):\n    try:\n        sem.Trial()\n    except SEMerror:\n        pass\n"
    assert rig.run("import serialem as sem\n" + text).ending == "finished"
    assert len(struck(rig)) == 4
    assert rig.twin.exposures == 0


def test_a_fault_of_a_command_that_is_not_simulated_does_not_hide_that(tmp_path: Path) -> None:
    rig = make(tmp_path, faults=("FFT: refuse",))
    assert "does not simulate" in rig.run("import serialem as sem\nsem.FFT('A')\n").reason
    assert rig.serialem.faults.idle == ("FFT: refuse",)


def test_faults_that_never_struck_are_told(tmp_path: Path) -> None:
    texts = ("AutoFocus: refuse", "record after 2: beam-lost", "Echo: refuse", "tilt at 45: refuse")
    rig = make(tmp_path, faults=texts)
    rig.run("import serialem as sem\ntry:\n    sem.Echo('hm')\nexcept SEMerror:\n    pass\nsem.Record()\n")
    assert rig.serialem.faults.idle == ("AutoFocus: refuse",)
    assert isinstance(rig.bench.scope, Faulty)
    assert [str(one) for one in rig.bench.scope.idle] == ["record after 2: beam-lost", "tilt at 45: refuse"]


def test_frames_that_were_dropped_are_not_counted_as_saved(tmp_path: Path) -> None:
    rig = make(tmp_path, faults=("record: dropped-frames 3",))
    rig.sem.Record()
    assert rig.bench.buffer("A").frames == 1
    rig.sem.Record()
    assert rig.bench.buffer("A").frames == 4


def test_a_driver_that_crashes_ends_the_script_as_a_crash(tmp_path: Path) -> None:
    ended = make(tmp_path, faults=("tilt at 30: crash",)).run(SERIES)
    assert (ended.ending, ended.line) == ("failed", 4)
    assert ended.reason.startswith("RuntimeError: ")
