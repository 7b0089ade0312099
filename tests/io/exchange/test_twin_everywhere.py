"""The twin's truth, exported to every program and read back by its own reader, lands where the twin saw it."""

from pathlib import Path
from typing import Literal

import numpy as np
import pytest

from eucentric.io import write_mrc
from eucentric.io.exchange.programs import Program, writer
from phantoms.exchange_readers import READERS
from phantoms.processed import seen_xy_px
from phantoms.twin_series import twin_series


@pytest.mark.parametrize("axis_deg", [84.7, -95.3])
@pytest.mark.parametrize("hand", [1, -1])
@pytest.mark.parametrize("tilt_sign", [1, -1])
@pytest.mark.parametrize("program", READERS)
def test_ribosomes_land_where_the_twin_saw_them(
    tmp_path: Path, program: Program, axis_deg: float, hand: Literal[1, -1], tilt_sign: Literal[1, -1]
) -> None:
    truth = twin_series(axis_deg=axis_deg, hand=hand, tilt_sign=tilt_sign)
    stack = tmp_path / "stack.mrc"
    write_mrc(
        stack, np.zeros((len(truth.series.tilts), *truth.series.shape_yx), np.int8), truth.series.pixel_A, kind="stack"
    )
    writer(program)(tmp_path / "out", [truth.replace(files=truth.files.replace(stack=stack))])
    places = np.array([particle.position_zyx_A for particle in truth.particles])
    seen = READERS[program](tmp_path / "out", places, truth.series.shape_yx)
    expected = seen_xy_px(truth, places)
    assert sorted(seen) == list(range(len(truth.series.tilts)))
    worst = max(np.abs(seen[section] - expected[section]).max() for section in seen)
    assert worst < 0.1
