"""The stage `assess`: what can be said of a tomogram without knowing the truth."""

from collections.abc import Sequence
from pathlib import Path

import numpy as np

from eucentric.assessment import fourier_shell_correlation, sharpness, thickness_from_counts
from eucentric.core import SILENT, Reporter, write_text
from eucentric.io import open_mrc
from eucentric.session import StageRun
from eucentric.workflow.about import about_file
from eucentric.workflow.records import Assessment, AssessStage, Evidence
from eucentric.workflow.volumes import voxel_A


def assess_volumes(
    run: StageRun, settings: AssessStage, evidence: Evidence, volumes: Sequence[Path], reporter: Reporter = SILENT
) -> None:
    """Compare the halves of a tomogram, measure its compact features, and the thickness from counts; write it all.

    `volumes` are the tomogram and its halves.
    """
    tomogram, even, odd = (open_mrc(path) for path in volumes)
    alignment = evidence.result.alignment
    tilts = [view.tilt_deg for view in alignment.used]
    side_A = voxel_A(volumes[0])
    with about_file(volumes[0]), reporter.task("Assessing", 3) as step:
        fsc = fourier_shell_correlation(even.data, odd.data, side_A, tilt_range_deg=(min(tilts), max(tilts)))
        step()
        thickness = thickness_from_counts(
            np.array([view.tilt_deg for view in alignment.tilts]),
            np.array(evidence.mean_counts),
            used=np.array([view.used for view in alignment.tilts]),
            mean_free_path_A=settings.mean_free_path_A,
        )
        step()
        sharp = sharpness(tomogram.data, side_A)
        step()
    path = run.folder / "assessment.json"
    assessment = Assessment(fsc=fsc, thickness=thickness, sharpness=sharp)
    write_text(path, assessment.model_dump_json(indent=1))
    run.output(path)
    run.metric("resolution_A", fsc.resolution_A())
    run.metric("thickness_A", thickness.thickness_A)
