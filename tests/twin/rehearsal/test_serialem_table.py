"""The table of SerialEM's commands: argument checks as its C module makes them, and what the twin does with each."""

import inspect
import re
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from serialem_cases import Rig, make

from eucentric.report.serialem_commands import commands_page
from eucentric.twin.serialem.errors import SEMerror
from eucentric.twin.serialem.module import GROUPS, SimulatedSerialEM, simulated
from eucentric.twin.serialem.registry import names_of
from eucentric.twin.serialem.table import Command, commands

DOCS = Path(__file__).parents[3] / "docs" / "serialem-commands.md"
ARGUMENTS: dict[str, Any] = {"S": "A", "I": 1, "D": 1.5}
PYTHON = sorted(name for name, one in commands().items() if one.python)
METHODS = {name: getattr(group, method) for group in GROUPS for name, method in names_of(group).items()}
REFUSED = sorted(set(PYTHON) - simulated())


def arguments(one: Command, count: int) -> tuple[Any, ...]:
    return tuple(ARGUMENTS[key.upper()] for key in one.keys[:count])


@pytest.fixture(scope="module")
def rig(tmp_path_factory: pytest.TempPathFactory) -> Rig:
    return make(tmp_path_factory.mktemp("table"))


# The table itself


def test_the_table_has_all_of_serialems_commands() -> None:
    assert len(commands()) == 841
    assert {key for one in commands().values() for key in one.keys} <= set("DdIiSs")


def test_what_may_be_left_out_comes_last() -> None:
    """Else the kinds of arguments would depend on how many there are."""
    assert [one.name for one in commands().values() if re.fullmatch("[DIS]*[dis]*", one.keys) is None] == []


@pytest.mark.parametrize(
    ("name", "keys"),
    [
        # Written from SerialEM's help, apart from the table.
        ("Record", ""),
        ("TiltTo", "Didd"),
        ("ImageShiftByMicrons", "DDdi"),
        ("SetExposure", "SDd"),
        ("ReportAlignShift", ""),
        ("OpenNewFile", "S"),
        ("ReadOtherFile", "ISS"),
        ("Exit", "ds"),
    ],
)
def test_arguments_are_those_of_the_help(name: str, keys: str) -> None:
    assert commands()[name].keys.replace("i", "d") == keys.replace("i", "d")
    assert commands()[name].python


# Checks of arguments, as PyArg_ParseTuple makes them


@pytest.mark.parametrize("number", [3, 3.0, True, np.float32(3), np.int16(3), np.float64(3)])
def test_a_number_may_be_of_any_kind(number: Any) -> None:
    (told,) = Command("It", 1, "D", True).checked((number,))
    assert type(told) is float
    assert told == float(number)


@pytest.mark.parametrize("number", [3, True, np.int16(3), np.uint8(3)])
def test_a_whole_number_may_be_of_any_whole_kind(number: Any) -> None:
    (told,) = Command("It", 1, "I", True).checked((number,))
    assert type(told) is int
    assert told == int(number)


NO_NUMBERS: list[Any] = ["3.0", b"3", bytearray(b"3"), None, [1.0], 1j, np.array([1.0, 2.0])]
WRONG: dict[str, list[Any]] = {"D": NO_NUMBERS, "I": [3.0, np.float64(3), *NO_NUMBERS], "S": [3, b"A", None]}


@pytest.mark.parametrize(("key", "value"), [(key, value) for key, values in WRONG.items() for value in values])
def test_other_kinds_are_refused_with_the_argument_and_what_it_should_be(key: str, value: Any) -> None:
    kind = {"S": "str", "I": "int", "D": "float"}[key]
    with pytest.raises(TypeError, match=rf"^It\(\) argument 2 must be {kind}, not {type(value).__name__}$"):
        Command("It", 2, "S" + key, True).checked(("A", value))


def test_a_text_may_be_numpys() -> None:
    assert Command("It", 1, "S", True).checked((np.str_("A"),)) == ("A",)


@pytest.mark.parametrize(
    ("keys", "count", "said"),
    [
        ("", 1, "It() takes exactly 0 arguments (1 given)"),
        ("D", 0, "It() takes exactly 1 argument (0 given)"),
        ("DDd", 1, "It() takes at least 2 arguments (1 given)"),
        ("DDd", 4, "It() takes at most 3 arguments (4 given)"),
        ("s", 2, "It() takes at most 1 argument (2 given)"),
    ],
)
def test_too_few_and_too_many_are_refused(keys: str, count: int, said: str) -> None:
    with pytest.raises(TypeError) as raised:
        Command("It", 0, keys, True).checked((1.0,) * count)
    assert str(raised.value) == said


@given(st.lists(st.sampled_from("DIS"), max_size=5), st.lists(st.sampled_from("dis"), max_size=5), st.integers(0, 12))
def test_any_number_between_the_least_and_all_is_taken_and_no_other(
    must: list[str], may: list[str], count: int
) -> None:
    one = Command("It", len(must), "".join(must + may), True)
    given_now = (*arguments(one, count), *(1.0,) * (count - len(one.keys)))
    if len(must) <= count <= len(one.keys):
        assert one.checked(given_now) == given_now
    else:
        with pytest.raises(TypeError, match=rf"\({count} given\)"):
            one.checked(given_now)


# What the twin does of it


def test_what_the_twin_does_are_commands_of_serialems_for_python() -> None:
    assert set(METHODS) - set(PYTHON) == set()


def test_each_method_takes_all_that_its_command_may_be_given() -> None:
    """From the least number of arguments to all; those that do not are named."""
    wrong = []
    for name, method in METHODS.items():
        one, takes = commands()[name], inspect.signature(method)
        for count in range(sum(key.isupper() for key in one.keys), len(one.keys) + 1):
            try:
                takes.bind(None, *arguments(one, count))
            except TypeError as error:
                wrong.append(f"{name} with {count} of {one.keys!r}: {error}")
    assert wrong == []


def test_each_method_is_annotated_with_the_kinds_that_it_is_given() -> None:
    """No text is taken for a number, and no float for a whole number."""
    wrong = []
    for name, method in METHODS.items():
        takes = list(inspect.signature(method).parameters.values())[1:]
        for at, key in enumerate(commands()[name].keys):
            if not takes:
                break  # `test_each_method_takes_...` tells of it
            annotation = takes[min(at, len(takes) - 1)].annotation
            kinds = set(str(getattr(annotation, "__name__", annotation)).replace(" ", "").split("|"))
            fits = {"S": {"str"}, "D": {"float"}, "I": {"int", "float"}}[key.upper()]
            if annotation is not object and not kinds & fits:
                wrong.append(f"{name}: argument {at + 1}, {key} in the table, is {annotation}")
    assert wrong == []


def test_no_two_methods_do_one_command() -> None:
    names = [name for group in GROUPS for name in names_of(group)]
    assert len(names) == len(set(names))


def test_each_command_that_is_not_simulated_is_checked_refused_by_its_name_and_told(rig: Rig) -> None:
    assert len(REFUSED) > 100
    for name in REFUSED:
        one, called = commands()[name], getattr(rig.sem, name)
        with pytest.raises(TypeError, match=rf"^{name}\(\) takes"):
            called(*(1,) * (len(one.keys) + 1))
        with pytest.raises(SEMerror, match=rf"^{name} is a command of SerialEM that the twin does not simulate"):
            called(*arguments(one, sum(key.isupper() for key in one.keys)))
    told = [(one.command, one.not_simulated) for one in rig.bench.refused]
    assert told == [(name, missing) for name in REFUSED for missing in (False, True)]
    log = rig.log()
    assert all(f"SCRIPT ERROR: {name}: {name} is a command" in log for name in REFUSED)


def test_the_module_has_each_command_for_python_and_no_other(rig: Rig) -> None:
    assert set(PYTHON) <= set(dir(rig.sem))
    assert not (set(commands()) - set(PYTHON)) & set(dir(rig.sem))
    with pytest.raises(AttributeError, match="NoSuchCommand"):
        _ = rig.sem.NoSuchCommand


def test_calls_are_counted(tmp_path: Path) -> None:
    rig = make(tmp_path)
    for _ in range(3):
        rig.sem.ReportTiltAngle()
    assert rig.bench.calls == {"ReportTiltAngle": 3}


def test_values_come_as_serialem_gives_them(tmp_path: Path) -> None:
    """Nothing, one alone, several as a tuple; all numbers are floats."""
    rig = make(tmp_path)
    assert rig.sem.SetDefocus(-2) is None
    assert isinstance(rig.sem.ReportDefocus(), float)
    assert rig.sem.ReportLowDose() == (1.0, 3.0)
    rig.sem.ReturnAllValuesAsTuples(1)
    assert rig.sem.ReportDefocus() == pytest.approx((-2.0,))
    rig.sem.ReturnAllValuesAsTuples(0)
    assert rig.sem.ReportDefocus() == pytest.approx(-2.0)


def test_every_group_is_in_the_module() -> None:
    made = inspect.getsource(SimulatedSerialEM)
    assert all(group.__name__ in made for group in GROUPS)


# The page of the docs


def test_the_page_in_the_docs_is_the_one_that_the_code_makes() -> None:
    assert DOCS.read_text(encoding="utf-8") == commands_page(), "run: eucentric rehearse --commands > docs/..."


def test_the_page_tells_of_every_command_once_in_its_lists() -> None:
    page = commands_page()
    for name in REFUSED:
        assert page.count(f"`{name}`") == 1
    for name in METHODS:
        assert f"| `{name}` |" in page
