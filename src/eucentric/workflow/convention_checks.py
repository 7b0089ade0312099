"""The stage `check`: what the images of summed movies say of conventions that files merely claim."""

from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from eucentric.assessment import HalfSignal, OrderVerdict, half_signal, judge_order
from eucentric.core import SILENT, InputError, Reporter, TiltSeries, write_text
from eucentric.io import open_mrc, read_alignment
from eucentric.processing.ctf.ramp import weigh_ramp
from eucentric.processing.ctf.records import RampVerdict
from eucentric.session import StageRun
from eucentric.workflow.about import about_file
from eucentric.workflow.records import CheckStage, ImageChecks
from eucentric.workflow.stages import Stages, read_record
from eucentric.workflow.summed_movies import SummedMovies

_VOLTAGE_KV = 300.0


def check_conventions(
    stages: Stages,
    movies: SummedMovies,
    alignment: Path,
    *,
    dose_weighting: bool,
    device: torch.device,
    reporter: Reporter = SILENT,
) -> ImageChecks:
    """Return what the images say of pixel size and order of exposure.

    Raises
    ------
    OutputError
        If it cannot be written.
    """
    views = sorted(read_alignment(alignment).tilts, key=lambda view: view.section)
    used = [view.axis_deg for view in views if view.used]
    if not used:
        raise InputError(f"{alignment}: it uses no view.")
    stage = CheckStage(
        series=movies.sums.series,
        lens=movies.lens,
        axis_deg=sorted(used)[len(used) // 2],
        tilts_deg=tuple(view.tilt_deg for view in views),
        dose_weighting=dose_weighting,
    )
    path = stages.folder / "checks.json"

    def work(run: StageRun) -> None:
        ramp, ramp_reason = _ramp(movies, stage, device, reporter)
        order, order_reason = _order(movies, stage)
        checks = ImageChecks(ramp=ramp, order=order, ramp_reason=ramp_reason, order_reason=order_reason)
        write_text(path, checks.model_dump_json(indent=1))
        run.output(path)

    stages.run("check", stage, (movies.unweighted, movies.even, movies.odd), work)
    return read_record(path, ImageChecks)


def _ramp(
    movies: SummedMovies, stage: CheckStage, device: torch.device, reporter: Reporter
) -> tuple[RampVerdict | None, str]:
    reason = movies.no_ctf()
    if reason or stage.lens is None:
        return None, reason
    stack = open_mrc(movies.unweighted).data

    def image(section: int) -> Tensor:
        return torch.tensor(stack[section], dtype=torch.float32)

    with about_file(movies.unweighted):
        found = weigh_ramp(
            image, stage.series.pixel_A, stage.tilts_deg, stage.axis_deg, stage.lens, device=device, reporter=reporter
        )
    return found, "" if found else "too few tilted images show rings that place and defocus could be compared by"


def _order(movies: SummedMovies, stage: CheckStage) -> tuple[OrderVerdict | None, str]:
    series = stage.series
    middles = series.mid_exposures_e_A2
    if not series.order_known or middles is None:
        return None, "the order, or an exposure, is not known"
    if min(movies.sums.frames) < len((movies.even, movies.odd)):
        return None, "some tilts have a single frame, and no halves to compare"
    voltage_kV = stage.lens.voltage_kV if stage.lens else _VOLTAGE_KV
    signals = _signals(movies, series, middles if stage.dose_weighting else (0.0,) * len(middles), voltage_kV)
    verdict = judge_order(
        signals,
        stage.tilts_deg,
        [tilt.pre_exposure_e_A2 or 0.0 for tilt in series.tilts],
        [tilt.exposure_e_A2 or 0.0 for tilt in series.tilts],
        voltage_kV=voltage_kV,
    )
    return verdict, ""


def _signals(
    movies: SummedMovies, series: TiltSeries, weighted_e_A2: tuple[float, ...], voltage_kV: float
) -> list[HalfSignal]:
    even, odd = open_mrc(movies.even).data, open_mrc(movies.odd).data
    return [
        half_signal(
            np.asarray(even[section]),
            np.asarray(odd[section]),
            series.pixel_A,
            weighted_e_A2=weighted,
            voltage_kV=voltage_kV,
        )
        for section, weighted in enumerate(weighted_e_A2)
    ]
