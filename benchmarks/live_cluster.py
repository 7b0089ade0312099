"""Many tiny series through a Dask cluster of two processes, some poisoned, while workers are killed at random.

    python benchmarks/live_cluster.py --series 1000

Each series has five tilts of two frames, of 48 x 48 pixels; one in a hundred has movies that are none. A worker is
killed (SIGKILL) every so often, and its nanny starts another. Printed are how many were done and why the others were
not, whether anything was finished twice, and what a task costs beyond its own work: empty tasks through the same crew.
"""

import argparse
import os
import random
import signal
import sys
import tempfile
import threading
import time
from pathlib import Path

import numpy as np
from live import done_twice

from eucentric.io.movies import write_movie
from eucentric.processing.alignment import AlignSettings
from eucentric.session import Session, read_events, read_history
from eucentric.workflow.live import DaskCrew, Watch, WatchSettings
from eucentric.workflow.live.arrivals import Arrivals
from eucentric.workflow.records import ProcessSettings

TILTS_DEG = (0, 25, -25, 50, -50)
SIZE, FRAMES = 48, 2


def write_series(folder: Path, name: str, draw: np.random.Generator, *, poisoned: bool) -> None:
    """Write the movies and the .mdoc of a series of noise with a spot; or of files that are no movies."""
    lines = ["PixelSpacing = 10", f"ImageSize = {SIZE} {SIZE}", "Voltage = 300", ""]
    lines += ["[T =     Tilt axis angle = 84.7, binning = 1  spot = 8  camera = 0]", ""]
    y, x = np.mgrid[:SIZE, :SIZE] - SIZE // 2
    for section, tilt in enumerate(TILTS_DEG):
        movie = f"{name}_{section:03d}.mrc"
        path = folder / "frames" / movie
        if poisoned:
            path.write_bytes(b"not a movie")
        else:
            mean = 8 - 5 * np.exp(-((y - 6) ** 2 + (x - 4 * np.cos(np.radians(tilt))) ** 2) / 18)
            write_movie(path, draw.poisson(mean, (FRAMES, SIZE, SIZE)).astype(np.uint8), 10.0)
        lines += [
            f"[ZValue = {section}]", f"TiltAngle = {tilt}", "ExposureDose = 3", f"NumSubFrames = {FRAMES}",
            f"SubFramePath = {movie}", f"DateTime = 29-Nov-2026  10:{section:02d}:00", "",
        ]  # fmt: skip
    (folder / "mdoc" / f"{name}.mdoc").write_text("\n".join(lines))


def nothing(_: int) -> None:
    """Do nothing: what is left of a task is what it costs."""


def overhead_s(crew: DaskCrew, tasks: int = 200) -> float:
    """Return what an empty task costs."""
    crew.submit(nothing, 0).result(60)
    begun = time.perf_counter()
    for future in [crew.submit(nothing, number) for number in range(tasks)]:
        future.result(60)
    return (time.perf_counter() - begun) / tasks


def main() -> int:
    """Run it, and print what came of it."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--series", type=int, default=1000)
    parser.add_argument("--kill-every", type=float, default=20.0, help="seconds")
    parser.add_argument("--seed", type=int, default=0)
    given = parser.parse_args()
    from distributed import LocalCluster

    start: object = LocalCluster
    cluster = start(  # type: ignore[operator]
        n_workers=2, threads_per_worker=1, processes=True, dashboard_address=None, memory_limit=0, host="127.0.0.1"
    )
    draw = np.random.default_rng(given.seed)
    poisoned = set(draw.choice(given.series, max(1, given.series // 100), replace=False).tolist())
    with tempfile.TemporaryDirectory() as name:
        folder, output = Path(name) / "microscope", Path(name) / "session"
        for part in ("frames", "mdoc"):
            (folder / part).mkdir(parents=True)
        for number in range(given.series):
            write_series(folder, f"TS_{number:04d}", draw, poisoned=number in poisoned)
        crew = DaskCrew(cluster.scheduler_address)
        print(f"an empty task: {1e3 * overhead_s(crew):.1f} ms", flush=True)
        over, killed = threading.Event(), []

        def kill() -> None:
            choose = random.Random(given.seed)  # noqa: S311 - not for secrets
            while not over.wait(given.kill_every * choose.uniform(0.5, 1.5)):
                pids = [nanny.pid for nanny in cluster.workers.values() if nanny.pid]
                if pids:
                    os.kill(choose.choice(pids), signal.SIGKILL)
                    killed.append(time.time())

        threading.Thread(target=kill, daemon=True).start()
        align = AlignSettings(axis_deg=84.7, rounds=1, specimen_depth_A=150, beads="never", local_motion=False)
        process = ProcessSettings(align=align)
        settings = WatchSettings(process=process, quiet_s=0, late_s=0, tries=5)
        begun = time.perf_counter()
        with Session.create_or_open(output) as session, session.served(crew.host) as server:
            arrivals = Arrivals(folder, settle_s=1.0)
            progress = Watch(session, server.address, arrivals, crew, settings).run(once=True)
        seconds = time.perf_counter() - begun
        over.set()
        states = [one.state.value for one in progress]
        print(f"{given.series} series, {len(poisoned)} poisoned, {len(killed)} workers killed, {seconds:.0f} s")
        print({state: states.count(state) for state in sorted(set(states))})
        for event in read_events(output, "live.failed"):
            print(f"  {event.series}: {event.body['reason'][:110]}")
        retried = len(read_events(output, "live.retried"))
        interrupted = sum(run.status.value == "interrupted" for run in read_history(output))
        twice = done_twice(output)
        print(f"{retried} series tried again, {interrupted} stages interrupted; finished twice: {twice or 'nothing'}")
        crew.close()
    cluster.close()
    right = states.count("done") == given.series - len(poisoned) and states.count("failed") == len(poisoned)
    return 0 if right and not twice else 1


if __name__ == "__main__":
    sys.exit(main())
