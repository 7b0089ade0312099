"""Makes the pictures of the twin's specimens: the middle of the true volume, and an image as the twin records it.

python tools/make_specimen_pictures.py          (writes src/eucentric/report/specimens/*.png)
"""

from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from eucentric.core import whole_or_nothing
from eucentric.microscope import ExposureRequest
from eucentric.report.specimens import SPECIMEN_PICTURES
from eucentric.specimen.samples import SPECIMENS, build
from eucentric.twin import Effects, Twin, TwinSettings
from eucentric.twin.volume import true_volume

SIZE, SHOWN = 512, 256
# Small particles want a small pixel, cells a large field.
PIXELS_A = {"apoferritin": 2.5, "ribosomes": 5.0, "beads": 6.0, "cell": 8.0, "lamella": 8.0}
THICKNESS_A = {"apoferritin": 500.0, "ribosomes": 1000.0, "lamella": 1500.0}
SLICE_A = 60.0
EXPOSURE_E_A2 = 30.0


def grey(image: NDArray[np.floating], spread: float = 1.0) -> NDArray[np.uint8]:
    """Return an image of `SHOWN` pixels a side in shades of grey, the top row first."""
    low, high = np.percentile(image, (spread, 100 - spread))
    shades = (np.clip((image - low) / max(high - low, 1e-9), 0, 1) * 255).astype(np.uint8)
    picture = Image.fromarray(shades[::-1]).resize((SHOWN, SHOWN), Image.Resampling.BOX)
    return np.asarray(picture)


def main() -> None:
    """Write a picture for each specimen of the package."""
    for name in SPECIMENS:
        pixel_A, thickness_A = PIXELS_A[name], THICKNESS_A.get(name, 1500.0)
        sample = build(name, seed=3, field_A=SIZE * pixel_A, thickness_A=thickness_A, max_tilt_deg=10)
        flat = sample.turned(-sample.pre_tilt_deg)
        voxel_A = 2 * pixel_A
        # Beads lie at the faces: their slice is as thick as the ice.
        depth = round((thickness_A + 200 if name == "beads" else SLICE_A) / voxel_A)
        volume = true_volume(flat, (depth, SIZE // 2, SIZE // 2), voxel_A)
        still = Effects.parse("no-stage-error,no-tilt-error,no-drift")
        settings = TwinSettings(axis_deg=0.0)
        twin = Twin(flat, pixel_A=pixel_A, shape_yx=(SIZE, SIZE), effects=still, settings=settings, seed=3)
        movie = twin.expose(ExposureRequest(exposure_e_A2=EXPOSURE_E_A2, frames=10))
        recorded = movie.frames.sum(axis=0) * twin.sensor.gain_reference
        pair = np.concatenate([grey(-volume.mean(axis=0), 0.3), grey(recorded.astype(float))], axis=1)
        path: Path = SPECIMEN_PICTURES / f"{name}.png"
        with whole_or_nothing(path) as partial:
            Image.fromarray(pair).quantize(32).save(partial, format="PNG", optimize=True)
        print(f"{path.name}: {path.stat().st_size / 1e3:.0f} kB")


if __name__ == "__main__":
    main()
