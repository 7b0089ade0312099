"""`Previews`: which series that grow are to have a preview made, or made anew, and what came of it."""

from collections.abc import Callable, Collection
from concurrent.futures import Future

from eucentric.core import FormatError, Reporter
from eucentric.io.mdoc import MdocSeries
from eucentric.session import JournalAddress, Session
from eucentric.workflow.excluded import read_excluded
from eucentric.workflow.live.crew import Crew
from eucentric.workflow.live.look import small_image
from eucentric.workflow.live.preview import PREVIEW, PREVIEW_VERSION, PreviewRequest, PreviewStage
from eucentric.workflow.live.records import TaskOutcome
from eucentric.workflow.live.tasks import make_preview
from eucentric.workflow.records import ProcessSettings

FEWEST_TILTS = 9
"""Of which a first preview is made."""

LEAST_SPAN_DEG = 30.0
"""That they must span: of less, a volume shows the specimen no better than an image."""

_LEAST_SPAN_UNTOLD_DEG = 60.0  # where nobody says where the axis is: of less, images cannot tell
_GROWTH = 4 / 3  # of tilts from one preview to the next: five or six in a series, each visibly better

WhenDone = Callable[["Future[TaskOutcome]", Callable[[TaskOutcome], None]], None]


class Previews:
    """Has previews made; one that fails or is lost is not tried again before more tilts have come.

    Parameters
    ----------
    session, address, crew, reporter, device
        Those of the watcher.
    settings
        Of the stages, of which the tilt axis and the thickness count.
    when_done
        Has the watcher's own thread told what came of a task.
    """

    def __init__(
        self,
        session: Session,
        address: JournalAddress,
        crew: Crew,
        settings: ProcessSettings,
        *,
        device: str,
        reporter: Reporter,
        when_done: WhenDone,
    ) -> None:
        self._session, self._address, self._crew, self._settings = session, address, crew, settings
        self._device, self._reporter, self._when_done = device, reporter, when_done
        self._considered: dict[str, int] = {}  # tilts that had been looked at when this was last asked
        self._made_of: dict[str, int] = {}
        self._under_way: set[str] = set()

    @property
    def under_way(self) -> int:
        """How many are being made."""
        return len(self._under_way)

    def send(self, name: str, facts: MdocSeries, looked_at: Collection[int]) -> bool:
        """Have a preview of a series made if one is due; whether it was."""
        if len(looked_at) < FEWEST_TILTS or self._considered.get(name) == len(looked_at) or name in self._under_way:
            return False
        self._considered[name] = len(looked_at)
        sections = self._due(name, facts, looked_at)
        if sections:
            self._send(name, facts, sections)
        return bool(sections)

    def _due(self, name: str, facts: MdocSeries, looked_at: Collection[int]) -> tuple[int, ...]:
        """Return the sections that a preview is to be made of now; none where none is due."""
        folder = self._session.series_folder(name)
        if (folder / "tomogram.mrc").exists():  # of a series that grows on after it was done
            return ()
        if name not in self._made_of:
            self._made_of[name] = self._made_before(name)
        try:
            wanted = sorted(set(looked_at) - read_excluded(folder).keys())
        except FormatError:  # it is told when the series is processed
            wanted = sorted(looked_at)
        sections = tuple(section for section in wanted if small_image(folder, section).is_file())
        enough = len(sections) >= max(FEWEST_TILTS, _GROWTH * self._made_of[name])
        return sections if enough and self._span_is_enough(facts, sections) else ()

    def _made_before(self, name: str) -> int:
        """Return of how many tilts the last one was begun, before this watcher was started."""
        last = self._session.last(name, PREVIEW)
        return len(last.settings["sections"]) if last is not None and last.version == PREVIEW_VERSION else 0

    def _span_is_enough(self, facts: MdocSeries, sections: tuple[int, ...]) -> bool:
        tilts_deg = [facts.sections[section].tilt_deg for section in sections]
        told = facts.tilt_axis_deg is not None or self._settings.align.axis_deg is not None
        return max(tilts_deg) - min(tilts_deg) >= (LEAST_SPAN_DEG if told else _LEAST_SPAN_UNTOLD_DEG)

    def _send(self, name: str, facts: MdocSeries, sections: tuple[int, ...]) -> None:
        stage = PreviewStage(
            sections=sections,
            tilts_deg=tuple(facts.sections[section].tilt_deg for section in sections),
            nominal_axis_deg=facts.tilt_axis_deg,
            align=self._settings.align,
            thickness_A=self._settings.reconstruct.thickness_A,
        )
        request = PreviewRequest(journal=self._address, series=name, stage=stage, device=self._device)
        self._made_of[name] = len(sections)
        self._under_way.add(name)

        def told(outcome: TaskOutcome) -> None:
            self._under_way.discard(name)
            of = f"from {len(sections)} tilts"
            self._reporter.say(
                f"{name}: " + (f"preview {of}." if outcome.done else f"no preview {of}: {outcome.reason}")
            )

        self._when_done(self._crew.submit(make_preview, request), told)
