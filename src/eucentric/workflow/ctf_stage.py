"""The stage `ctf`: the CTF of a series of summed movies, where pixels and microscope allow it."""

from pathlib import Path

import torch
from torch import Tensor

from eucentric.core import SILENT, InputError, Reporter, write_text
from eucentric.core.mapped import section_of
from eucentric.io import open_mrc, read_alignment
from eucentric.optics import SeriesCTF
from eucentric.processing.ctf.records import CTFSettings
from eucentric.session import StageRun
from eucentric.workflow.about import about_file
from eucentric.workflow.records import CTFStage
from eucentric.workflow.stages import Stages, read_record
from eucentric.workflow.summed_movies import CTFFound, SummedMovies


def fit_ctf(
    stages: Stages,
    movies: SummedMovies,
    alignment: Path,
    settings: CTFSettings,
    device: torch.device,
    reporter: Reporter = SILENT,
) -> CTFFound:
    """Fit the CTF of a series to its unweighted sums, with the tilt axis that the alignment found.

    Where none can be fitted, the result says why: the series can still be reconstructed.

    Raises
    ------
    OutputError
        If it cannot be written.
    """
    reason = movies.no_ctf()
    if reason or movies.lens is None:
        reporter.say(f"{movies.sums.series.name}: no CTF: {reason}.")
        return CTFFound(reason=reason)
    lens = movies.lens
    axis_deg = _axis_deg(alignment)
    stage = CTFStage(lens=lens, axis_deg=axis_deg, ctf=settings, target_defocus_A=movies.target_defocus_A)
    path = stages.folder / "ctf.json"

    def work(run: StageRun) -> None:
        from eucentric.processing.ctf.series import fit_series

        series = movies.sums.series
        stack = open_mrc(movies.unweighted).data

        def image(section: int) -> Tensor:
            return torch.from_numpy(section_of(stack, section))

        asked = None if None in movies.target_defocus_A else [d for d in movies.target_defocus_A if d is not None]
        with about_file(movies.unweighted):
            fitted = fit_series(
                image,
                series.pixel_A,
                series.tilts_deg,
                axis_deg,
                lens,
                settings,
                nominal_defocus_A=asked,
                order=[tilt.order for tilt in series.tilts] if series.order_known else None,
                device=device,
                reporter=reporter,
            )
        write_text(path, fitted.model_dump_json(indent=1))
        run.output(path)
        used = [tilt.mean_A for tilt in fitted.tilts if tilt.used]
        run.metric("mean_defocus_A", sum(used) / len(used) if used else None)
        run.metric("hand", fitted.hand.model_dump() if fitted.hand else None)

    try:
        stages.run("ctf", stage, (movies.unweighted,), work)
    except InputError as error:  # of the images: nothing after it depends on a CTF
        return CTFFound(reason=error.what)
    fitted = read_record(path, SeriesCTF)
    if not any(tilt.used for tilt in fitted.tilts):
        return CTFFound(reason="no rings stand out of the noise of any tilt")
    return CTFFound(fitted)


def _axis_deg(alignment: Path) -> float:
    views = read_alignment(alignment).used
    if not views:
        raise InputError(f"{alignment}: it uses no view.")
    return sorted(view.axis_deg for view in views)[len(views) // 2]
