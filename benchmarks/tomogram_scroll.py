"""Time the tomogram page in a browser: slices a second while it plays, along each axis, and the wait after a jump.

python benchmarks/tomogram_scroll.py [--shape 256 1024 1024] [--seconds 8] [--size 1280 900]

Writes a session with a tomogram of random voxels into a temporary folder, starts `eucentric serve`, opens the page in
Chromium (EUCENTRIC_CHROMIUM, or one on the path), and plays along z, y and x at the highest speed the page offers.
Counted are slices that were drawn and are not the one before, each fetched from the server for the first time. Then
the slider is set to places far away, one by one, and the time to their picture is taken. All of the machine's cores
work for both ends; the file is in the page cache, for it was just written.
"""

import argparse
import os
import shutil
import statistics
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import numpy as np
from playwright.sync_api import Page, sync_playwright

from eucentric.core import stream
from eucentric.io.mrc_writer import mrc_sections
from eucentric.session import Session

ARGUMENTS = ("--headless=new", "--no-sandbox", "--disable-gpu", "--no-first-run", "--disable-background-networking")
VIEWS = {"z": "XY", "y": "XZ", "x": "YZ"}
JUMPS = 9
WARM_UP_MS = 15_000  # a server that has just started prepares its other pages

COUNT = """view => {
  const canvas = document.querySelector(`.pane.${view} canvas`);
  window.drawn = [];
  window.watching?.disconnect();
  window.watching = new MutationObserver(() => {
    const { index } = canvas.dataset;
    if (drawn.at(-1)?.index !== index) drawn.push({ index, at: performance.now() });
  });
  watching.observe(canvas, { attributes: true, attributeFilter: ["data-index"] });
}"""

JUMP = """([axis, view, index]) => new Promise((done) => {
  const slider = document.querySelector(`input[aria-label="Place along ${axis}"]`);
  const canvas = document.querySelector(`.pane.${view} canvas`);
  const began = performance.now();
  const look = () => {
    if (Number(canvas.dataset.index) === index) done(performance.now() - began);
    else requestAnimationFrame(look);
  };
  slider.value = index;
  slider.dispatchEvent(new Event("input"));
  look();
})"""


def main() -> int:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--shape", type=int, nargs=3, default=(256, 1024, 1024), metavar=("Z", "Y", "X"))
    parser.add_argument("--seconds", type=float, default=8)
    parser.add_argument("--size", type=int, nargs=2, default=(1280, 900), help="of the window, in pixels")
    asked = parser.parse_args()
    program = os.environ.get("EUCENTRIC_CHROMIUM") or next(
        filter(None, map(shutil.which, ("chromium", "google-chrome", "chrome"))), None
    )
    if program is None or not Path(program).is_file():
        print("No Chromium or Chrome was found: install one, or set EUCENTRIC_CHROMIUM to it.", file=sys.stderr)
        return 1
    z, y, x = asked.shape
    with tempfile.TemporaryDirectory() as folder:
        write_session(Path(folder), (z, y, x))
        print(f"{z} x {y} x {x} float32, window of {asked.size[0]} x {asked.size[1]}")
        with serving(Path(folder)) as link, sync_playwright() as playwright:
            browser = playwright.chromium.launch(executable_path=program, args=list(ARGUMENTS))
            page = browser.new_page(viewport={"width": asked.size[0], "height": asked.size[1]})
            page.goto(link)
            page.goto(f"{link.split('?')[0]}tomogram/TS_001")
            page.wait_for_selector(".pane.yz canvas[data-index]")
            page.wait_for_timeout(WARM_UP_MS)
            page.get_by_label("Speed").first.select_option("60")
            for axis, n in zip("zyx", (z, y, x), strict=True):
                play(page, axis, asked.seconds, n)
            browser.close()
    return 0


def write_session(folder: Path, shape: tuple[int, int, int]) -> None:
    """Write a session whose one series has a tomogram of noise."""
    draw = stream(0, "benchmark", "scroll")
    with Session.create_or_open(folder) as session:
        place = session.series_folder("TS_001")
    with mrc_sections(place / "tomogram.mrc", shape[1:], "float32", 10.0, kind="volume") as append:
        for _ in range(shape[0]):
            append(draw.standard_normal(shape[1:], dtype=np.float32))


@contextmanager
def serving(session: Path) -> Iterator[str]:
    """Serve the session and give the link."""
    command = [sys.executable, "-c", "import sys; from eucentric.cli import main; sys.exit(main())"]
    command += ["serve", "--no-browser", str(session)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True) as server:
        try:
            yield next(line.strip() for line in server.stdout or () if "token=" in line)
        finally:
            server.terminate()


def play(page: Page, axis: str, seconds: float, n: int) -> None:
    """Play along an axis from its first slice, then jump about, and print how fast that was."""
    view = VIEWS[axis].lower()
    page.evaluate(JUMP, [axis, view, 0])
    page.evaluate(COUNT, view)
    button = page.get_by_role("button", name=f"Play along {axis}")
    button.click()
    page.wait_for_timeout(1000 * min(seconds, (n - 1) / 62))  # not round again: what was fetched is kept
    button.click()
    times = page.evaluate("drawn.map(({ at }) => at)")
    gaps = np.diff(times)
    places = [(k * n * 5 // 13) % n for k in range(1, JUMPS + 1)]
    jumps = [page.evaluate(JUMP, [axis, view, place]) for place in places]
    print(
        f"{VIEWS[axis]}: {(len(times) - 1) * 1000 / (times[-1] - times[0]):.1f} slices/s over {len(times)} slices "
        f"(between two: median {np.median(gaps):.0f} ms, longest {gaps.max():.0f} ms); "
        f"a jump: median {statistics.median(jumps):.0f} ms, longest {max(jumps):.0f} ms"
    )


if __name__ == "__main__":
    sys.exit(main())
