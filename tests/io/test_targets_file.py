"""The file of targets: read, refused with its line, and written so that it reads the same."""

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from eucentric.core import FormatError, InputError
from eucentric.design import Place, Target, Targets
from eucentric.io.targets import read_targets, write_targets

EXAMPLE = Path(__file__).parents[2] / "docs" / "targets-example.yaml"
PLACES = st.floats(-1e5, 1e5)


@given(st.lists(st.tuples(PLACES, PLACES), min_size=1, max_size=9), st.none() | PLACES, st.floats(-30, 30))
def test_what_is_written_reads_the_same(
    tmp_path_factory: pytest.TempPathFactory, places: list[tuple[float, float]], tracking: float | None, tilt: float
) -> None:
    targets = Targets(
        targets=tuple(Target(name=f"TS_{at:03d}", y_A=y, x_A=x) for at, (y, x) in enumerate(places)),
        tracking=None if tracking is None else Place(y_A=tracking),
        tilt_deg=tilt,
    )
    path = tmp_path_factory.getbasetemp() / "targets.yaml"
    write_targets(path, targets)
    assert read_targets(path) == targets


def test_the_example_reads() -> None:
    example = read_targets(EXAMPLE)
    assert len(example.targets) == 9
    assert example.tracking is not None


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("targets:\n- {name: A}\n- {name: A}\n", "targets.yaml.*name is A"),
        ("targets:\n- {name: A}\ntracking:\n  y: 3\n", "line 4.*no field 'y'"),
        ("targets:\n- {name: A, x_A: far}\n", "line 2.*valid number"),
        ("targets:\n- {name: A, x_A: .nan}\n", "line 2.*x_A is nan"),
        ("- A\n- B\n", "mapping with the key targets"),
        ("targets: {name: A}\n", "targets"),
        ("", "empty"),
        ("targets: [", "not YAML"),
    ],
)
def test_a_mistake_is_named_with_its_line(tmp_path: Path, text: str, words: str) -> None:
    path = tmp_path / "targets.yaml"
    path.write_text(text)
    with pytest.raises(FormatError, match=words):
        read_targets(path)


def test_a_file_that_is_not_there_is_named(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"none\.yaml"):
        read_targets(tmp_path / "none.yaml")
