"""Times a design with its prediction, and a search for the best: ``python benchmarks/design.py [--repeat N]``."""

import argparse
import statistics
import time

from eucentric.design import Design, DoseSymmetric, Objective, optimise, predict
from eucentric.design.increments import ConstantIncrement


def main() -> None:
    """Print the milliseconds of a warm design and prediction, and the seconds and designs of a search."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--repeat", type=int, default=50)
    repeat = parser.parse_args().repeat
    for tilts in (41, 121):
        scheme = DoseSymmetric(increment=ConstantIncrement(step_deg=120 / (tilts - 1)))
        taken = []
        for _ in range(repeat + 1):
            start = time.perf_counter()
            _ = predict(Design(scheme=scheme).plan()).summary
            taken.append(1e3 * (time.perf_counter() - start))
        warm = taken[1:]
        print(f"{tilts} tilts: first {taken[0]:.0f} ms, warm {statistics.median(warm):.2f} (worst {max(warm):.2f})")
    for goal in ("bits", "resolution"):
        start = time.perf_counter()
        found = optimise(Design(), 120.0, Objective.model_validate({"goal": goal, "max_minutes": 20}))
        seconds = time.perf_counter() - start
        best = found.best
        print(f"{goal}: {found.tried} designs in {seconds:.1f} s; best {best.label}, {best.tilts} tilts")


if __name__ == "__main__":
    main()
