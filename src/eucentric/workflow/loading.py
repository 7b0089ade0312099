"""A series from its movies or from its stack: one way to load it, and one to process it."""

from dataclasses import dataclass
from pathlib import Path

import torch

from eucentric.core import SILENT, Reporter
from eucentric.design import Plan
from eucentric.io import LoadedSeries, load_series, read_plan
from eucentric.io.movie_series import MovieSeries, load_movie_series
from eucentric.session import Session
from eucentric.workflow.movies import process_movies
from eucentric.workflow.process import process_series
from eucentric.workflow.records import ProcessOutcome, ProcessSettings
from eucentric.workflow.session_series import Acquired, plan_beside


@dataclass(frozen=True)
class Loaded:
    """A series, and the plan of its session where it starts from movies and has one."""

    of: LoadedSeries | MovieSeries
    plan: Plan | None = None


def load_acquired(
    acquired: Acquired,
    *,
    frames: Path | None = None,
    gain: Path | None = None,
    exposure_e_A2: float | None = None,
    angles: Path | None = None,
    tilts: Path | None = None,
    mdoc: Path | None = None,
    pixel_A: float | None = None,
    name: str | None = None,
) -> Loaded:
    """Load a series, reading no pixels.

    `frames`, `gain` and `exposure_e_A2` are of movies (`load_movie_series`), `angles`, `tilts` and `mdoc` of a stack
    (`load_series`); errors and warnings are theirs, and those of `read_plan`.
    """
    if not acquired.from_movies:
        return Loaded(
            load_series(acquired.path, angles=angles, tilts=tilts, mdoc=mdoc, pixel_A=pixel_A, name=name),
        )
    movies = load_movie_series(
        acquired.path, frames=frames, gain=gain, pixel_A=pixel_A, name=name, exposure_e_A2=exposure_e_A2
    )
    plan = plan_beside(acquired.path)
    return Loaded(movies, read_plan(plan) if plan else None)


def process_loaded(
    session: Session,
    loaded: Loaded,
    settings: ProcessSettings,
    *,
    device: torch.device | None = None,
    reporter: Reporter = SILENT,
    noticed: tuple[str, ...] = (),
) -> ProcessOutcome:
    """Process a series by `process_series` or `process_movies`, whose parameters, errors and warnings these are."""
    if isinstance(loaded.of, LoadedSeries):
        return process_series(session, loaded.of, settings, device=device, reporter=reporter, noticed=noticed)
    return process_movies(
        session, loaded.of, settings, plan=loaded.plan, device=device, reporter=reporter, noticed=noticed
    )
