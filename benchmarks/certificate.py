"""The certificate's checks of pixel size and order of exposure on series of the twin, with right and wrong metadata.

python benchmarks/certificate.py SETS --make [--size 1536] [--every 1]: series that are not there yet; with --every 2,
images of every other tilt only, the specimen having been exposed all the same
python benchmarks/certificate.py SETS [--only order|pixel]: verdicts, and how many were wrong

A series: 41 tilts to 60 degrees of 3 e/Å² in two frames, in one of three orders; fields of 4150 Å, a half of what a
camera of 4096 pixels of 1.35 Å sees. Halves that are not on disk are drawn from the sum (each electron to either).
"""

import argparse
import json
import math
import time
from collections import Counter
from pathlib import Path
from typing import Any

import numpy as np
import torch
from ctf_series import twin_of
from numpy.typing import NDArray

from eucentric.assessment import half_signal, judge_order
from eucentric.assessment.exposure_order import rival_orders
from eucentric.design import Bidirectional, ConstantDefocus, ConstantExposure, Design, DoseSymmetric, Unidirectional
from eucentric.microscope import ExposureRequest
from eucentric.optics import Lens
from eucentric.workflow.certifying_images import order_told, pixel_told
from eucentric.workflow.convention_checks import LEAST_FIELD_A, defocus_ratios
from eucentric.workflow.records import ImageChecks

SETS = (
    ("cell", 11, "symmetric"),
    ("ribosomes", 12, "symmetric"),
    ("lamella", 13, "symmetric"),
    ("ribosomes", 14, "oneway"),
    ("cell", 15, "twoway"),
    ("lamella", 16, "oneway"),
)
SCHEMES = {"symmetric": DoseSymmetric, "oneway": Unidirectional, "twoway": Bidirectional}
TOTAL_E_A2 = 123.0
FACTORS = (1.0, 2.0, 0.5, 1.05, 0.95)


def make(folder: Path, specimen: str, seed: int, scheme: str, pixel_A: float, size: int, every: int) -> None:
    """Make one series, unless it is there."""
    out = folder / f"{specimen}_{seed}_{scheme}"
    if (out / "truth.json").exists():
        return
    twin, chosen = twin_of(specimen, seed, pixel_A, size)
    plan = Design(scheme=SCHEMES[scheme](min_deg=-60, max_deg=60), exposure=ConstantExposure(total_e_A2=TOTAL_E_A2))
    rng = np.random.default_rng(seed)
    found: list[tuple[float, NDArray[np.int16], int]] = []
    exposures = list(plan.plan())
    wanted = {one.tilt_deg for one in sorted(exposures, key=lambda one: one.tilt_deg)[::every]}
    for exposure in exposures:
        twin.tilt_to(exposure.tilt_deg)
        twin.wait(5)
        (y, x), height = twin.true_offset_A()
        twin.set_image_shift_A((y, x))
        twin.set_beam_shift_A((y, x))
        twin.set_defocus_A(float(chosen["nominal"] + rng.normal(0, 500.0) - twin.settings.hand * height))
        twin.pixels = exposure.tilt_deg in wanted
        request = ExposureRequest(
            exposure_e_A2=TOTAL_E_A2 / len(exposures), frames=2, purpose="record", order=exposure.order
        )
        one = twin.expose_and_tell(request)
        if twin.pixels:
            found.append((exposure.tilt_deg, np.asarray(one.movie.frames).astype(np.int16), exposure.order))
    found.sort(key=lambda one: one[0])
    out.mkdir(parents=True, exist_ok=True)
    np.save(out / "even.npy", np.stack([one[1][0] for one in found]))
    np.save(out / "odd.npy", np.stack([one[1][1] for one in found]))
    tilts = [{"tilt": tilt, "order": order} for tilt, _, order in found]
    (out / "truth.json").write_text(json.dumps(chosen | {"of": len(exposures), "tilts": tilts}))
    print("made", out.name, flush=True)


def opened(folder: Path) -> tuple[NDArray[np.int16], NDArray[np.int16], dict[str, Any]]:
    """Return both halves and the truth."""
    even, odd = (np.load(folder / f"{half}.npy") for half in ("even", "odd"))
    if not odd.any():
        together = even
        even = np.random.default_rng(0).binomial(together, 0.5).astype(np.int16)
        odd = together - even
    return even, odd, json.loads((folder / "truth.json").read_text())


def orders(folder: Path) -> list[tuple[bool, str]]:
    """Judge the true order and those that it may be mistaken for; return which are true, and the verdicts."""
    even, odd, truth = opened(folder)
    tilts = [float(one["tilt"]) for one in truth["tilts"]]
    signals = [half_signal(one, other, truth["pixel"]) for one, other in zip(even, odd, strict=True)]
    each = TOTAL_E_A2 / truth.get("of", 41)
    true = np.array([one["order"] for one in truth["tilts"]], dtype=float)
    share = len(true) / truth.get("of", 41)
    rows: list[tuple[bool, str]] = []
    for name, place in {"the true order": true, **rival_orders(tilts)}.items():
        # Where not all tilts were imaged, those between received their exposure all the same.
        own = place if place is true else place / share
        like = float(np.corrcoef(own, true)[0, 1])
        if place is not true and like > 0.9:
            continue
        began = time.process_time()
        verdict = judge_order(signals, tilts, (own * each).tolist(), [each / share] * len(tilts))
        told = order_told(ImageChecks(order=verdict))
        rows.append((place is true, told.sureness))
        print(
            f"{folder.name:24s} {name:52s} {told.sureness:12s} odds {verdict.log_odds:6.1f} expected "
            f"{verdict.expected:5.1f} power {verdict.power:.2f} {time.process_time() - began:.1f} s",
            flush=True,
        )
    return rows


def pixels(folder: Path) -> list[tuple[bool, str]]:
    """Judge the true pixel size and wrong ones; return which are true, and the verdicts."""
    even, odd, truth = opened(folder)
    stack = even.astype(np.float32) + odd
    least = sorted(range(len(stack)), key=lambda section: abs(truth["tilts"][section]["tilt"]))[:9]
    images = [(torch.from_numpy(stack[section]), ConstantDefocus().defocus_A) for section in least]
    rows: list[tuple[bool, str]] = []
    for factor in FACTORS:
        began = time.process_time()
        field_A = factor * truth["pixel"] * min(stack.shape[1:])
        ratios = defocus_ratios(images, factor * truth["pixel"], Lens()) if field_A >= LEAST_FIELD_A else ()
        told = pixel_told(ImageChecks(defocus_ratios=ratios))
        rows.append((factor in (1.0, 1.05, 0.95), told.sureness))
        middle = np.median(ratios) if ratios else math.nan
        print(
            f"{folder.name:24s} said {factor:4.2f} times too large: {told.sureness:12s} ratio {middle:.2f} of "
            f"{len(ratios)} images {time.process_time() - began:.0f} s",
            flush=True,
        )
    return rows


def main() -> None:
    """Run as the module says."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("sets", type=Path)
    parser.add_argument("--make", action="store_true")
    parser.add_argument("--size", type=int, default=1536)
    parser.add_argument("--pixel", type=float, default=2.7)
    parser.add_argument("--every", type=int, default=1)
    parser.add_argument("--only", choices=("order", "pixel"))
    options = parser.parse_args()
    if options.make:
        for specimen, seed, scheme in SETS:
            make(options.sets, specimen, seed, scheme, options.pixel, options.size, options.every)
        return
    folders = sorted(one.parent for one in options.sets.glob("*/truth.json"))
    for name, judge in (("order", orders), ("pixel", pixels)):
        if options.only in (None, name):
            rows = [row for folder in folders for row in judge(folder)]
            print(f"{name}: right metadata {dict(Counter(told for true, told in rows if true))}, "
                  f"wrong {dict(Counter(told for true, told in rows if not true))}", flush=True)  # fmt: skip


if __name__ == "__main__":
    main()
