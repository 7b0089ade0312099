"""Rehearse a script, PACEtomo as a rule, on several stages: how targets were kept, what it cost, how long it took.

python benchmarks/rehearse.py PACEtomo.py OUT [--seeds 3] [--targets 3] [--pixels] [--process]

The script is run as it is. Each seed is another specimen, stage and set of errors: a stage as it is found (2 µm high, 1
µm off the axis, misses of 100 nm rms, 300 nm of backlash). The first target is the one that PACEtomo tracks, on its own
images; the others are told apart from it.
"""

import argparse
import shutil
import subprocess
import sys
import time
from pathlib import Path

import numpy as np

from eucentric.report.rehearsal_summary import images_of_targets, merit
from eucentric.workflow.rehearse import RehearseSettings, rehearse


def main() -> None:
    """Run what the command line asks for."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("script", type=Path)
    parser.add_argument("output", type=Path)
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--targets", type=int, default=3)
    parser.add_argument("--pixels", action="store_true")
    parser.add_argument("--process", action="store_true")
    chosen = parser.parse_args()
    for seed in range(chosen.seeds):
        folder = chosen.output / f"seed{seed}{'_pixels' * chosen.pixels}"
        shutil.rmtree(folder, ignore_errors=True)
        wall_s, cpu_s = time.perf_counter(), time.process_time()
        doings = rehearse(
            chosen.script, folder, RehearseSettings(targets=chosen.targets, seed=seed, pixels=chosen.pixels)
        )
        wall_s, cpu_s = time.perf_counter() - wall_s, time.process_time() - cpu_s
        images = images_of_targets(doings)
        print(
            f"seed {seed}: {doings.ending} at line {doings.line} {doings.reason}; {len(images)} Record images, "
            f"{doings.seconds / 60:.1f} min of the microscope, {wall_s:.1f} s ({cpu_s:.1f} s CPU); "
            f"{len(doings.refused)} commands refused, {len(doings.asked)} dialogs"
        )
        for what, names in (("tracked", doings.targets[:1]), ("others", doings.targets[1:])):
            own = merit([one for one in images if one.place in names])
            if own.images and own.off_p95_nm is not None and own.within_100_nm is not None:
                print(
                    f"  {what}: {100 * own.within_100_nm:.1f} % within 100 nm, 95th percentile {own.off_p95_nm:.0f}, "
                    f"worst {own.off_worst_nm:.0f} nm; defocus {own.defocus_rms_um or np.nan:.3f} µm rms, "
                    f"worst {own.defocus_worst_um or np.nan:+.3f}"
                )
        if chosen.process:
            begun = time.perf_counter()
            subprocess.run([Path(sys.executable).with_name("eucentric"), "process", folder], check=True)
            print(f"  processed in {time.perf_counter() - begun:.0f} s")


if __name__ == "__main__":
    main()
