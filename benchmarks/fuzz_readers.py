"""Every reader, fed with real files whose bytes were changed: no crash, no hang, no memory, no path outside its folder.

    python benchmarks/fuzz_readers.py --cases 100000 --data DATA

DATA is the folder of recorded files; without it only our own are mutated. Two processes work side by side, each with
500 MB above what it has loaded. Exit status 1 if any reader did what it should not; `--keep` saves those cases.
"""

import argparse
import multiprocessing
import resource
import sys
import time
import traceback
import zlib
from pathlib import Path

import numpy as np

sys.path.insert(0, str(Path(__file__).parents[1] / "tests"))

from phantoms.fuzz_seeds import all_fed
from phantoms.fuzzing import feed, mutate

MEMORY_BYTES = 500 << 20
SLOW = {"relion5": 0.25, "warp": 0.25, "imod": 0.5, "portal": 0.25, "ome-zarr": 0.25, "movie tiff": 0.5, "series": 0.5}
"""Share of the cases of other readers, for those that open many files."""

Result = tuple[str, int, int, float, float, list[str]]


def work(task: tuple[str, int, int, Path | None, Path | None]) -> Result:
    """Feed one reader; return its name, the cases, those read, the slowest (s), the peak (MB) and what went wrong."""
    name, cases, seed, data, keep = task
    fed = next(fed for fed in all_fed(data) if fed.name == name)
    for files in fed.seeds:  # what is loaded once, and compiled, is not the cases' doing
        feed(fed, files, seconds=120)
    before = _address_space()
    resource.setrlimit(resource.RLIMIT_AS, (before + MEMORY_BYTES, resource.RLIM_INFINITY))
    rss = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    draw = np.random.default_rng([seed, zlib.crc32(name.encode())])
    read, slowest, wrong = 0, 0.0, []
    for case in range(cases):
        files = mutate(fed.seeds[int(draw.integers(len(fed.seeds)))], draw)
        began = time.perf_counter()
        try:
            read += feed(fed, files)
        except BaseException as error:
            where = traceback.extract_tb(error.__traceback__)[-1]
            wrong.append(
                f"case {case}: {type(error).__name__}: {str(error)[:100]} ({Path(where.filename).name}:{where.lineno})"
            )
            for path, content in files.items() if keep else ():
                kept = keep / f"{name}-{case}" / path  # type: ignore[operator]
                kept.parent.mkdir(parents=True, exist_ok=True)
                kept.write_bytes(content)
        slowest = max(slowest, time.perf_counter() - began)
    resource.setrlimit(resource.RLIMIT_AS, (resource.RLIM_INFINITY, resource.RLIM_INFINITY))
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - rss
    return name, cases, read, slowest, peak / 1024, wrong


def _address_space() -> int:
    pages = int(Path("/proc/self/statm").read_text().split()[0])
    return pages * resource.getpagesize()


def main() -> int:
    """Run all readers, or one, and print what they did."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--cases", type=int, default=10_000)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--reader")
    parser.add_argument("--data", type=Path)
    parser.add_argument("--keep", type=Path)
    given = parser.parse_args()
    names = [fed.name for fed in all_fed(given.data) if given.reader in (None, fed.name)]
    share = given.cases / sum(SLOW.get(name, 1.0) for name in names)
    tasks = [(name, round(share * SLOW.get(name, 1.0)), given.seed, given.data, given.keep) for name in names]
    total, bad, began = 0, 0, time.perf_counter()
    print(
        f"{'reader':15} {'cases':>6} {'read':>6} {'refused':>7} {'wrong':>5} {'slowest s':>9} {'more MB':>7}",
        flush=True,
    )
    with multiprocessing.get_context("spawn").Pool(2, maxtasksperchild=1) as pool:
        for name, cases, read, slowest, peak, wrong in pool.imap_unordered(work, tasks):
            refused = cases - read - len(wrong)
            print(f"{name:15} {cases:6} {read:6} {refused:7} {len(wrong):5} {slowest:9.2f} {peak:7.0f}", flush=True)
            for one in wrong[:5]:
                print(f"    {one}")
            total, bad = total + cases, bad + len(wrong)
    print(f"{total} cases over {len(tasks)} readers in {time.perf_counter() - began:.0f} s: {bad} went wrong.")
    return 1 if bad else 0


if __name__ == "__main__":
    sys.exit(main())
