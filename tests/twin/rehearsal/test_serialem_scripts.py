"""Scripts on the simulated SerialEM: how they end and at which line, their dialogs, their time, and what they leave."""

import os
import signal
import sys
import threading
import time
from pathlib import Path

import pytest
from serialem_cases import Rig, make

from eucentric.core import FormatError, InputError
from eucentric.twin.serialem.answers import Answer, read_answers
from eucentric.twin.serialem.doings import Ending
from eucentric.twin.serialem.errors import SEMexited, SEMmoduleError

HEAD = "import serialem as sem\n"


@pytest.fixture
def rig(tmp_path: Path) -> Rig:
    return make(tmp_path)


# How scripts end


@pytest.mark.parametrize(
    ("text", "ending", "reason", "line"),
    [
        ("sem.TiltTo(3)\n", "finished", "", None),
        ("", "finished", "", None),
        ("sem.Exit()\nsem.TiltTo(3)\n", "exited", "by Exit", 2),
        ("sem.Exit(0, 'enough')\n", "exited", "by Exit", 2),
        ("import sys\nsys.exit()\n", "exited", "by sys.exit", 3),
        ("import sys\nsys.exit(0)\n", "exited", "by sys.exit", 3),
        ("raise SystemExit(2)\n", "failed", "sys.exit(2)", 2),
        ("raise SystemExit('no grid')\n", "failed", "sys.exit('no grid')", 2),
        ("x = (1,\n", "failed", "SyntaxError: '(' was never closed", 2),
        ("if True:\npass\n", "failed", "SyntaxError: expected an indented block after 'if' statement on line 2", 3),
        ("\nsem.TiltToo(3)\n", "failed", "AttributeError: module 'serialem' has no attribute 'TiltToo'", 3),
        ("sem.TiltTo()\n", "failed", "TypeError: TiltTo() takes at least 1 argument (0 given)", 2),
        ("sem.TiltTo('3')\n", "failed", "TypeError: TiltTo() argument 1 must be float, not str", 2),
        ("\n\nsem.View(1)\n", "failed", "TypeError: View() takes exactly 0 arguments (1 given)", 4),
        ("1 / 0\n", "failed", "ZeroDivisionError: division by zero", 2),
        ("assert False, 'no\\nbeam'\n", "failed", "AssertionError: no beam", 2),
        ("class Mine(BaseException): ...\nraise Mine('so')\n", "failed", "Mine: so", 3),
    ],
)
def test_an_end_is_told_with_its_reason_and_the_scripts_line(
    rig: Rig, text: str, ending: Ending, reason: str, line: int | None
) -> None:
    ended = rig.run(HEAD + text)
    assert (ended.ending, ended.reason, ended.line) == (ending, reason, line)


def test_a_command_that_fails_is_told_with_what_serialem_says(rig: Rig) -> None:
    ended = rig.run(HEAD + "sem.TiltTo(80)\n")
    assert (ended.ending, ended.line) == ("failed", 2)
    assert ended.reason.startswith("SEMerror: The stage cannot go to tilt_deg = 80: its limits are -70 and 70; nothing")


def test_a_command_that_is_not_simulated_ends_the_script_by_its_name(rig: Rig) -> None:
    ended = rig.run(HEAD + "sem.Echo('so far')\nsem.FFT('A')\n")
    assert (ended.ending, ended.line) == ("failed", 3)
    assert "FFT is a command of SerialEM that the twin does not simulate" in ended.reason
    (refused,) = rig.bench.refused
    assert (refused.command, refused.line, refused.not_simulated) == ("FFT", 3, True)


def test_the_line_is_the_innermost_of_the_script_itself(rig: Rig) -> None:
    """Neither that of its caller, nor one of a library that it called."""
    (rig.folder / "their_module.py").write_text("def fail():\n\n\n    raise ValueError('theirs')\n")
    text = "def inner():\n    import their_module\n    their_module.fail()\n\ndef outer():\n    inner()\n\nouter()\n"
    ended = rig.run(text)
    assert (ended.reason, ended.line) == ("ValueError: theirs", 3)
    log = rig.log()
    assert 'script.py", line 8, in <module>' in log
    assert "their_module.py" in log
    assert "runner.py" not in log  # of no use to the script's author


def test_a_script_that_cannot_be_read_or_includes_others_is_refused(rig: Rig) -> None:
    with pytest.raises(InputError, match="line 2: scripts that SerialEM includes"):
        rig.run("import os\n#include OtherScript\n")
    path = rig.folder / "latin.py"
    path.write_bytes("# Fokus für Ä\n".encode("latin-1"))
    from eucentric.twin.serialem.runner import run_script

    with pytest.raises(InputError, match=r"latin\.py: this script cannot be read"):
        run_script(path, rig.serialem)
    assert rig.bench.started is None


def test_a_script_with_a_null_byte_fails_as_python_says(rig: Rig) -> None:
    ended = rig.run("x = 1\0\n")
    assert ended.ending == "failed"
    assert "null bytes" in ended.reason


def test_a_script_with_a_byte_order_mark_runs(rig: Rig) -> None:
    assert rig.run("\ufeff" + HEAD + "sem.TiltTo(3)\n").ending == "finished"


def test_commands_before_connecting_are_an_error_of_the_module(tmp_path: Path) -> None:
    rig = make(tmp_path, connected=False)
    ended = rig.run(HEAD + "sem.TiltTo(3)\n")
    assert (ended.ending, ended.line) == ("failed", 2)
    assert ended.reason.startswith("SEMmoduleError: TiltTo was called before the connection to SerialEM was made")
    text = "import serialem as sem\nsem.ConnectToSEM(48888, '127.0.0.1')\nsem.TiltTo(3)\n"
    assert rig.run(text).ending == "finished"
    assert rig.twin.stage().tilt_deg == 3


def test_a_buffer_without_an_image_is_an_error_of_the_module(rig: Rig) -> None:
    with pytest.raises(SEMmoduleError, match="no image in buffer B"):
        rig.sem.bufferImage("B")


def test_a_script_that_catches_serialems_errors_goes_on(rig: Rig) -> None:
    ended = rig.run(
        HEAD
        + "try:\n    sem.TiltTo(80)\nexcept sem.SEMerror as error:\n    sem.Echo('caught ' + str(error)[:9])\n"
        + "try:\n    sem.TiltTo(80)\nexcept SEMerror:\n    sem.TiltTo(10)\n"
    )
    assert ended.ending == "finished"
    assert "caught The stage" in rig.log()
    assert rig.twin.stage().tilt_deg == 10
    assert [(one.command, one.line) for one in rig.bench.refused] == [("TiltTo", 3), ("TiltTo", 7)]


def test_names_of_the_module_can_all_be_imported(rig: Rig) -> None:
    ended = rig.run("from serialem import *\nTiltTo(12)\nassert issubclass(SEMerror, Exception)\nEcho('done')\n")
    assert ended.ending == "finished", ended.reason
    assert rig.twin.stage().tilt_deg == 12


def test_the_names_that_serialem_gives_a_script_are_there(rig: Rig) -> None:
    ended = rig.run(
        "assert __name__ == '__main__'\nassert SEMarrayToFloats('1\\n2.5') == [1.0, 2.5]\n"
        "assert SEMarrayToInts('1\\n2') == [1, 2]\nassert listToSEMarray([1, 2]) == '1\\n2'\nSEMprint('told', 3)\n"
    )
    assert ended.ending == "finished", ended.reason
    assert "told 3\n" in rig.log()


# Time


def test_sleeping_costs_no_time_but_the_microscopes(rig: Rig) -> None:
    before, began = time.monotonic(), rig.twin.now()
    ended = rig.run(
        HEAD + "import time\nstart = time.time()\ntime.sleep(7200)\nsem.Delay(30, 'min')\n"
        "assert abs(time.time() - start - 9000) < 0.1, time.time() - start\n"
    )
    assert ended.ending == "finished", ended.reason
    assert (rig.twin.now() - began).total_seconds() == pytest.approx(9000)
    assert time.monotonic() - before < 30


@pytest.mark.parametrize(
    ("call", "seconds"), [("2, 's'", 2), ("2, 'min'", 120), ("500, 'ms'", 0.5), ("60", 60), ("61", 0.061)]
)
def test_delays_have_serialems_units(rig: Rig, call: str, seconds: float) -> None:
    began = rig.twin.now()
    assert rig.run(HEAD + f"sem.Delay({call})\n").ending == "finished"
    assert (rig.twin.now() - began).total_seconds() == pytest.approx(seconds)


def test_the_clock_can_be_reset(rig: Rig) -> None:
    rig.sem.Delay(10, "s")
    assert rig.sem.ReportClock() == pytest.approx(10)
    rig.sem.ResetClock()
    rig.sem.Delay(5, "sec")
    assert rig.sem.ReportClock() == pytest.approx(5)


@pytest.mark.parametrize(
    "body",
    [
        "sem.Delay(60, 's')",
        "time.sleep(60)",
        "sem.KeyBreak(); sem.TiltTo(3); sem.TiltTo(0)",
        "sem.Record(); sem.Delay(3, 'min')",
        "sem.MoveStage(100, 0); sem.MoveStage(-100, 0)",
    ],
)
def test_a_loop_for_ever_that_takes_time_is_stopped_by_the_hours_it_was_given(tmp_path: Path, body: str) -> None:
    rig = make(tmp_path, max_s=3600.0)
    ended = rig.run(HEAD + f"import time\nwhile True:\n    {body}\n")
    assert (ended.ending, ended.line) == ("stopped", 4)
    assert "more than the 1 hours of the microscope's time" in ended.reason
    assert "--max-hours" in ended.reason
    assert 3600 < rig.bench.elapsed_s() < 3700


@pytest.mark.parametrize("body", ["pass", "x = sum(range(10))", "[].append(1)"])
def test_a_loop_for_ever_without_commands_is_stopped_by_the_wall_clock(rig: Rig, body: str) -> None:
    before = time.monotonic()
    ended = rig.run(HEAD + f"sem.TiltTo(3)\nwhile True:\n    {body}\n", silent_s=0.5)
    assert (ended.ending, ended.line in (3, 4)) == ("stopped", True)
    assert ended.reason == "it called no command of SerialEM for 0.5 s: a loop that does not end?"
    assert 0.4 < time.monotonic() - before < 20


@pytest.mark.parametrize(
    ("body", "reason"),
    [
        ("try:\n        x = 1\n    except:\n        pass", "called no command"),
        ("try:\n        sem.Delay(60, 's')\n    except:\n        pass", "1 hours"),
        ("try:\n        sem.YesNoBox('Go on?')\n    except:\n        continue", "nobody is here to answer"),
    ],
)
def test_a_loop_for_ever_that_catches_all_is_stopped_too(tmp_path: Path, body: str, reason: str) -> None:
    rig = make(tmp_path, max_s=3600.0)
    ended = rig.run(HEAD + f"while True:\n    {body}\n", silent_s=0.3)
    assert ended.ending == "stopped"
    assert reason in ended.reason


def test_a_script_that_goes_on_after_it_was_stopped_does_not_count_as_finished(rig: Rig) -> None:
    ended = rig.run(HEAD + "try:\n    sem.YesNoBox('Go on?')\nexcept:\n    pass\nsem.TiltTo(6)\n")
    assert ended.ending == "stopped"
    assert "nobody is here to answer" in ended.reason


def test_a_script_that_computes_between_commands_is_let_be(rig: Rig) -> None:
    text = (
        HEAD + "import time\nend = time.monotonic() + 0.9\nwhile time.monotonic() < end:\n    sem.ReportTiltAngle()\n"
    )
    assert rig.run(text, silent_s=0.4).ending == "finished"


def test_the_users_own_interrupt_is_the_users(rig: Rig) -> None:
    threading.Timer(0.3, os.kill, (os.getpid(), signal.SIGINT)).start()
    with pytest.raises(KeyboardInterrupt):
        rig.run("while True:\n    pass\n")
    assert "serialem" not in sys.modules


# What a script prints, and what it leaves


def test_what_is_printed_and_echoed_is_in_the_log(rig: Rig, capsys: pytest.CaptureFixture[str]) -> None:
    rig.run(HEAD + "print('one', 2)\nsem.Echo('three')\nprint('without', end='')\n")
    assert rig.log() == "one 2\nthree\nwithout\n"
    assert capsys.readouterr().out == ""


def test_each_line_of_the_log_is_told_as_it_comes(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Whoever is told may print it, without an end."""
    rig, told = make(tmp_path), []
    rig.bench.log._tell = lambda line: (told.append(line), print("seen", line))[0]  # type: ignore[func-returns-value]
    rig.run(HEAD + "print('one')\nsem.Echo('two\\nthree')\n")
    assert told == ["one", "two", "three"]
    assert capsys.readouterr().out == "seen one\nseen two\nseen three\n"


def test_a_new_log_has_a_name_of_its_own(rig: Rig) -> None:
    rig.run(HEAD + "sem.Echo('first')\nsem.SaveLogOpenNew('session')\nsem.Echo('second')\n")
    rig.run(HEAD + "sem.SaveLogOpenNew('session')\nsem.Echo('third')\n")
    logs = {path.name: path.read_text() for path in rig.bench.folder.glob("*.log")}
    assert logs == {"serialem.log": "first\n", "session.log": "second\n", "session-2.log": "third\n"}


@pytest.mark.parametrize("end", ["", "sem.Exit()", "1 / 0", "raise KeyError"])
def test_what_a_script_changes_of_its_surroundings_is_put_back(
    rig: Rig, monkeypatch: pytest.MonkeyPatch, end: str
) -> None:
    theirs = type(sys)("serialem")
    monkeypatch.setitem(sys.modules, "serialem", theirs)
    (rig.folder / "helper_of_script.py").write_text("import serialem\ntilt = serialem.ReportTiltAngle\n")

    def surroundings() -> tuple[object, ...]:
        return Path.cwd(), tuple(sys.path), tuple(sys.argv), time.sleep, time.time, sys.stdout, sys.modules["serialem"]

    before = surroundings()
    ended = rig.run(
        HEAD + "import os, sys, helper_of_script\nassert helper_of_script.tilt() == 0.0\n"
        "assert os.path.samefile(os.getcwd(), sem.ReportDirectory())\nassert sys.argv == [__file__]\n"
        "os.chdir('..')\nsys.path.append('/nowhere')\nsys.argv.append('more')\n" + end
    )
    assert "AssertionError" not in ended.reason
    assert surroundings() == before
    assert "helper_of_script" not in sys.modules  # it holds this microscope: the next one is another


def test_a_second_script_has_the_modules_beside_it_anew(tmp_path: Path) -> None:
    for number in (1, 2):
        folder = tmp_path / str(number)
        folder.mkdir()
        rig = make(folder)
        (folder / "helper.py").write_text(f"import serialem\ndef go():\n    serialem.TiltTo({number})\n")
        assert rig.run("import helper\nhelper.go()\n").ending == "finished"
        assert rig.twin.stage().tilt_deg == number


# Dialogs


def test_a_dialog_that_nobody_answers_stops_the_script_and_shows_how_to_answer_it(rig: Rig, tmp_path: Path) -> None:
    ended = rig.run(HEAD + "\nif sem.YesNoBox('Is the\\nslit in?') == 1:\n    sem.TiltTo(3)\n")
    assert (ended.ending, ended.line) == ("stopped", 3)
    assert ended.reason.startswith(
        'the script asks at line 3, by YesNoBox: "Is the slit in?"; nobody is here to answer'
    )
    assert "--answers FILE" in ended.reason
    example = ended.reason[ended.reason.index("- match:") :]
    path = tmp_path / "answers.yaml"
    path.write_text(example)
    assert read_answers(path) == (Answer(match="YesNoBox", answer="yes"),)


def test_dialogs_are_answered_from_a_file(tmp_path: Path) -> None:
    path = tmp_path / "answers.yaml"
    path.write_text(
        "- match: slit in\n  answer: yes\n- match: yesnobox\n  answer: no\n- {match: name of, answer: grid 7}\n"
        "- {match: how many, answer: 3}\n- {match: EnterDefaulted, answer: 2.5}\n"
        "- {match: Which, answer: middle}\n"
    )
    rig = make(tmp_path, answers=read_answers(path))
    ended = rig.run(
        HEAD + "assert sem.YesNoBox('Is the SLIT IN?') == 1.0\nassert sem.YesNoBox('Anything else?') == 0.0\n"
        "assert sem.EnterString('grid', 'The name of it') == 'grid 7'\nassert sem.GetVariable('grid') == 'grid 7'\n"
        "assert sem.EnterOneNumber('How many?') == 3.0\nassert sem.EnterDefaultedNumber(1.5, 2, 'So much') == 2.5\n"
        "sem.SetVariable('head', 'Which one?')\nsem.SetVariable('buttons', 'left\\nmiddle')\n"
        "assert sem.ThreeChoiceBox('head', 'one', 'two', 'buttons') == 2.0\nsem.OKBox('Mind the gap')\n"
    )
    assert ended.ending == "finished", ended.reason
    asked = [(one.command, one.answer, one.by) for one in rig.bench.asked]
    assert asked[:3] == [("YesNoBox", "yes", "file"), ("YesNoBox", "no", "file"), ("EnterString", "grid 7", "file")]
    assert asked[-1] == ("OKBox", "ok", "itself")
    assert [one.line for one in rig.bench.asked[:3]] == [2, 3, 4]
    assert "[YesNoBox] Is the SLIT IN? -> yes" in rig.log()


def test_an_answer_counts_as_often_as_it_says(tmp_path: Path) -> None:
    answers = (Answer(match="again", answer="no", times=2), Answer(match="again", answer="yes"))
    rig = make(tmp_path, answers=answers)
    told = [rig.sem.YesNoBox("And again?") for _ in range(4)]
    assert told == [0.0, 0.0, 1.0, 1.0]


def test_a_person_is_asked_where_there_is_one(rig: Rig) -> None:
    heard: list[tuple[str, tuple[str, ...]]] = []
    rig.bench.answers.ask = lambda text, choices: (heard.append((text, choices)), "y")[1]  # type: ignore[func-returns-value]
    assert rig.sem.YesNoBox("Go on?") == 1.0
    assert heard == [("Go on?", ("yes", "no"))]
    assert rig.bench.asked[0].by == "terminal"


def test_an_answer_that_is_none_of_the_choices_stops_the_script(tmp_path: Path) -> None:
    ended = make(tmp_path, answers=(Answer(answer="maybe"),)).run(HEAD + "sem.YesNoBox('Go on?')\n")
    assert (ended.ending, ended.line) == ("stopped", 2)
    assert "'maybe', which is none of yes, no" in ended.reason


def test_a_pause_answered_no_stops_the_script_and_yes_goes_on(tmp_path: Path) -> None:
    rig = make(tmp_path, answers=(Answer(match="first", answer="yes"), Answer(match="second", answer="no")))
    ended = rig.run(HEAD + "sem.Pause('first')\nsem.TiltTo(5)\nsem.Pause('second')\nsem.TiltTo(9)\n")
    assert (ended.ending, ended.line) == ("stopped", 4)
    assert "the user stopped it" in ended.reason
    assert rig.twin.stage().tilt_deg == 5
    with pytest.raises(SEMexited):
        rig.sem.Pause("second")


def test_without_boxes_a_question_is_answered_no_and_is_in_the_log(rig: Rig) -> None:
    """As the help of YesNoBox says; Pause asks all the same."""
    rig.sem.NoMessageBoxOnError(1)
    assert rig.sem.YesNoBox("Go on?") == 0.0
    assert "Go on?" in rig.log()
    assert rig.run(HEAD + "sem.Pause()\n").ending == "stopped"


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("match: x\nanswer: yes\n", "begins each answer with a dash"),
        ("- match: x\n", "answer 1"),
        ("- answer: yes\n- {answer: yes, matches: x}\n", "answer 2"),
        ("- {answer: yes, times: -1}\n", "answer 1"),
        ("- yes\n", "answer 1"),
    ],
)
def test_a_file_that_is_no_list_of_answers_is_refused_with_an_example(tmp_path: Path, text: str, said: str) -> None:
    path = tmp_path / "answers.yaml"
    path.write_text(text)
    with pytest.raises(FormatError, match=said) as raised:
        read_answers(path)
    assert "- match: Do you want to continue" in str(raised.value)


# Variables and properties


def test_variables_are_kept_without_regard_to_case(rig: Rig) -> None:
    rig.sem.SetPersistentVar("Mine", "5")
    assert rig.sem.GetVariable("mine") == "5"
    assert (rig.sem.IsVariableDefined("MINE"), rig.sem.IsVariableDefined("other")) == (1.0, 0.0)
    ended = rig.run(HEAD + "sem.GetVariable('other')\n")
    assert (ended.ending, ended.reason) == ("failed", "SEMerror: The variable other is not defined")


def test_properties_are_told_by_their_names_and_others_are_errors_that_name_them(rig: Rig) -> None:
    assert rig.sem.ReportProperty("MaximumTiltAngle") == 70.0
    ended = rig.run(HEAD + "sem.ReportProperty('NoSuchThing')\n")
    assert ended.reason.startswith("SEMerror: The twin knows no property NoSuchThing; it has ")


@pytest.mark.parametrize(("asked", "told"), [("40100", 1.0), ("40200", 1.0), ("50000", 0.0)])
def test_the_version_is_that_of_the_table(rig: Rig, asked: str, told: float) -> None:
    assert rig.sem.IsVersionAtLeast(asked) == told
