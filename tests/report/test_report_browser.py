"""The page in a real browser: no error on its console, and a slider that works."""

import re
import shutil
import subprocess
from pathlib import Path

import pytest
from report_case import small_report

from eucentric.report import ReportInput, write_report

PROBE = """<script>
addEventListener("load", async () => {
  const canvas = document.querySelector("canvas"), slider = document.querySelector("input[type=range]");
  const output = document.querySelector("output"), play = document.querySelector(".controls button");
  const wait = ms => new Promise(done => setTimeout(done, ms));
  const copy = document.createElement("canvas").getContext("2d", {willReadFrequently: true});
  const bright = () => {
    copy.drawImage(canvas, 0, 0);
    const d = copy.getImageData(0, 0, copy.canvas.width, copy.canvas.height).data;
    let sum = 0; for (let i = 0; i < d.length; i += 4) sum += d[i]; return (sum / d.length * 4).toFixed(1); };
  const seen = [];
  for (const at of [15, 3, 27]) {
    slider.value = at; slider.dispatchEvent(new Event("input")); await wait(150);
    seen.push([canvas.dataset.frame, output.textContent, bright()].join("|"));
  }
  play.click(); await wait(400);
  seen.push([play.textContent, Number(slider.value) !== 27].join("|"));
  play.click(); const still = slider.value; await wait(300);
  seen.push([play.textContent, slider.value === still].join("|"));
  const wide = document.documentElement.scrollWidth <= innerWidth;
  document.title = "probe:" + seen.join(";") + ";" + wide;
});
</script>"""


@pytest.fixture(scope="module")
def report_input() -> ReportInput:
    """Give a small series with everything that a report shows."""
    return small_report()


@pytest.fixture(scope="module")
def chromium() -> str:
    for name in ("chromium", "chromium-browser", "google-chrome"):
        if found := shutil.which(name):
            return found
    pytest.skip("no Chromium here: the page was not opened in a browser")


@pytest.mark.parametrize("size", ["1200,900", "500,800"])
def test_the_slider_moves_through_the_tomogram(
    chromium: str, tmp_path: Path, report_input: ReportInput, size: str
) -> None:
    page = tmp_path / "report.html"
    write_report(page, report_input)
    page.write_text(page.read_text(encoding="utf-8").replace("</body>", PROBE + "</body>"), encoding="utf-8")
    options = ["--headless", "--no-sandbox", "--disable-gpu", "--virtual-time-budget=6000", "--enable-logging=stderr"]
    command = [chromium, *options, f"--user-data-dir={tmp_path / 'profile'}", f"--window-size={size}", "--dump-dom"]
    run = subprocess.run([*command, page.as_uri()], capture_output=True, text=True, timeout=60, check=True)
    assert "CONSOLE" not in run.stderr, [line for line in run.stderr.splitlines() if "CONSOLE" in line]
    title = re.search(r"<title>probe:(.*?)</title>", run.stdout)
    assert title, "the probe did not finish"
    *frames, playing, paused, no_sideways_scroll = title.group(1).split(";")
    assert [frame.split("|")[0] for frame in frames] == ["15", "3", "27"]
    assert [frame.split("|")[1] for frame in frames] == ["z = 0 nm", "z = −12 nm", "z = 12 nm"]
    brightness = [float(frame.split("|")[2]) for frame in frames]
    assert brightness[1] != brightness[0] != brightness[2]
    assert playing == "Pause|true"
    assert paused == "Play|true"
    assert no_sideways_scroll == "true"
