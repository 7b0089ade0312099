"""How soon a tilt and a tomogram are seen, and what killing the watcher costs.

    eucentric design --range 60 --step 3 --exposure 123 --pixel 2.7 --frames 8 --output plan.yaml
    eucentric simulate plan.yaml --size 512 --output simulated
    python benchmarks/live.py simulated --series 3 --every 60
    python benchmarks/live.py simulated --series 1 --every 60 --kills 50

The movies of a simulated session are written anew, tilt by tilt, under the names of so many series one after the other,
each within so many seconds, with an .mdoc that grows; `eucentric watch` is a process beside that. A tilt is seen when
its record stands in the session. With `--kills`, the watcher is killed (SIGKILL) so often, at moments drawn evenly, and
started again; then the journal is looked through for work that was done twice, and the session for what is not there.
"""

import argparse
import json
import os
import random
import re
import signal
import subprocess
import sys
import tempfile
import threading
import time
from collections import Counter
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np

from eucentric.core import write_text
from eucentric.session import RunStatus, read_history


@dataclass
class Microscope:
    """Writes series, and remembers when each movie was closed."""

    simulated: Path
    folder: Path
    series: int
    every_s: float
    closed: dict[tuple[str, int], float] = field(default_factory=dict)

    def run(self) -> None:
        """Acquire all series."""
        mdoc = next((self.simulated / "mdoc").glob("*.mdoc"))
        head, *sections = re.split(r"(?=^\[ZValue)", mdoc.read_text(), flags=re.MULTILINE)
        begun = time.time()
        for number in range(self.series):
            name = f"live_{number + 1:03d}"
            written = head
            for section, text in enumerate(sections):
                due = begun + self.every_s * (number + (section + 1) / len(sections))
                time.sleep(max(0.0, due - time.time()))
                movie = re.findall(r"SubFramePath = .*?([^/\\\n]+)\n", text)[0]
                own = f"{name}_{movie}"
                data = (self.simulated / "frames" / movie).read_bytes()
                (self.folder / "frames" / own).write_bytes(data)
                self.closed[name, section] = time.time()
                written += text.replace(movie, own)
                write_text(self.folder / "mdoc" / f"{name}.mrc.mdoc", written)


def watcher(folder: Path, session: Path, tilts: int) -> "subprocess.Popen[bytes]":
    """Start a watcher."""
    program = Path(sys.executable).with_name("eucentric")
    command = [str(program), "watch", str(folder), "--output", str(session)]
    return subprocess.Popen(
        [*command, "--tilts", str(tilts)], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, start_new_session=True
    )


def finished(session: Path, series: int) -> bool:
    """Whether all series are done."""
    return len(list((session / "series").glob("live_*/report.html"))) == series


def latencies(microscope: Microscope, session: Path) -> tuple[list[float], list[float]]:
    """Return how long after its movie was closed each tilt was seen, and after the last one each tomogram (s)."""
    looks, tomograms = [], []
    last: dict[str, float] = {}
    for (name, section), closed in microscope.closed.items():
        path = session / "series" / name / "looks" / f"{section:03d}.json"
        looks.append(path.stat().st_mtime - closed if path.exists() else float("nan"))
        last[name] = max(last.get(name, 0.0), closed)
    for name, closed in last.items():
        tomograms.append((session / "series" / name / "tomogram.mrc").stat().st_mtime - closed)
    return looks, tomograms


def done_twice(session: Path) -> list[str]:
    """Return the stages that were finished more than once with the same settings and inputs."""
    runs = [run for run in read_history(session) if run.status is RunStatus.FINISHED]
    keys = Counter(
        (run.series, run.stage, run.version, json.dumps(run.settings, sort_keys=True), *(i.sha256 for i in run.inputs))
        for run in runs
    )
    return [f"{key[0]}: {key[1]} ({number} times)" for key, number in keys.items() if number > 1]


def main() -> int:
    """Run it, and print what came of it."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("simulated", type=Path)
    parser.add_argument("--series", type=int, default=3)
    parser.add_argument("--every", type=float, default=60.0, help="seconds of a series")
    parser.add_argument("--kills", type=int, default=0)
    parser.add_argument("--seed", type=int, default=0)
    given = parser.parse_args()
    tilts = len(list((given.simulated / "frames").glob("*_*_*.tif")))
    with tempfile.TemporaryDirectory() as name:
        folder, session = Path(name) / "microscope", Path(name) / "session"
        for part in ("frames", "mdoc"):
            (folder / part).mkdir(parents=True)
        for file in ("plan.yaml", "frames/gain.mrc"):
            (folder / file).write_bytes((given.simulated / file).read_bytes())
        microscope = Microscope(given.simulated, folder, given.series, given.every)
        watching = watcher(folder, session, tilts)
        while not (session / "session.db").exists():  # it is up before the microscope begins
            time.sleep(0.1)
        acquiring = threading.Thread(target=microscope.run)
        acquiring.start()
        draw, killed = random.Random(given.seed), 0  # noqa: S311 - not for secrets
        moments = sorted(time.time() + draw.uniform(0, given.every * given.series + 60) for _ in range(given.kills))
        while acquiring.is_alive() or killed < len(moments) or not finished(session, given.series):
            time.sleep(0.05)
            if killed < len(moments) and time.time() >= moments[killed]:
                os.killpg(watching.pid, signal.SIGKILL) if draw.random() < 0.5 else watching.kill()
                watching.wait()
                killed += 1
                watching = watcher(folder, session, tilts)
            elif watching.poll() is not None:
                print("the watcher ended by itself")
                return 1
        time.sleep(2)
        watching.send_signal(signal.SIGTERM)
        watching.wait()
        looks, tomograms = latencies(microscope, session)
        seen = np.array(looks)
        print(f"{given.series} series of {tilts} tilts, one each {given.every:g} s; {killed} kills")
        print(f"tilt seen after its movie closed (s): median {np.nanmedian(seen):.1f}, largest {np.nanmax(seen):.1f}")
        print(f"tilts without a look (their series had ended): {int(np.isnan(seen).sum())}")
        print(f"tomogram after the last movie closed (s): {', '.join(f'{one:.0f}' for one in tomograms)}")
        twice = done_twice(session)
        print(f"finished twice: {', '.join(twice) or 'nothing'}")
    return 1 if twice else 0


if __name__ == "__main__":
    sys.exit(main())
