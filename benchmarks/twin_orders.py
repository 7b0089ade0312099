"""What the order of tilts is worth on the twin: total SSNR of the same exposure spent in three orders.

python benchmarks/twin_orders.py [--specimen apoferritin] [--size 320] [--seed 0]

Published (shared physics, table row 5): dose-symmetric beats bidirectional by 1 to 5 % of the total and removes the
asymmetry of the two sides; a simulator that shows more is wrong.
"""

import argparse
from dataclasses import replace

import numpy as np
from numpy.typing import NDArray
from scipy.fft import rfft2

from eucentric.design import Bidirectional, ConstantExposure, Design, DoseSymmetric, Specimen, Unidirectional
from eucentric.design.schemes import Scheme
from eucentric.microscope import ExposureRequest
from eucentric.specimen.sample import Beads
from eucentric.specimen.samples import build
from eucentric.twin import Effects, Twin

BANDS_A = ((25, 16), (16, 12), (12, 9), (9, 7))
THICKNESS_A, PIXEL_A = 1000.0, 2.5

Array = NDArray[np.float64]


def ssnr(image: NDArray[np.float32]) -> Array:
    """Return the power of a noise-free image in bands over that of its shot noise."""
    image = image.astype(float)
    window = np.outer(np.hanning(len(image)), np.hanning(len(image)))
    power = np.abs(rfft2((image - image.mean()) * window)) ** 2 / (window**2).sum()
    ky, kx = np.fft.fftfreq(len(image), PIXEL_A)[:, None], np.fft.rfftfreq(len(image), PIXEL_A)[None]
    k = np.hypot(ky, kx)
    bands = np.array([float(power[(k >= 1 / a) & (k < 1 / b)].mean()) for a, b in BANDS_A])
    return np.asarray(bands / image.mean(), dtype=float)


def main() -> None:
    """Run as the module says."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--specimen", default="apoferritin")
    parser.add_argument("--size", type=int, default=320)
    parser.add_argument("--seed", type=int, default=0)
    options = parser.parse_args()
    made = build(
        options.specimen,
        seed=options.seed,
        field_A=options.size * PIXEL_A,
        thickness_A=THICKNESS_A,
        max_tilt_deg=60,
        pre_tilt_deg=0,
    )
    sample = replace(made, beads=Beads())
    schemes: dict[str, Scheme] = {
        "dose-symmetric": DoseSymmetric(),
        "bidirectional": Bidirectional(),
        "unidirectional": Unidirectional(),
    }
    totals: dict[str, Array] = {}
    for name, scheme in schemes.items():
        design = Design(scheme=scheme, exposure=ConstantExposure(total_e_A2=120), specimen=Specimen(thickness_A=1000.0))
        effects = Effects.parse("none,damage,inelastic,energy-filter,plural-scattering,incoherence")
        twin = Twin(sample, pixel_A=PIXEL_A, shape_yx=(options.size, options.size), effects=effects)
        sides, total = np.zeros((2, len(BANDS_A))), np.zeros(len(BANDS_A))
        for exposure in design.plan():
            twin.tilt_to(exposure.tilt_deg)
            exposed = twin.expose_and_tell(ExposureRequest(exposure_e_A2=exposure.exposure_e_A2, frames=2))
            # A tilted image holds more of the specimen: what counts is the SSNR of each part of it.
            found = ssnr(exposed.expected_e_px) * np.cos(np.deg2rad(exposure.tilt_deg))
            total += found
            if exposure.tilt_deg != 0:
                sides[int(exposure.tilt_deg > 0)] += found
        totals[name] = total
        asymmetry = np.abs(sides[1] - sides[0]) / sides.sum(axis=0)
        shown = "  ".join(f"{low}-{high} Å {one:.2f}" for (low, high), one in zip(BANDS_A, asymmetry, strict=True))
        print(f"{name}: asymmetry of the sides {shown}", flush=True)
    for other in ("bidirectional", "unidirectional"):
        ratio = totals["dose-symmetric"] / totals[other]
        shown = "  ".join(f"{low}-{high} Å {one:.3f}" for (low, high), one in zip(BANDS_A, ratio, strict=True))
        print(f"total SSNR, dose-symmetric over {other}: {shown}")


if __name__ == "__main__":
    main()
