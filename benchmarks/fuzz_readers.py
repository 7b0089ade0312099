"""Every reader, fed with real files whose bytes were changed: no crash, no hang, no memory, no path outside its folder.

    python benchmarks/fuzz_readers.py --cases 100000 --data DATA

DATA is the folder of recorded files; without it only our own are mutated. Each reader works in a process of its own,
and may have 500 MB for a case above what it has loaded; one that dies or hangs is told with its case, and goes on with
the next. Exit status 1 if any did what it should not; `--keep` saves those cases.
"""

import argparse
import functools
import logging
import sys
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[1] / "tests"))

from phantoms.fuzz_pool import Outcome, Source, case_of, run, shares
from phantoms.fuzz_seeds import all_fed
from phantoms.fuzzing import Fed

_QUARTER = ("relion5", "warp", "portal", "ome-zarr", "serialem stack")
SLOW = dict.fromkeys(_QUARTER, 0.25) | dict.fromkeys(("imod", "movie tiff", "series"), 0.5)
"""Share of the cases of other readers, for those that open many files."""


def quiet_fed(data: Path | None) -> list[Fed]:
    """Return all readers, having silenced what libraries log of damaged files."""
    logging.disable(logging.CRITICAL)
    return list(all_fed(data))


def show(one: Outcome) -> None:
    """Print a line, and the first few of what went wrong."""
    figures = f"{one.cases:6} {one.read:6} {one.refused:7} {len(one.wrong):5} {one.slowest_s:9.2f} {one.peak_MB:7.0f}"
    print(f"{one.name:15} {figures}", flush=True)
    for case, what in one.wrong[:5]:
        print(f"    case {case}: {what}", flush=True)


def save(source: Source, one: Outcome, seed: int, folder: Path) -> None:
    """Write the files of what went wrong."""
    fed = next(fed for fed in source() if fed.name == one.name)
    for case, _ in one.wrong:
        for path, content in case_of(fed, seed, case).items():
            kept = folder / f"{one.name}-{case}" / path
            kept.parent.mkdir(parents=True, exist_ok=True)
            kept.write_bytes(content)


def main() -> int:
    """Run all readers, or one, and print what they did."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--cases", type=int, default=10_000)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--reader")
    parser.add_argument("--data", type=Path)
    parser.add_argument("--keep", type=Path)
    parser.add_argument("--jobs", type=int, default=1, help="processes side by side")
    given = parser.parse_args()
    source = functools.partial(quiet_fed, given.data)
    names = [fed.name for fed in all_fed(given.data) if given.reader in (None, fed.name)]
    if not names:
        parser.error(f"there is no reader {given.reader}")
    began, outcomes = time.perf_counter(), []
    print(
        f"{'reader':15} {'cases':>6} {'read':>6} {'refused':>7} {'wrong':>5} {'slowest s':>9} {'more MB':>7}",
        flush=True,
    )
    with ThreadPoolExecutor(given.jobs) as threads:
        each = shares(names, given.cases, SLOW)
        for one in threads.map(lambda name: run(source, name, each[name], given.seed), names):
            show(one)
            if given.keep:
                save(source, one, given.seed, given.keep)
            outcomes.append(one)
    bad, total = sum(len(one.wrong) for one in outcomes), sum(one.cases for one in outcomes)
    print(f"{total} cases over {len(outcomes)} readers in {time.perf_counter() - began:.0f} s: {bad} went wrong.")
    return 1 if bad else 0


if __name__ == "__main__":
    sys.exit(main())
