"""`eucentric watch`."""

import os
import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

from cyclopts import Parameter, validators

from eucentric.cli.app import (
    DONE,
    FAILED,
    Device,
    Json,
    Pixel,
    app,
    print_json,
    reporter,
    settings_from,
    tell,
)
from eucentric.core import InputError

if TYPE_CHECKING:
    from eucentric.core import Reporter
    from eucentric.workflow.live import Crew, SeriesProgress
    from eucentric.workflow.records import ProcessSettings

Positive = Annotated[float | None, Parameter(validator=validators.Number(gt=0))]
Seconds = Annotated[float, Parameter(validator=validators.Number(gte=0))]
Count = Annotated[int | None, Parameter(validator=validators.Number(gte=1))]


@app.command
def watch(
    folder: Path,
    /,
    *,
    output: Annotated[Path, Parameter(name=["--output", "-o"])],
    frames: Path | None = None,
    gain: Path | None = None,
    tilts: Count = None,
    once: bool = False,
    workers: Count = None,
    scheduler: str | None = None,
    quiet: Seconds = 20.0,
    late: Seconds = 120.0,
    settle: Seconds = 1.0,
    pixel: Pixel = None,
    exposure: Positive = None,
    voltage: float | None = None,
    cs: float | None = None,
    amplitude_contrast: float | None = None,
    local_motion: bool = True,
    dose_weighting: bool = True,
    ctf_correction: Literal["none", "phase-flip", "slabs"] = "phase-flip",
    axis: float | None = None,
    binning: Annotated[int, Parameter(name="--bin")] = 1,
    thickness: float | None = None,
    device: Device = "auto",
    json: Json = False,
) -> int:
    """Process tilt series while they are acquired: each tilt as its movie closes, each series as it ends.

    Example: `eucentric watch /data/today --output my-session` on a folder with .mdocs in it, and movies or stacks
    beside them, or movies in `frames/`; end it with Ctrl-C, and the same command goes on from there. `eucentric watch
    /data/today --output my-session --scheduler tcp://node1:8786` has the work done by a Dask cluster. `eucentric
    session events my-session --follow`, and `eucentric serve my-session`, show how it goes.

    Of each tilt its movement, defocus and counts are found and a picture is made as soon as its movie has not grown for
    a while; a movie that comes late holds up no other. Where the .mdoc names no movies, the sections of its stack are
    looked at as they come. When a series has ended, all stages of `eucentric process` are
    run on it, and run again should a late movie come. A series that fails stops no other: the reason is told, and kept
    in the journal. A worker that is lost costs what it was at; it is tried again.

    Parameters
    ----------
    folder
        Where the .mdocs come, and stacks beside them, in the folder itself or in its `mdoc/`; it is only read.
    output
        The session folder for the results; made if it is not there.
    frames
        Where the movies come, if neither beside the .mdocs nor in `frames/` of the folder.
    gain
        Gain reference; by default `gain.mrc` or the like beside the movies.
    tilts
        How many tilts a series has; with it, a series has ended as soon as the last movie or section is whole.
    once
        Process what is there, without looks at single tilts, and end.
    workers
        Processes that share the work, by default two, or one for each core if there are fewer. With `--scheduler`, how
        many workers a cluster that adapts to its work may have; by default it is given what those that it has can do.
    scheduler
        Address of a Dask scheduler whose workers are to do the work; they must find all files under the same paths.
        `tls://...` is secured with the certificates of Dask's own configuration.
    quiet
        Seconds without anything new after which a series has ended (or three times the longest wait between two of its
        tilts, if that is longer).
    late
        Seconds, after that, for which missing movies are waited for, or a stack that its .mdoc does not agree with. If
        not one movie came, a stack beside the .mdoc is processed.
    settle
        Seconds for which a movie must not have grown to be taken as whole, or a section must have been in its stack.
    pixel
        Pixel size in Å, in place of what the files say.
    exposure
        Of each movie in e/Å², where the .mdoc does not say.
    voltage
        Of the microscope in kV, where the .mdoc does not say.
    cs
        Spherical aberration in mm.
    amplitude_contrast
        Share of the contrast that is of amplitude.
    local_motion
        Let places of the field move against each other, where the exposure supports it.
    dose_weighting
        Weight frames by what exposure leaves of the signal.
    ctf_correction
        As of `eucentric process`.
    axis
        Tilt-axis angle in degrees, from the image's y axis, counter-clockwise; searched for if not given.
    binning
        Pixels along each side of a voxel.
    thickness
        Thickness of the tomogram in Å; by default the depth found for the specimen.
    """
    if not folder.is_dir():
        raise InputError(f"{folder}: no such folder.", "Name the folder where the microscope leaves its .mdocs.")
    if frames is not None and not frames.is_dir():
        raise InputError(f"{frames}: no such folder of movies.", "Check the path given with --frames.")
    if gain is not None and not gain.is_file():
        raise InputError(f"{gain}: no such gain reference.", "Check the path given with --gain.")
    settings = _process_settings(
        lens={"voltage_kV": voltage, "cs_mm": cs, "amplitude_contrast": amplitude_contrast},
        volume={"binning": binning, "thickness_A": thickness},
        axis_deg=axis,
        others={"dose_weighting": dose_weighting, "ctf_correction": ctf_correction},
        local_motion=local_motion,
    )
    from eucentric.session import Session
    from eucentric.workflow.live import Watch, WatchSettings
    from eucentric.workflow.live.arrivals import Arrivals

    how = WatchSettings(
        process=settings,
        tilts=tilts,
        settle_s=settle,
        quiet_s=0 if once else quiet,
        late_s=0 if once else late,
    )
    said = reporter()
    with (
        _crew(workers, scheduler, said) as crew,  # first: a scheduler that is not there leaves no folder behind
        Session.create_or_open(output, reporter=said) as session,
        session.served(crew.host) as server,
        _stopped_by_ctrl_c() as stop,
    ):
        arrivals = Arrivals(folder.absolute(), frames and frames.absolute(), settle_s=settle)
        watching = Watch(
            session,
            server.address,
            arrivals,
            crew,
            how,
            gain=gain and gain.absolute(),
            pixel_A=pixel,
            exposure_e_A2=exposure,
            device=device,
            reporter=said,
        )
        tell(f"Watching {folder}; results go to {output}. " + ("" if once else "Ctrl-C ends it."))
        try:
            watching.run(once=once, stop=stop)
        finally:
            crew.close()  # here, where what workers are at can still be journalled
        progress = watching.finish()
    return _told(progress, json=json)


def _told(progress: "tuple[SeriesProgress, ...]", *, json: bool) -> int:
    """Tell how far each series came, and return the exit status."""
    failed = [one for one in progress if one.state == "failed" or (one.reason and not one.tilts)]
    done = sum(one.state == "done" for one in progress)
    tell(f"{done} of {len(progress)} series done, {len(failed)} failed.")
    for one in failed:
        tell(f"  {one.series}: {one.reason}")
    if json:
        print_json({"series": [one.model_dump(mode="json") for one in progress]})
    return FAILED if failed else DONE


def _process_settings(
    *,
    lens: dict[str, float | None],
    volume: dict[str, float | int | None],
    axis_deg: float | None,
    others: dict[str, object],
    local_motion: bool,
) -> "ProcessSettings":
    from eucentric.cli.reconstruct import RECONSTRUCT_OPTIONS
    from eucentric.processing.alignment import AlignSettings
    from eucentric.processing.motion.records import MotionSettings
    from eucentric.processing.reconstruction import ReconstructSettings
    from eucentric.workflow.records import LensSettings, ProcessSettings

    names = {"voltage_kV": "voltage", "cs_mm": "cs"}
    parts = {
        "align": settings_from({"axis_deg": axis_deg}, AlignSettings, {"axis_deg": "axis"}),
        "reconstruct": settings_from(volume, ReconstructSettings, RECONSTRUCT_OPTIONS),
        "lens": settings_from(lens, LensSettings, names),
        "motion": MotionSettings(local=local_motion),
    }
    return settings_from({**parts, **others}, ProcessSettings, {})


@contextmanager
def _crew(workers: int | None, scheduler: str | None, said: "Reporter") -> "Iterator[Crew]":
    from eucentric.workflow.live import DaskCrew, LocalCrew

    crew: Crew
    if scheduler:
        crew = DaskCrew(scheduler, at_most=workers, reporter=said)
    else:
        cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
        number = workers or min(2, cores)
        crew = LocalCrew(number, threads=max(1, cores // number))
    try:
        yield crew
    finally:
        crew.close()


@contextmanager
def _stopped_by_ctrl_c() -> Iterator[threading.Event]:
    """Give what is set at the first Ctrl-C, or when the process is asked to end; a second Ctrl-C ends it at once."""
    stop = threading.Event()

    def asked(number: int, frame: object) -> None:
        tell("Ending: what workers are at is finished first. Ctrl-C again ends at once; nothing that is done is lost.")
        stop.set()
        signal.signal(number, signal.default_int_handler if number == signal.SIGINT else signal.SIG_DFL)

    before = {number: signal.signal(number, asked) for number in (signal.SIGINT, signal.SIGTERM)}
    try:
        yield stop
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
