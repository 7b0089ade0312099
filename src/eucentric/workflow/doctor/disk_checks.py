"""Traps between an .mdoc and what lies on disk: movies, stack, list of angles."""

from collections import Counter
from collections.abc import Iterator
from pathlib import PureWindowsPath

from eucentric.workflow.doctor.facts import Facts, Met

_DISAGREE_DEG = 1.0  # as `io.series`
_PIXELS_DIFFER = 0.05  # more than any recalibration


def disk_traps(facts: Facts) -> Iterator[Met]:
    """Find what does not fit together."""
    yield from _movie_traps(facts)
    yield from _stack_traps(facts)
    yield from _angle_traps(facts)
    yield from _pixel_traps(facts)


def _movie_traps(facts: Facts) -> Iterator[Met]:
    named = [section for section in facts.sections if section.movie]
    if not named or not facts.looked_in:
        return
    if not facts.found:
        yield "movies-not-found", [], f"They were looked for in {', '.join(map(str, facts.looked_in))}."
        return
    if missing := [section for section in named if section.movie not in facts.found]:
        lines = facts.lines_of([section.z_value for section in missing], "SubFramePath")
        names = ", ".join(str(section.movie) for section in missing[:3]) + (", ..." if len(missing) > 3 else "")
        yield "movie-missing", lines, f"{len(missing)} of {len(named)} movies are missing: {names}."
    for section in named:
        if section.movie in facts.movie_errors:
            yield (
                "movie-unreadable",
                facts.lines_of([section.z_value], "SubFramePath"),
                facts.movie_errors[section.movie],
            )
    opened = [(section, facts.movies[section.movie]) for section in named if section.movie in facts.movies]
    sizes = Counter(movie.shape[1:] for _, movie in opened)
    if len(sizes) > 1:
        usual = sizes.most_common(1)[0][0]
        odd = [(section, movie) for section, movie in opened if movie.shape[1:] != usual]
        lines = facts.lines_of([section.z_value for section, _ in odd], "SubFramePath")
        y, x = odd[0][1].shape[1:]
        yield "movie-sizes", lines, f"{odd[0][1].path.name} has {y} x {x} pixels, most have {usual[0]} x {usual[1]}."
    wrong = [
        (section, n)
        for section, movie in opened
        if section.n_frames is not None
        and movie.raw_frames is None  # of EER, NumSubFrames counts what the program chose to sum
        and (n := movie.shape[0] - len(movie.lost)) != section.n_frames
    ]
    if wrong:
        lines = facts.lines_of([section.z_value for section, _ in wrong], "NumSubFrames")
        section, n = wrong[0]
        yield "frame-count", lines, f"{section.movie} has {n} frames, NumSubFrames is {section.n_frames}."


def _stack_traps(facts: Facts) -> Iterator[Met]:
    stack = facts.stack
    if stack is None:
        return
    if stack.wrong:
        yield ("stack-truncated" if stack.is_cut else "stack-unreadable"), [], stack.wrong
        return
    if facts.examined is None:
        yield "no-mdoc", [], f"There is no .mdoc beside {stack.path.name}."
        if not facts.angles_deg and stack.tilts_deg is None:
            yield "no-angles", [], f"{stack.path.name} has no angles in its header, nor a list beside it."
        return
    settings, raw = facts.examined.raw.settings, facts.examined.raw
    if facts.sections and len(facts.sections) != stack.n:
        yield "section-count", [], f"{stack.path.name} has {stack.n} images, the .mdoc {len(facts.sections)} sections."
    size = settings.get("ImageSize", "").split()
    if len(size) == 2 and size != [str(stack.shape_yx[1]), str(stack.shape_yx[0])]:
        lines = [line] if (line := raw.header_line("ImageSize")) else []
        here = f"{stack.shape_yx[1]} x {stack.shape_yx[0]}"
        yield "image-size", lines, f"ImageSize is {size[0][:9]} x {size[1][:9]}, {stack.path.name} has {here} pixels."
    named = PureWindowsPath(settings.get("ImageFile", "")).name
    if named and named != stack.path.name:
        lines = [line] if (line := raw.header_line("ImageFile")) else []
        yield "image-file", lines, f"ImageFile is {named[:60]}, the stack is {stack.path.name}."


def _angle_traps(facts: Facts) -> Iterator[Met]:
    if facts.angles_path is None:
        return
    if facts.angles_wrong:
        yield "angles-unreadable", [], facts.angles_wrong
        return
    name, listed = facts.angles_path.name, facts.angles_deg
    n = len(facts.sections) or (facts.stack.n if facts.stack and not facts.stack.wrong else 0)
    if n and len(listed) != n:
        yield "angle-count", [], f"{name} has {len(listed)} angles, there are {n} sections."
        return
    apart = [
        (section, angle)
        for section, angle in zip(facts.sections, listed, strict=False)
        if abs(section.tilt_deg - angle) > _DISAGREE_DEG
    ]
    if apart:
        section, angle = apart[0]
        lines = facts.lines_of([one.z_value for one, _ in apart], "TiltAngle")
        others = f"; {len(apart)} sections differ" if len(apart) > 1 else ""
        message = f"Section {section.z_value} is at {section.tilt_deg:.2f}° here, at {angle:.2f}° in {name}{others}."
        turned = all(abs(one.tilt_deg + angle) <= _DISAGREE_DEG for one, angle in apart)
        yield "angles-disagree", lines, message + (" Their sign is turned." if turned and len(apart) > 1 else "")


def _pixel_traps(facts: Facts) -> Iterator[Met]:
    series = facts.examined.series if facts.examined else None
    if series is None or facts.examined is None:
        return
    if series.pixel_A is None:
        yield "no-pixel-size", [], "There is no PixelSpacing."
        return
    raw = facts.examined.raw
    at = raw.header_line("PixelSpacing") or next(
        (s.lines["PixelSpacing"] for s in raw.sections if "PixelSpacing" in s), None
    )
    lines = [at] if at else []
    if facts.stack and facts.stack.pixel_A and abs(series.pixel_A / facts.stack.pixel_A - 1) > _PIXELS_DIFFER:
        message = f"It is {series.pixel_A:g} Å here, {facts.stack.pixel_A:g} Å in {facts.stack.path.name}."
        yield "pixel-size", lines, message
    movie = next((movie for movie in facts.movies.values() if movie.pixel_A is not None), None)
    if movie is not None and movie.pixel_A and abs(series.pixel_A / movie.pixel_A - 1) > _PIXELS_DIFFER:
        yield "pixel-size", lines, f"It is {series.pixel_A:g} Å here, {movie.pixel_A:g} Å in {movie.path.name}."
