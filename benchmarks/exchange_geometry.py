"""How far from the twin's truth each program sees its ribosomes in what we export, by its own public reader.

    python benchmarks/exchange_geometry.py

Series of the twin without pixels: both signs of the axis, both defocus hands, both ways of tilting. Printed is the
worst distance, in pixels of the recorded images, over all views and ribosomes, and that after our own import of it.
"""

import itertools
import sys
import tempfile
import time
from pathlib import Path
from typing import Literal

import numpy as np

sys.path.insert(0, str(Path(__file__).parents[1] / "tests"))

from eucentric.io import write_mrc
from eucentric.io.exchange.programs import reader, writer
from phantoms.exchange_readers import READERS
from phantoms.processed import seen_xy_px
from phantoms.twin_series import twin_series

SIGNS: tuple[Literal[1, -1], ...] = (1, -1)


def main() -> int:
    """Print a line for each program."""
    print(
        f"{'program':9} {'cases':>5} {'points':>7} {'reader px':>10} {'import px':>10} {'hand kept':>9} {'export s':>8}"
    )
    good = True
    for program, see in READERS.items():
        worst = imported = seconds = 0.0
        points = cases = hands = 0
        for axis_deg, hand, tilt_sign in itertools.product((84.7, -95.3), SIGNS, SIGNS):
            truth = twin_series(axis_deg=axis_deg, hand=hand, tilt_sign=tilt_sign)
            places = np.array([particle.position_zyx_A for particle in truth.particles])
            expected = seen_xy_px(truth, places)
            with tempfile.TemporaryDirectory() as folder:
                stack, out = Path(folder) / "stack.mrc", Path(folder) / "out"
                blank = np.zeros((len(truth.series.tilts), *truth.series.shape_yx), np.int8)
                write_mrc(stack, blank, truth.series.pixel_A, kind="stack")
                began = time.perf_counter()
                writer(program)(out, [truth.replace(files=truth.files.replace(stack=stack))])
                seconds += time.perf_counter() - began
                seen = see(out, places, truth.series.shape_yx)
                worst = max(worst, *(float(np.abs(seen[at] - expected[at]).max()) for at in seen))
                (back,) = reader(program)(out).series
            by_tilt = np.argsort([tilt.tilt_deg for tilt in back.series.tilts])
            imported = max(imported, float(np.abs(seen_xy_px(back, places)[by_tilt] - expected).max()))
            hands += back.ctf is not None and back.ctf.hand is not None and back.ctf.hand.hand == hand
            points += sum(map(len, seen.values()))
            cases += 1
        print(
            f"{program:9} {cases:5} {points:7} {worst:10.4f} {imported:10.4f} {hands:>7}/{cases} {seconds / cases:8.2f}"
        )
        good &= worst < 0.1 and imported < 0.1
    return 0 if good else 1


if __name__ == "__main__":
    sys.exit(main())
