import json
import re
from pathlib import Path

import jsonschema
import pytest
import yaml
from hypothesis import given, settings
from plan_cases import designs

from eucentric.core import FormatError, FormatWarning, InputError
from eucentric.design import Design, DoseSymmetric, Explicit, ExplicitExposure, Plan
from eucentric.io import plan_schema, read_plan, write_plan

SCHEMA = Path(__file__).parents[2] / "docs" / "plan.schema.json"
SCHEMA_COMMAND = (
    'python -c "import json; from eucentric.io import plan_schema; '
    'print(json.dumps(plan_schema(), indent=2, ensure_ascii=False))" > docs/plan.schema.json'
)
SUFFIXES = [".yaml", ".yml", ".json", ".YAML"]


def written(folder: Path, text: str, name: str = "plan.yaml") -> Path:
    path = folder / name
    path.write_text(text, encoding="utf-8")
    return path


@pytest.mark.parametrize("suffix", [".yaml", ".json"])
@settings(max_examples=25, deadline=None, derandomize=True)
@given(design=designs())
def test_what_is_written_is_read_back_exactly(
    tmp_path_factory: pytest.TempPathFactory, suffix: str, design: Design
) -> None:
    path = tmp_path_factory.getbasetemp() / f"plan{suffix}"
    plan = design.plan()
    write_plan(path, plan)
    assert read_plan(path) == plan
    text = path.read_text(encoding="utf-8")
    written = json.loads(text) if suffix == ".json" else yaml.safe_load(text)  # by another program, too
    assert written["design"] == design.model_dump(mode="json")
    assert Plan.model_validate(written) == plan


@pytest.mark.parametrize("suffix", SUFFIXES)
def test_every_suffix_of_ours_is_read_back(tmp_path: Path, suffix: str) -> None:
    plan = Design().plan()
    write_plan(tmp_path / f"plan{suffix}", plan)
    assert read_plan(tmp_path / f"plan{suffix}") == plan


@pytest.mark.parametrize("name", ["plan.txt", "plan", "plan.yaml.gz"])
def test_any_other_suffix_is_refused_and_nothing_written(tmp_path: Path, name: str) -> None:
    with pytest.raises(InputError, match=r"ends in \.yaml, \.yml or \.json"):
        write_plan(tmp_path / name, Design().plan())
    assert not list(tmp_path.iterdir())
    with pytest.raises(InputError, match=r"ends in \.yaml, \.yml or \.json"):
        read_plan(written(tmp_path, "design: {}\n", name))


def test_exposures_too_small_for_the_digits_of_the_table_survive(tmp_path: Path) -> None:
    design = Design(
        scheme=Explicit(tilts_deg=(-0.00001, 0.123456789, 7.0)),
        exposure=ExplicitExposure(each_e_A2=(0.001, 0.0012345678, 1234.123456789)),
    )
    for suffix in (".yaml", ".json"):
        write_plan(tmp_path / f"p{suffix}", design.plan())
        assert read_plan(tmp_path / f"p{suffix}") == design.plan()


def test_the_yaml_file_reads_as_a_commented_table(tmp_path: Path) -> None:
    write_plan(tmp_path / "plan.yaml", Design().plan())
    lines = (tmp_path / "plan.yaml").read_text(encoding="utf-8").splitlines()
    assert "`eucentric design`" in lines[0]
    assert any("leave it out" in line for line in lines[:5])
    table = lines[lines.index("exposures:") + 1 :]
    assert len(table) == 41
    assert len({len(line) for line in table}) == 1  # columns stand under each other
    assert all(line.startswith("- {order: ") for line in table)
    assert max(map(len, lines)) <= 120


def test_the_exposures_may_be_left_out(tmp_path: Path) -> None:
    assert read_plan(written(tmp_path, "design:\n  scheme: {kind: dose-symmetric}\n")) == Design().plan()


@pytest.mark.parametrize("number", ["1e3", "1E3", "1.e+3", "1.0e3", ".1e4", "1_000", "1000", "+1e3"])
def test_numbers_are_numbers_however_they_are_written(tmp_path: Path, number: str) -> None:
    text = f"design:\n  specimen:\n    thickness_A: {number}\n"
    assert read_plan(written(tmp_path, text)).design.specimen.thickness_A == 1000.0


def test_a_whole_number_with_an_exponent_counts_frames(tmp_path: Path) -> None:
    plan = read_plan(written(tmp_path, "design: {frames: {kind: count, frames: 1e1}}\n"))
    assert {exposure.frames for exposure in plan} == {10}


def test_a_table_that_was_edited_by_hand_is_refused_with_its_line(tmp_path: Path) -> None:
    write_plan(tmp_path / "plan.yaml", Design().plan())
    text = (tmp_path / "plan.yaml").read_text(encoding="utf-8")
    edited = text.replace("tilt_deg:  12.0,", "tilt_deg:  12.1,")
    assert edited != text
    line = next(at for at, row in enumerate(edited.splitlines(), 1) if "12.1," in row)
    with pytest.raises(FormatError, match=rf"plan.yaml, line {line}: exposures\[8\].tilt_deg is 12.1; permitted: 12"):
        read_plan(written(tmp_path, edited))
    almost = text.replace("tilt_deg:  12.0,", "tilt_deg:  12.0009,")
    assert read_plan(written(tmp_path, almost)) == Design().plan()


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("design:\n  scheme:\n    kind: dose-symetric\n", 'line 3?.*design.scheme.kind.*Did you mean "dose-symmetric"'),
        (
            "design:\n  scheme:\n    kind: dose-symmetric\n    strat_deg: 3\n",
            'line 4: design.scheme: there is no field .*Did you mean "start_deg"',
        ),
        ("desing: {}\n", 'line 1: there is no field .desing.*Did you mean "design"'),
        (
            "design:\n  lens: {}\n  scheme:\n    kind: dose-symmetric\n    max_deg: 80\n",
            r"line 5: design\.scheme\.max_deg is 80; permitted: -70 to 70",
        ),
        (
            "design:\n  specimen:\n    thickness_A: -3\n",
            r"line 3: design\.specimen\.thickness_A is -3: .*greater than 0",
        ),
        ("design:\n  specimen:\n    thickness_A: thick\n", r"line 3: design\.specimen\.thickness_A is thick"),
        ("design:\n  specimen:\n    thickness_A: .nan\n", r"line 3: design\.specimen\.thickness_A is nan"),
        ("design:\n  specimen:\n    thickness_A: .inf\n", r"line 3: design\.specimen\.thickness_A is inf"),
        ("design:\n  lens:\n    cs_mm: yes\n", r"line 3: design\.lens\.cs_mm is true"),
        ("design:\n  lens:\n    cs_mm: 2.7\n    cs_mm: 2.6\n", "line 4: the key 'cs_mm' stands twice"),
        ("design: {}\ndesign: {}\n", "line 2: the key 'design' stands twice"),
        ("design: {}\nexposures:\n- {order: 0, order: 1}\n", "line 3: the key 'order' stands twice"),
        ("design: {}\nexposures:\n- {order: 0}\n", r"exposures\.0\.tilt_deg: field required"),
        ("design: 3\n", "line 1: design is 3"),
        ("{}\n", "design: field required"),
        ("- design\n", "this is a list"),
        ("design\n", "this is text"),
        ("# nothing\n", "this is empty"),
        ("design: &a {}\nexposures: *a\n", "line 2: an alias"),
        ("design: {}\n---\ndesign: {}\n", "line 2: not YAML"),
        ("design:\n  scheme: [1\n", "line 3: not YAML"),
        ("design: !!python/object/apply:os.system [ls]\n", "line 1: not YAML"),
        ("design: {? [1] : 2}\n", "line 1: not YAML"),
        ("design: 2020-13-45\n", "not YAML.*month"),
        ("design: \x01\n", "not YAML"),
        ("[" * 100_000, "nested too deeply"),
        ("- " * 100_000, "nested too deeply"),
    ],
)
def test_what_is_no_plan_is_refused_naming_the_file_the_line_and_what_was_meant(
    tmp_path: Path, text: str, said: str
) -> None:
    path = written(tmp_path, text)
    with pytest.raises(FormatError) as caught:
        read_plan(path)
    assert str(caught.value).startswith(str(path))
    assert re.search(said, str(caught.value)), str(caught.value)
    assert caught.value.fix


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ('{"design": {"lens": {"cs_mm": NaN}}}', "design.lens.cs_mm is nan"),
        ('{"design": {"lens": {"cs_mm": -Infinity}}}', "design.lens.cs_mm is -inf"),
        ('{"design": {"lens": {"cs_mm": 1, "cs_mm": 2}}}', "'cs_mm' stands twice"),
        ('{"design": {"camera": {"pixle_A": 1}}}', 'Did you mean "pixel_A"'),
        ('{"design":\n {"lens": }}', "line 2: not JSON"),
        ("[1]", "this is a list"),
        ("[" * 100_000, "not JSON"),
        ("9" * 5000, "not JSON"),
    ],
)
def test_the_same_of_json(tmp_path: Path, text: str, said: str) -> None:
    with pytest.raises(FormatError) as caught:
        read_plan(written(tmp_path, text, "plan.json"))
    assert said in str(caught.value)


def test_files_that_cannot_be_read(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="no such file"):
        read_plan(tmp_path / "absent.yaml")
    with pytest.raises(FormatError, match="empty"):
        read_plan(written(tmp_path, ""))
    (tmp_path / "binary.yaml").write_bytes(b"design\0")
    with pytest.raises(FormatError, match="binary"):
        read_plan(tmp_path / "binary.yaml")


def test_a_file_from_a_microscope_computer_is_read_with_a_warning(tmp_path: Path) -> None:
    (tmp_path / "plan.yaml").write_bytes("# 5 µm\r\ndesign: {}\r\n".encode("cp1252"))
    with pytest.warns(FormatWarning, match="not-utf8"):
        assert read_plan(tmp_path / "plan.yaml") == Design().plan()


def test_the_schema_that_is_checked_in_is_current() -> None:
    current = json.loads(SCHEMA.read_text(encoding="utf-8"))
    assert current == plan_schema(), f"docs/plan.schema.json is out of date; rewrite it with:\n{SCHEMA_COMMAND}"


def test_the_schema_names_its_dialect_and_every_field() -> None:
    schema = plan_schema()
    assert schema["$schema"] == "https://json-schema.org/draft/2020-12/schema"
    assert schema["title"] == "Plan of a tilt series"
    assert set(schema["properties"]) == {"design", "acquisition", "exposures"}
    assert set(schema["$defs"]["DoseSymmetric"]["properties"]) == set(DoseSymmetric.model_fields)


@pytest.fixture(scope="module")
def schema() -> jsonschema.Draft202012Validator:
    """Of the plan's files, itself checked once."""
    jsonschema.Draft202012Validator.check_schema(plan_schema())
    return jsonschema.Draft202012Validator(plan_schema())


@settings(max_examples=25, deadline=None, derandomize=True)
@given(design=designs())
def test_files_keep_to_the_schema(
    tmp_path_factory: pytest.TempPathFactory, schema: jsonschema.Draft202012Validator, design: Design
) -> None:
    path = tmp_path_factory.getbasetemp() / "schema.json"
    write_plan(path, design.plan())
    schema.validate(json.loads(path.read_text(encoding="utf-8")))
