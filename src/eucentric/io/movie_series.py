"""A tilt series from its .mdoc and the movies that this names, each looked for by its file name alone."""

from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

from pydantic import ValidationError

from eucentric.core import EucentricError, InputError, Tilt, TiltSeries, is_file
from eucentric.io._text import warn_data
from eucentric.io.eer import EER_SUFFIXES, fractions_for
from eucentric.io.mdoc import MdocSection, MdocSeries, read_mdoc
from eucentric.io.mdoc_exposures import exposures_of
from eucentric.io.movies import MovieFile, open_movie

GAIN_NAMES = ("gain.mrc", "gain.tif", "gain.tiff", "gain.gain", "CountRef.mrc", "gainref.mrc")
"""Where a gain reference is looked for, in the folder of the movies."""

_FRACTION_e_A2 = 0.4  # of an EER movie: so that a fraction is as a frame of other cameras
_PIXELS_DIFFER = 0.05  # more than any recalibration


@dataclass(frozen=True)
class MovieSeries:
    """A series of movies; opening it reads no pixels.

    Attributes
    ----------
    series
        What is known of it; its sections are those of the .mdoc, in their order, and `shape_yx` and `pixel_A` are those
        of the movies.
    target_defocus_A
        By section, underfocus positive; None where the .mdoc does not say.
    movies
        By section; None where there is none that can be used.
    missing
        Why not, by section.
    gain
        The gain reference, if there is one.
    sources
        What was read: the .mdoc first.
    notes
        What was found, for the user to read.
    unread
        What the .mdoc holds beside it, as in `MdocSeries`.
    """

    series: TiltSeries
    target_defocus_A: tuple[float | None, ...]
    movies: tuple[MovieFile | None, ...]
    missing: dict[int, str]
    gain: Path | None
    sources: tuple[Path, ...]
    notes: tuple[str, ...]
    unread: tuple[str, ...] = ()


def load_movie_series(
    mdoc: Path,
    *,
    frames: Path | None = None,
    gain: Path | None = None,
    pixel_A: float | None = None,
    name: str | None = None,
    exposure_e_A2: float | None = None,
) -> MovieSeries:
    """Load a series of movies, reading no pixels.

    Parameters
    ----------
    mdoc
        SerialEM's .mdoc of the series.
    frames
        Folder of the movies. If absent, they are looked for beside the .mdoc, and in ``frames`` beside it or beside its
        folder. No other folder is ever opened, whatever path the .mdoc names.
    gain
        Gain reference; looked for among the movies if absent.
    pixel_A
        Pixel size of the movies (Å), in place of what the files say.
    name
        Name of the series; by default that of the .mdoc.
    exposure_e_A2
        Of one tilt, where the .mdoc does not say.

    Raises
    ------
    InputError
        If the .mdoc or a folder cannot be opened, there is not one movie, or no pixel size.
    FormatError
        If the .mdoc cannot be read.

    Warns
    -----
    DataWarning
        `movie-left-out`: one is missing, cannot be read, or has frames of another size; the rest goes on.
        `frame-count`: one has not as many frames as the .mdoc says. `exposure-missing`, `pre-exposure`, `pixel-size`.
    FormatWarning
        As `read_mdoc` does.
    """
    mdoc = Path(mdoc)
    facts = read_mdoc(mdoc)
    folders = _folders(mdoc, frames)
    if gain is not None and not gain.is_file():
        raise InputError(f"{gain}: no such gain reference.", "Check the path given with --gain.")
    notes = [f"{mdoc.name}: {found.message} [{found.name}]" for found in facts.findings if found.severity == "note"]
    opened: list[MovieFile | None] = []
    missing: dict[int, str] = {}
    named = Counter(section.movie for section in facts.sections)
    for index, section in enumerate(facts.sections):
        movie, why = _open(section, folders, exposure_e_A2)
        if movie is not None and named[section.movie] > 1:  # it is of one of them, and nothing says of which
            movie, why = None, f"{named[section.movie]} sections share the movie {section.movie}"
        opened.append(movie)
        if movie is None:
            missing[index] = why
        else:
            notes += movie.notes
    _drop_other_sizes(opened, missing)
    for index, why in sorted(missing.items()):
        section = facts.sections[index]
        warn_data(mdoc, "movie-left-out", f"section {section.z_value} at {section.tilt_deg:g}°: {why}; left out.")
    kept = [movie for movie in opened if movie is not None]
    if not kept:
        where = ", ".join(str(folder) for folder in folders)
        raise InputError(
            f"{mdoc}: not one of its {len(facts.sections)} movies can be used ({missing[0]}).",
            f"They were looked for in {where}. Name their folder with --frames.",
        )
    _check_counts(mdoc, facts.sections, opened)
    if gain is None:
        gain = find_gain(kept[0].path.parent, notes)
    series = series_of(
        mdoc, facts, _pixel_A(mdoc, pixel_A, kept, facts), kept[0].shape[1:], exposure_e_A2, name=name, notes=notes
    )
    return MovieSeries(
        series=series,
        target_defocus_A=tuple(section.target_defocus_A for section in facts.sections),
        movies=tuple(opened),
        missing=missing,
        gain=gain,
        sources=(mdoc,),
        notes=tuple(notes),
        unread=facts.unread,
    )


def open_exposed(path: Path, exposure_e_A2: float | None) -> MovieFile:
    """Open the movie of a tilt; of an EER, each frame is then of an exposure as other cameras' frames are.

    Raises
    ------
    InputError, FormatError
        As `open_movie`.
    """
    fractions = None
    if path.suffix.lower() in EER_SUFFIXES and exposure_e_A2:
        fractions = fractions_for(exposure_e_A2, _FRACTION_e_A2)
    return open_movie(path, tolerant=True, fractions=fractions)


def find_gain(folder: Path, notes: list[str] | None = None) -> Path | None:
    """Return the gain reference that lies in a folder of movies, if there is one; what was found goes to `notes`."""
    said = [] if notes is None else notes
    for name in GAIN_NAMES:
        if is_file(folder / name):
            said.append(f"The gain reference is {folder / name}.")
            return folder / name
    said.append("No gain reference was given or found: frames are taken to be corrected.")
    return None


def series_name(mdoc: Path) -> str:
    """Return the name of a series, from that of its .mdoc."""
    return mdoc.name.removesuffix(".mdoc").removesuffix(".mrc").removesuffix(".st")


def series_of(
    mdoc: Path,
    facts: MdocSeries,
    pixel_A: float,
    shape_yx: tuple[int, int],
    exposure_e_A2: float | None = None,
    *,
    name: str | None = None,
    notes: list[str] | None = None,
) -> TiltSeries:
    """Return what an .mdoc says of its series, for images of this pixel and shape.

    `exposure_e_A2` is that of one tilt, where the .mdoc does not say; `notes` are added to.

    Raises
    ------
    InputError
        If a value cannot be that of a series.

    Warns
    -----
    DataWarning
        `exposure-missing`, `pre-exposure`: values that are absent, or are not the sum of those before.
    """
    exposures, priors = exposures_of(mdoc, facts, exposure_e_A2, notes)
    try:
        return TiltSeries(
            name=name or series_name(mdoc),
            pixel_A=pixel_A,
            shape_yx=shape_yx,
            tilts=tuple(
                Tilt(
                    section=index,
                    tilt_deg=section.tilt_deg,
                    order=section.order,
                    exposure_e_A2=exposures[index],
                    pre_exposure_e_A2=priors[index],
                    movie=section.movie,
                )
                for index, section in enumerate(facts.sections)
            ),
            order_known=facts.order_known,
            tilt_axis_deg=facts.tilt_axis_deg,
            voltage_kV=facts.voltage_kV,
        )
    except ValidationError as error:
        first = error.errors()[0]
        raise InputError(
            f"{mdoc}: {'.'.join(map(str, first['loc']))}: {first['msg']}.", "Mend that setting."
        ) from error


def _folders(mdoc: Path, frames: Path | None) -> tuple[Path, ...]:
    if frames is not None:
        if not frames.is_dir():
            raise InputError(f"{frames}: no such folder of movies.", "Check the path given with --frames.")
        return (frames,)
    return (mdoc.parent, mdoc.parent / "frames", mdoc.parent.parent / "frames")


def _open(section: MdocSection, folders: Iterable[Path], exposure_e_A2: float | None) -> tuple[MovieFile | None, str]:
    """Return the movie of a section, or why there is none."""
    if section.movie is None:
        return None, "the .mdoc names no movie for it"
    if section.movie in ("", ".", "..") or "/" in section.movie or "\0" in section.movie:
        return None, f"{section.movie!r} is no file name"
    for folder in folders:
        path = folder / section.movie
        if not is_file(path):
            continue
        try:
            return open_exposed(path, section.exposure_e_A2 or exposure_e_A2), ""
        except EucentricError as error:
            return None, error.what.rstrip(".")
    return None, f"there is no {section.movie[:100]}"


def _drop_other_sizes(opened: list[MovieFile | None], missing: dict[int, str]) -> None:
    """Leave out movies whose frames are not of the size that most have."""
    sizes = Counter(movie.shape[1:] for movie in opened if movie is not None)
    if len(sizes) < 2:
        return
    usual = sizes.most_common(1)[0][0]
    for index, movie in enumerate(opened):
        if movie is not None and movie.shape[1:] != usual:
            y, x = movie.shape[1:]
            missing[index] = f"{movie.path.name} has frames of {y} x {x} pixels, most others {usual[0]} x {usual[1]}"
            opened[index] = None


def _check_counts(mdoc: Path, sections: Sequence[MdocSection], opened: Sequence[MovieFile | None]) -> None:
    for section, movie in zip(sections, opened, strict=True):
        if movie is None or section.n_frames is None or movie.path.suffix.lower() in EER_SUFFIXES:
            continue
        readable = movie.shape[0] - len(movie.lost)
        if readable != section.n_frames:
            warn_data(
                mdoc,
                "frame-count",
                f"section {section.z_value} has {section.n_frames} frames by the .mdoc, {readable} can be read in "
                f"{movie.path.name}; those are used, each for its share of the exposure.",
            )


def _pixel_A(mdoc: Path, given: float | None, movies: Sequence[MovieFile], facts: MdocSeries) -> float:
    if given is not None:
        return given
    in_movies = next((movie.pixel_A for movie in movies if movie.pixel_A is not None), None)
    if in_movies is None:
        if facts.pixel_A is None:
            raise InputError(f"{mdoc}: neither it nor the movies give a pixel size.", "Give it in Å with --pixel.")
        return facts.pixel_A
    if facts.pixel_A is not None and abs(facts.pixel_A / in_movies - 1) > _PIXELS_DIFFER:
        message = f"the pixel is {in_movies:g} Å in the movies, {facts.pixel_A:g} Å here; the movies were believed."
        warn_data(mdoc, "pixel-size", message)
    return in_movies
