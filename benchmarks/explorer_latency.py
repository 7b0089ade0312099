"""Time the explorer in a browser: from a slider's move to its fresh picture.

python benchmarks/explorer_latency.py [--moves 50]

Starts `eucentric serve`, opens the page in Chromium (EUCENTRIC_CHROMIUM, or one on the path), and moves its sliders in
turn by the arrow keys, as often as asked. Measured in the page: from the key's event to the `load` event of the new
picture, and to the last chart that changed. One move is made after the other has settled; then a slider is moved as
fast as keys repeat, and pictures that came meanwhile are counted. A processor that is busy with something else shows.
"""

import argparse
import os
import shutil
import statistics
import subprocess
import sys
from pathlib import Path

from playwright.sync_api import Page, sync_playwright

ARGUMENTS = ("--headless=new", "--no-sandbox", "--disable-gpu", "--no-first-run", "--disable-background-networking")
SLIDERS = ("Tilts", "Range", "Exposure in all", "Thickness", "Defocus", "Noise")

WATCH = """() => {
  window.moves = [];
  let move = null;
  document.addEventListener("keydown", () => { move = { began: performance.now() }; moves.push(move); }, true);
  const now = (name) => { if (move && !(name in move)) move[name] = performance.now() - move.began; };
  document.querySelector("#explorer-slice").addEventListener("load", () => now("slice"));
  document.querySelector("#explorer-projection").addEventListener("load", () => now("projection"));
  const charts = document.querySelector(".charts");
  new MutationObserver(() => { if (move) move.charts = performance.now() - move.began; })
    .observe(charts, { childList: true, subtree: true, characterData: true, attributes: true });
  window.pictures = 0;
  document.querySelector("#explorer-slice").addEventListener("load", () => pictures++);
}"""


def main() -> int:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--moves", type=int, default=50)
    moves = parser.parse_args().moves
    program = os.environ.get("EUCENTRIC_CHROMIUM") or next(
        filter(None, map(shutil.which, ("chromium", "google-chrome", "chrome"))), None
    )
    if program is None or not Path(program).is_file():
        print("No Chromium or Chrome was found: install one, or set EUCENTRIC_CHROMIUM to it.", file=sys.stderr)
        return 1
    command = [sys.executable, "-c", "import sys; from eucentric.cli import main; sys.exit(main())"]
    with subprocess.Popen(
        [*command, "serve", "--no-browser"],
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    ) as server:
        try:
            assert server.stdout is not None  # for the type checker: it was asked for
            link = next(line.strip() for line in server.stdout if "token=" in line)
            with sync_playwright() as playwright:
                browser = playwright.chromium.launch(executable_path=program, args=list(ARGUMENTS))
                page = browser.new_page(viewport={"width": 1280, "height": 900})
                page.goto(link)
                page.wait_for_function("document.querySelector('#explorer-projection')?.complete")
                page.wait_for_timeout(3000)
                measure(page, moves)
                browser.close()
        finally:
            server.terminate()
    return 0


def measure(page: Page, moves: int) -> None:
    """Move sliders one by one, then one of them as fast as keys repeat."""
    page.evaluate(WATCH)
    for move in range(moves):
        slider = page.get_by_role("slider", name=SLIDERS[move % len(SLIDERS)], exact=True)
        slider.focus()
        page.keyboard.press("ArrowRight" if move // len(SLIDERS) % 2 else "ArrowLeft")
        page.wait_for_function("moves.at(-1).slice")  # a projection may well stay as it is
        page.wait_for_timeout(400)
    told = page.evaluate("moves")
    for name in ("slice", "projection", "charts"):
        report(name, [one[name] for one in told if name in one])
    page.evaluate("pictures = 0")
    began = page.evaluate("performance.now()")
    slider = page.get_by_role("slider", name="Defocus", exact=True)
    slider.focus()
    for _ in range(60):
        page.keyboard.press("ArrowRight")
        page.wait_for_timeout(33)
    elapsed_s = (page.evaluate("performance.now()") - began) / 1e3
    pictures = page.evaluate("pictures")
    print(f"while dragged   {pictures / elapsed_s:6.1f} pictures/s, of {60 / elapsed_s:.1f} moves/s")


def report(name: str, times_ms: list[float]) -> None:
    """Print the spread of some times."""
    ordered = sorted(times_ms)
    ninth = ordered[int(0.9 * (len(ordered) - 1))]
    print(
        f"{name:<12} median {statistics.median(ordered):6.0f} ms, 90 % within {ninth:6.0f} ms, of {len(ordered)} moves"
    )


if __name__ == "__main__":
    sys.exit(main())
