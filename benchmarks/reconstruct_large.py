"""Reconstruct from 41 memory-mapped views of 4096², in slabs or as sub-volumes: seconds, and the most memory held.

Run: python benchmarks/reconstruct_large.py STACK.npy (slabs | subvolumes) [--places 100] [--box 256]

STACK.npy is made (int16 noise, 1.4 GB) if it is not there. Memory is what the process itself holds (RssAnon), without
the pages of the file that the system keeps.
"""

import argparse
import threading
import time
from pathlib import Path

import numpy as np

from eucentric.core import Alignment, TiltAlignment
from eucentric.processing.reconstruction import ReconstructSettings, reconstruct_slabs, reconstruct_subvolumes

VIEWS, SIZE, PIXEL_A = 41, 4096, 1.5


def main() -> None:
    """Run one of both, and print what it took."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("stack", type=Path)
    parser.add_argument("what", choices=("slabs", "subvolumes"))
    parser.add_argument("--places", type=int, default=100)
    parser.add_argument("--box", type=int, default=256)
    arguments = parser.parse_args()
    if not arguments.stack.exists():
        make(arguments.stack)
    images = np.load(arguments.stack, mmap_mode="r")
    views = tuple(
        TiltAlignment(section=i, tilt_deg=3.0 * i - 60, axis_deg=85.0, shift_yx_A=(10.3, -4.0)) for i in range(VIEWS)
    )
    alignment = Alignment(pixel_A=PIXEL_A, shape_yx=(SIZE, SIZE), tilts=views)
    memory = Memory()
    begun, used = time.perf_counter(), time.process_time()
    if arguments.what == "slabs":
        settings = ReconstructSettings(binning=4, thickness_A=1800.0, size_yx=(1024, 1024))
        planes = sum(len(slab.full()) for _, slab in reconstruct_slabs(images, alignment, settings, planes=64))
        print(f"{planes} x 1024 x 1024, both halves and the whole")
    else:
        half_A = np.array([300.0, 2500.0, 2500.0])
        places = np.random.default_rng(1).uniform(-half_A, half_A, (arguments.places, 3))
        box = (arguments.box,) * 3
        centres = [(float(z), float(y), float(x)) for z, y, x in places]
        settings = ReconstructSettings(thickness_A=1000.0)
        done = sum(1 for _ in reconstruct_subvolumes(images, alignment, centres, box, settings))
        print(f"{done} sub-volumes of {arguments.box}³")
    seconds, cpu = time.perf_counter() - begun, time.process_time() - used
    print(f"seconds {seconds:.1f}, of processors {cpu:.1f}, most memory {memory.stop() / 1e9:.2f} GB")


def make(path: Path) -> None:
    """Write noise, each view a little further along."""
    stack = np.lib.format.open_memmap(path, "w+", np.int16, (VIEWS, SIZE, SIZE))
    noise = (100 * np.random.default_rng(0).standard_normal((SIZE, SIZE), dtype=np.float32)).astype(np.int16)
    for i in range(VIEWS):
        stack[i] = np.roll(noise, 97 * i, axis=1)
    stack.flush()


class Memory:
    """Watches how much memory the process itself holds."""

    def __init__(self) -> None:
        self._most, self._stopped = 0, threading.Event()
        self._thread = threading.Thread(target=self._watch, daemon=True)
        self._thread.start()

    def _watch(self) -> None:
        while not self._stopped.wait(0.02):
            lines = Path("/proc/self/status").read_text().splitlines()
            held = next(int(line.split()[1]) for line in lines if line.startswith("RssAnon"))
            self._most = max(self._most, 1000 * held)

    def stop(self) -> int:
        """Return the most bytes that were held."""
        self._stopped.set()
        self._thread.join()
        return self._most


if __name__ == "__main__":
    main()
