"""The stage `check`: what the images of summed movies say of conventions that files merely claim."""

from collections.abc import Iterable
from pathlib import Path

import torch
from torch import Tensor

from eucentric.assessment import HalfSignal, OrderVerdict, half_signal, judge_order
from eucentric.core import InputError, TiltSeries, write_text
from eucentric.core.mapped import section_of
from eucentric.io import open_mrc, read_alignment
from eucentric.optics import Lens
from eucentric.processing.ctf.fit import fit_image
from eucentric.processing.ctf.records import CTFSettings
from eucentric.session import StageRun
from eucentric.workflow.records import CheckStage, ImageChecks
from eucentric.workflow.stages import Stages, read_record
from eucentric.workflow.summed_movies import SummedMovies

_VOLTAGE_KV = 300.0  # where nobody says
_TILTS, _LOW_TILT_DEG = 9, 25.0
_LEAST_TARGET_A = 10_000.0  # below, an offset of a micrometre would look like a binning
LEAST_FIELD_A = 1500.0  # of smaller ones, rings said twice too fine were once met by a defocus near that asked for
_ANY_DEFOCUS = CTFSettings(min_defocus_A=3000, max_defocus_A=200_000)  # pixels said twice too large make 5 µm 20


def check_conventions(stages: Stages, movies: SummedMovies, alignment: Path, *, dose_weighting: bool) -> ImageChecks:
    """Return what the images say of the order of exposure, and of the defocus that was asked for.

    Raises
    ------
    OutputError
        If it cannot be written.
    """
    views = sorted(read_alignment(alignment).tilts, key=lambda view: view.section)
    stage = CheckStage(
        series=movies.sums.series,
        lens=movies.lens,
        target_defocus_A=movies.target_defocus_A,
        tilts_deg=tuple(view.tilt_deg for view in views),
        dose_weighting=dose_weighting,
    )
    path = stages.folder / "checks.json"

    def work(run: StageRun) -> None:
        order, reason = _order(movies, stage)
        checks = ImageChecks(order=order, order_reason=reason, defocus_ratios=_defocus_ratios(movies, stage))
        write_text(path, checks.model_dump_json(indent=1))
        run.output(path)
        run.metric("order_log_odds", order.log_odds if order else None)

    stages.run("check", stage, (movies.unweighted, movies.even, movies.odd), work)
    return read_record(path, ImageChecks)


def defocus_ratios(
    images: Iterable[tuple[Tensor, float]], pixel_A: float, lens: Lens, settings: CTFSettings = _ANY_DEFOCUS
) -> tuple[float, ...]:
    """Return the defocus of images, each over the one that was asked for it, where rings were found."""
    ratios = []
    for image, asked_A in images:
        try:
            fit = fit_image(image, pixel_A, lens, settings)
        except InputError:  # nothing in which rings could be
            continue
        if fit.fit_resolution_A is not None:
            ratios.append(fit.mean_A / asked_A)
    return tuple(ratios)


def _defocus_ratios(movies: SummedMovies, stage: CheckStage) -> tuple[float, ...]:
    """Return those of the least tilted images, unlike the fit of the series without regard to what was asked for."""
    field_A = min(stage.series.shape_yx) * stage.series.pixel_A
    if movies.no_ctf() or stage.lens is None or field_A < LEAST_FIELD_A:
        return ()
    stack = open_mrc(movies.unweighted).data
    least = sorted(range(len(stage.tilts_deg)), key=lambda section: abs(stage.tilts_deg[section]))
    images = (
        (torch.from_numpy(section_of(stack, section)), asked)
        for section in least[:_TILTS]
        if (asked := stage.target_defocus_A[section]) is not None
        and asked >= _LEAST_TARGET_A
        and abs(stage.tilts_deg[section]) <= _LOW_TILT_DEG
    )
    return defocus_ratios(images, stage.series.pixel_A, stage.lens)


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
            section_of(even, section),
            section_of(odd, section),
            series.pixel_A,
            weighted_e_A2=weighted,
            voltage_kV=voltage_kV,
        )
        for section, weighted in enumerate(weighted_e_A2)
    ]
