"""A walk through the tomogram along the beam, with a slider and a play button."""

import json

import numpy as np

from eucentric.report.inputs import ReportInput
from eucentric.report.style import SMOOTHED_A, Plot, data_uri, grey, robust_limits, shrunk, smoothed

MOST_FRAMES, LARGEST_PX = 80, 512
"""With JPEG of at most 65 kB a frame this stays below 7 MB, so that the page can be mailed."""

SCRIPT = """
(() => {
  const data = JSON.parse(document.getElementById("movie-frames").textContent);
  const box = document.getElementById("player");
  const canvas = box.querySelector("canvas"), slider = box.querySelector("input");
  const button = box.querySelector("button"), label = box.querySelector("output");
  const images = data.frames.map(source => Object.assign(new Image(), {src: source}));
  let timer = 0;
  const show = () => {
    const at = Number(slider.value), image = images[at];
    label.textContent = slider.ariaValueText = "z = " + data.z_nm[at] + " nm";
    const draw = () => {
      if (Number(slider.value) !== at) return;
      canvas.getContext("2d").drawImage(image, 0, 0, canvas.width, canvas.height);
      canvas.dataset.frame = at;
    };
    if (image.complete) draw(); else image.addEventListener("load", draw, {once: true});
  };
  const play = on => {
    clearInterval(timer);
    timer = on ? setInterval(() => { slider.value = (Number(slider.value) + 1) % images.length; show(); }, 80) : 0;
    button.textContent = on ? "Pause" : "Play";
    button.setAttribute("aria-pressed", String(on));
  };
  slider.addEventListener("input", () => { play(false); show(); });
  button.addEventListener("click", () => play(!timer));
  show();
})();
"""
"""The only script of a report; a server that lets no other run knows it by its text."""

_PLAYER = """<div class="player" id="player">
<canvas width="{width}" height="{height}" role="img" aria-label="Slice through the tomogram"></canvas>
<noscript><img src="{still}" alt="Central slice of the tomogram"></noscript>
<div class="controls"><button type="button" aria-pressed="false">Play</button>
<input type="range" min="0" max="{last}" value="{middle}" aria-label="Height of the slice">
<output></output></div></div>
<script type="application/json" id="movie-frames">{frames}</script>
<script>{script}</script>"""


def movie(data: ReportInput) -> tuple[Plot, ...]:
    """Show the slices along z one after the other, on one grey scale."""
    nz = data.tomogram.shape[0]
    step = -(-nz // MOST_FRAMES)
    thick = max(step, round(20 / data.pixel_A), 3)
    averaged, z_nm = [], []
    for start in range(0, nz, step):
        first = max(0, start + step // 2 - thick // 2)
        part = data.tomogram[first : first + thick, ::-1]
        averaged.append(smoothed(np.asarray(np.mean(part, axis=0, dtype=np.float32)), data.pixel_A))
        height_nm = (first + (len(part) - 1) / 2 - nz // 2) * data.pixel_A / 10
        z_nm.append(str(round(height_nm)).replace("-", "−"))
    middle = len(averaged) // 2
    low, high = np.mean([robust_limits(frame) for frame in averaged[middle // 2 :: max(1, middle // 4)]], axis=0)
    frames = [data_uri(shrunk(grey(frame, (low, high)), LARGEST_PX)) for frame in averaged]
    height, width = shrunk(grey(averaged[middle]), LARGEST_PX).shape
    player = _PLAYER.format(
        width=width,
        height=height,
        last=len(frames) - 1,
        middle=middle,
        still=frames[middle],
        frames=json.dumps({"frames": frames, "z_nm": z_nm}),
        script=SCRIPT,
    )
    words = (
        f"{len(frames)} slices along the beam, each averaged over {thick * data.pixel_A / 10:.0f} nm and smoothed "
        f"by {SMOOTHED_A / 10:g} nm, on one grey scale. The specimen should come into view, be "
        "crisp through its thickness and leave again; if it is cut at either end, the tomogram is too thin or off "
        "centre."
    )
    return (Plot("movie", player, words, wide=True),)
