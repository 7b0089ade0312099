"""`Past`: what a run that goes on must know of what was before, as the journal tells it."""

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

from eucentric.acquisition.model import Side, StageModel
from eucentric.acquisition.series_files import SeriesImage
from eucentric.microscope import Readback
from eucentric.session import Event, ExposureRecord, ExposureState

Key = tuple[str, int]

RECORD = "record"


@dataclass
class Past:
    """What is settled, and what each place has received.

    Attributes
    ----------
    settled
        Exposures of the plan, as target and order, that are not to be made (again).
    received_e_A2
        By place, of every purpose; uncertain exposures count.
    images
        By target, those whose movies were written, in the order of acquisition.
    stopped
        Targets and sides that were given up, with the reason.
    at
        The tilt, and its side, that the model was at last.
    """

    settled: set[Key] = field(default_factory=set)
    received_e_A2: dict[str, float] = field(default_factory=dict)
    images: dict[str, list[SeriesImage]] = field(default_factory=dict)
    stopped: dict[tuple[str, str], str] = field(default_factory=dict)
    at: tuple[float, Side] | None = None

    def add(self, record: ExposureRecord) -> SeriesImage | None:
        """Take an exposure into account, and return its image if it has one."""
        if record.purpose == RECORD:
            self.settled.add((record.target, record.order))
        before = self.received_e_A2.get(record.target, 0.0)
        if not record.received:
            return None
        self.received_e_A2[record.target] = before + record.exposure_e_A2
        return _image(record, before)


def past_of(
    records: Iterable[ExposureRecord], *, has_movie: Callable[[str], bool], retake: Callable[[ExposureRecord], bool]
) -> tuple[Past, list[ExposureRecord]]:
    """Return the past, and the exposures that were delivered and whose movies are not there.

    Parameters
    ----------
    records
        All exposures of the session, oldest first.
    has_movie
        Whether the movie of a name is there.
    retake
        Whether an uncertain exposure of the plan is to be made again; it counts as received all the same.
    """
    past, lost = Past(), []
    for record in records:
        image = past.add(record)
        if image is not None and (not record.details["movie_pixels"] or has_movie(image.movie)):
            past.images.setdefault(record.target, []).append(image)
        elif record.purpose == RECORD and record.state is ExposureState.DELIVERED:
            lost.append(record)
    latest = {(record.target, record.order): record for record in records if record.purpose == RECORD}
    for key, record in latest.items():
        if record.state is ExposureState.UNCERTAIN and retake(record):
            past.settled.discard(key)
    return past, lost


def replay(events: Iterable[Event], model: StageModel, past: Past, lie: Callable[[Mapping[str, float]], None]) -> None:
    """Let a model learn again all that was measured, and take up what was given up.

    `lie` is called with the heights of the focus points, where they were measured.
    """
    for event in events:
        body = event.body
        if event.kind == "acquisition.tilt":
            model.at(body["tilt_deg"], body["side"])
            past.at = (body["tilt_deg"], body["side"])
        elif event.kind == "acquisition.saw":
            if body["doubt_A"]:
                model.doubt(body["doubt_A"])
            model.saw(body["place"], (body["yx_A"][0], body["yx_A"][1]), body["sigma_A"])
        elif event.kind == "acquisition.plane":
            lie(body["heights_A"])
        elif event.kind == "acquisition.focused":
            model.focused(body["place"], body["height_A"], body["sigma_A"])
        elif event.kind == "acquisition.stopped":
            past.stopped[body["target"], body["side"]] = body["reason"]


def details_of(
    movie: str | None, shape: tuple[int, ...], readback: Readback, target_defocus_A: float
) -> dict[str, Any]:
    """Return what is noted with a delivered exposure, from which its image can be described again.

    Parameters
    ----------
    movie
        Its name.
    shape
        Of its frames (n, y, x); (n, 0, 0) where the microscope makes no pixels, and there is no file.
    readback, target_defocus_A
        Of the exposure.
    """
    return {
        "movie": movie,
        "movie_frames": shape[0],
        "movie_pixels": shape[1] * shape[2],
        "target_defocus_A": target_defocus_A,
        "readback": readback.model_dump(mode="json"),
    }


def _image(record: ExposureRecord, before_e_A2: float) -> SeriesImage | None:
    details = record.details
    if record.purpose != RECORD or details.get("movie") is None:
        return None
    return SeriesImage(
        movie=details["movie"],
        frames=details["movie_frames"],
        asked_frames=details.get("frames"),
        readback=Readback.model_validate(details["readback"]),
        target_defocus_A=details["target_defocus_A"],
        pre_exposure_e_A2=before_e_A2,
    )
