from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from eucentric.core import Alignment, FormatError, TiltAlignment
from eucentric.io import read_alignment, write_alignment

numbers = st.floats(-1e6, 1e6)


@settings(max_examples=50, deadline=None, derandomize=True)
@given(
    st.lists(
        st.builds(
            TiltAlignment,
            section=st.integers(0, 99),
            tilt_deg=numbers,
            x_tilt_deg=numbers,
            axis_deg=numbers,
            shift_yx_A=st.tuples(numbers, numbers),
            magnification=st.floats(0.5, 2),
            used=st.booleans(),
            reason=st.text(max_size=10),
        ),
        min_size=1,
        max_size=4,
    )
)
def test_nothing_is_lost(tmp_path_factory: pytest.TempPathFactory, tilts: list[TiltAlignment]) -> None:
    path = tmp_path_factory.getbasetemp() / "alignment.json"
    alignment = Alignment(pixel_A=1.7005, shape_yx=(630, 652), tilts=tuple(tilts))
    write_alignment(path, alignment)
    assert read_alignment(path) == alignment


@pytest.mark.parametrize(
    ("change", "says"),
    [
        (('"version": 1', '"version": 2'), "version"),
        (('"kind": "eucentric.alignment"', '"kind": "other"'), "kind"),
        (('"axis_deg": 85.0', '"axis_deg": "NaN"'), r"alignment\.tilts\.0\.axis_deg"),
        (('"axis_deg"', '"axis"'), r"axis_deg"),
        (("{", ""), "JSON"),
    ],
)
def test_a_wrong_field_is_named(tmp_path: Path, change: tuple[str, str], says: str) -> None:
    path = tmp_path / "a.json"
    tilt = TiltAlignment(section=0, tilt_deg=3, axis_deg=85)
    write_alignment(path, Alignment(pixel_A=1, shape_yx=(2, 3), tilts=(tilt,)))
    path.write_text(path.read_text().replace(*change, 1))
    with pytest.raises(FormatError, match=says):
        read_alignment(path)
