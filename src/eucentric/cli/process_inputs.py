"""What `eucentric process` is given: sessions, .mdocs of movies and stacks, found and loaded before any work."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Literal

from eucentric.cli.app import UsageError, tell_error, told_warnings
from eucentric.core import EucentricError, InputError

if TYPE_CHECKING:
    from eucentric.workflow.loading import Loaded
    from eucentric.workflow.session_series import Acquired


@dataclass(frozen=True)
class Loading:
    """The options that say where things are, and what stands in place of what files say."""

    source: Literal["auto", "movies", "stack"]
    frames: Path | None
    gain: Path | None
    angles: Path | None
    tilts: Path | None
    mdoc: Path | None
    pixel_A: float | None
    name: str | None
    exposure_e_A2: float | None


@dataclass(frozen=True)
class Ready:
    """A series that can be processed, and the warnings of its loading."""

    path: Path
    loaded: "Loaded"
    from_movies: bool
    noticed: tuple[str, ...]


def own_session(given: Sequence[Path]) -> Path:
    """Return the session that is to be processed, where nothing else is.

    Raises
    ------
    UsageError
        If there are other things too.
    """
    from eucentric.session.journal import JOURNAL

    if len(given) == 1 and (given[0] / JOURNAL).is_file():
        return given[0]
    raise UsageError(
        "Name the session folder that results go to with --output. It can be left out only where one session's folder "
        f"(it has {JOURNAL}) is given in place of stacks."
    )


def load_all(given: Sequence[Path], loading: Loading) -> tuple[list[Ready], list[dict[str, str]]]:
    """Load every series; return those that can be processed, and what failed.

    Raises
    ------
    UsageError
        If options belong to one series, or to another kind of input.
    InputError
        If two series have one name.
    """
    _refuse_useless(given, loading)
    found, failures = _find(given, loading)
    number = max(len(given), len(found))
    if number > 1 and any((loading.angles, loading.tilts, loading.mdoc, loading.name)):
        raise UsageError(
            f"--angles, --tilts, --mdoc and --name belong to one stack, and {number} were given. "
            "Process them one by one, or keep these files beside each stack under its name."
        )
    ready = []
    for one in found:
        try:
            ready.append(_loaded(one, loading))
        except EucentricError as error:
            tell_error(error)
            failures.append(failure(one.path, error))
    _refuse_same_names(ready)
    return ready, failures


def failure(path: Path, error: EucentricError) -> dict[str, str]:
    """Return what failed, for JSON."""
    return {"stack": str(path), "error": str(error)}


def _refuse_useless(given: Sequence[Path], loading: Loading) -> None:
    """Refuse options that would be of no use, rather than to leave the user in the belief that they were."""
    of_movies = [path for path in given if path.suffix == ".mdoc" and not path.is_dir()]
    stacks = [path for path in given if path.suffix != ".mdoc" and not path.is_dir()]
    named = "--frames, --gain and --exposure"
    if loading.source == "stack" and (of_movies or loading.frames or loading.gain):
        what = of_movies[0] if of_movies else named
        raise UsageError(f"{what}: with --from stack no movies are read. Name the stacks, or leave out --from.")
    if loading.source == "movies" and stacks:
        raise UsageError(f"{stacks[0]}: with --from movies no stacks are read. Name the .mdoc of its movies.")
    if len(stacks) == len(given) and (loading.frames or loading.gain or loading.exposure_e_A2):
        raise UsageError(f"{named} are of movies, and only stacks were given. Name the .mdoc of the movies.")
    if len(of_movies) == len(given) and any((loading.angles, loading.tilts, loading.mdoc)):
        raise UsageError("--angles, --tilts and --mdoc are of stacks: of movies, the .mdoc given says all that.")


def _find(given: Sequence[Path], loading: Loading) -> tuple[list["Acquired"], list[dict[str, str]]]:
    """Return the series, with those of a session in its place, and what failed."""
    from eucentric.workflow.session_series import Acquired, find_acquired

    # Who says where the movies or their gain are wants them.
    source = "movies" if loading.source == "auto" and (loading.frames or loading.gain) else loading.source
    found: list[Acquired] = []
    failures = []
    for path in given:
        try:
            with told_warnings():
                if path.is_dir():
                    found += find_acquired(path, source, loading.frames)
                else:
                    found.append(Acquired(path, from_movies=path.suffix == ".mdoc"))
        except EucentricError as error:
            tell_error(error)
            failures.append(failure(path, error))
    return found, failures


def _loaded(one: "Acquired", loading: Loading) -> Ready:
    from eucentric.workflow.loading import load_acquired

    with told_warnings() as messages:
        loaded = load_acquired(
            one,
            frames=loading.frames,
            gain=loading.gain,
            exposure_e_A2=loading.exposure_e_A2,
            angles=loading.angles,
            tilts=loading.tilts,
            mdoc=loading.mdoc,
            pixel_A=loading.pixel_A,
            name=loading.name,
        )
        return Ready(one.path, loaded, one.from_movies, messages())


def _refuse_same_names(all_ready: Sequence[Ready]) -> None:
    """Refuse two series of one name, whose results would go to one folder."""
    by_name: dict[str, Path] = {}
    for ready in all_ready:
        name = ready.loaded.of.series.name
        if name in by_name:
            raise InputError(
                f"{by_name[name]} and {ready.path} would both be series {name}; nothing was processed.",
                "Process them one by one, each with its own --name.",
            )
        by_name[name] = ready.path
