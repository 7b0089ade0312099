"""Every trap that the doctor knows: how grave it is, why it matters, to whom, and what to do.

`docs/doctor.md` is made from this; a test holds the two together.
"""

from eucentric.workflow.doctor.records import ALL, Reader, Severity, Trap

_RELION: tuple[Reader, ...] = ("RELION-5",)
_WARP: tuple[Reader, ...] = ("Warp",)
_ARETOMO: tuple[Reader, ...] = ("AreTomo3",)
_IMOD: tuple[Reader, ...] = ("IMOD",)
_MOVIES: tuple[Reader, ...] = ("RELION-5", "Warp", "AreTomo3", "Eucentric")
_COPY = "`--fix OUT` writes a copy "


def _trap(name: str, severity: Severity, who: tuple[Reader, ...], why: str, fix: str, *, mended: bool = False) -> Trap:
    return Trap(name=name, severity=severity, who=who, why=why, fix=fix, mended=mended)


_FILES = (
    _trap("unreadable-file", "error", ALL, "It cannot be opened.", "Copy it again, or check its permissions."),
    _trap("empty", "error", ALL, "There is no section in it.", "Copy it again from the microscope."),
    _trap(
        "frame-set", "error", ALL, "It is of the frames of one image; there are no tilts.", "Name that of the series."
    ),
    _trap("montage", "error", ALL, "It is of a montage; its pieces are no tilts.", "Name that of the series."),
    _trap(
        "unreadable-section",
        "error",
        ALL,
        "A number in it is none; most programs refuse the whole file.",
        "Mend or remove that section, and its image in the stack.",
    ),
    _trap(
        "nan-tilt",
        "error",
        ALL,
        "No program can use an image without its tilt, and some take NaN, or 0, without a word.",
        "Write its tilt, or remove that section.",
    ),
    _trap(
        "half-written",
        "error",
        ALL,
        "The acquisition or the copy was cut off: Warp refuses the file, others miss the tilt or read digits short.",
        f"Copy it again; {_COPY}without that section.",
        mended=True,
    ),
    _trap(
        "not-utf8",
        "warning",
        _RELION,
        "RELION's reader stops at bytes that are not UTF-8.",
        f"{_COPY}in UTF-8.",
        mended=True,
    ),
    _trap(
        "override",
        "warning",
        ALL,
        "Duplicates by Tomography 5 bind other movies; whoever takes all files has the series twice.",
        "Keep one of the two (AreTomo3: -InSkips _override, Warp: --exclude_pattern _override).",
    ),
    _trap(
        "movie-in-two-series",
        "warning",
        _MOVIES,
        "Two .mdoc files name the same movie: one of them is a copy, or wrong.",
        "Take one of them out of the folder.",
    ),
)

_SECTIONS = (
    _trap(
        "duplicate-zvalue",
        "error",
        ("RELION-5", "Warp", "AreTomo3", "IMOD"),
        "Warp refuses the file, RELION and AreTomo3 take both, IMOD finds more sections than images.",
        f"{_COPY}with the later entry of each.",
        mended=True,
    ),
    _trap(
        "zvalue-gap",
        "warning",
        _IMOD,
        "The sections are not numbered 0, 1, 2, ...: they belong to a stack with other images.",
        "Take the stack that this was written with, or number them again if you know which image each is.",
    ),
    _trap(
        "separator",
        "error",
        _WARP,
        "Warp reads only what is divided by ' = ', with one space on each side.",
        f"{_COPY}so divided.",
        mended=True,
    ),
    _trap(
        "no-blank-line",
        "error",
        _WARP,
        "Warp ends a section at a blank line; without it two sections become one.",
        f"{_COPY}with blank lines.",
        mended=True,
    ),
    _trap(
        "section-ends-early",
        "warning",
        _WARP,
        "Warp ends a section at the first line that has no value, and misses what stands below.",
        f"{_COPY}without such lines.",
        mended=True,
    ),
    _trap(
        "too-few-tilts", "warning", _ARETOMO, "AreTomo3 takes no series of fewer than 7 tilts.", "Use another program."
    ),
)

_TILTS = (
    _trap(
        "all-tilts-equal",
        "error",
        ALL,
        "All sections have one tilt: this is no tilt series.",
        "Write the right angles, or leave the file out.",
    ),
    _trap(
        "repeated-tilt",
        "warning",
        ALL,
        "Two sections have the same tilt: one of them is probably a repeated exposure.",
        "Look at both images and exclude one; keep its exposure in the count.",
    ),
    _trap(
        "tilt-gap",
        "warning",
        ALL,
        "A step is much longer than those beside it: tilts are missing, and maybe their exposure in the count.",
        "Find the missing images; if they were exposed, give the true exposure before each tilt.",
    ),
    _trap(
        "angles-disagree",
        "warning",
        ("IMOD", "Eucentric"),
        "The list of angles beside the stack and the .mdoc differ: one of them is of another series or order.",
        "Remove the wrong one. (A .tlt holds refined angles; a .rawtlt should be as the .mdoc.)",
    ),
    _trap(
        "angle-count",
        "error",
        ("IMOD", "Eucentric"),
        "There are not as many angles as sections.",
        "Give a list of the same series, one line for each section.",
    ),
    _trap(
        "angles-unreadable",
        "error",
        ("IMOD", "Eucentric"),
        "The list of angles beside the stack cannot be read.",
        "Write one angle on each line.",
    ),
)

_AXIS = (
    _trap(
        "tilt-axis",
        "warning",
        ("Warp", "IMOD", "Eucentric"),
        "The title and RotationAngle mean different tilt axes; a wrong one mirrors or smears the tomogram.",
        "Find out which is right: both should differ by 90° (RotationAngle counts from x). Give it by hand.",
    ),
    _trap(
        "tomography5-axis",
        "warning",
        ("Warp",),
        "TiltAxisAngle is by Tomography 5, which often writes a wrong one; Warp believes it.",
        "Find the axis from the images, and give it (Warp: --override_axis).",
    ),
    _trap(
        "no-axis-title",
        "warning",
        ("Warp", "IMOD"),
        "No title gives the tilt axis: Warp takes 0°, IMOD asks.",
        f"{_COPY}with a title made from RotationAngle.",
        mended=True,
    ),
    _trap(
        "no-tilt-axis",
        "warning",
        ("Warp", "IMOD", "Eucentric"),
        "Nothing gives the tilt axis: Warp takes 0°, others have to find it from the images.",
        "Give it by hand (Warp: --override_axis), with the sign of another series of that microscope.",
    ),
)

_TIMES = (
    _trap(
        "no-date-time",
        "warning",
        ("RELION-5", "Warp", "AreTomo3"),
        "Without times RELION and Warp refuse the file, or put those sections last or first; AreTomo3 leaves them out.",
        "Write DateTime for each, in the order of acquisition.",
    ),
    _trap(
        "unreadable-time",
        "error",
        ("RELION-5", "Warp", "AreTomo3"),
        "The time is not of the form 05-Nov-2023  15:20:00: Warp refuses the file, others shuffle the order.",
        f"Write it in that form; {_COPY}where only zeros are missing.",
        mended=True,
    ),
    _trap(
        "two-digit-year",
        "note",
        _ARETOMO,
        "AreTomo3 takes 23 for the year 23; the order stays right unless some years have four digits.",
        f"{_COPY}with four digits.",
        mended=True,
    ),
    _trap(
        "mixed-years",
        "error",
        _ARETOMO,
        "Some years have two digits, some four: AreTomo3 puts those of two first.",
        f"{_COPY}with four digits.",
        mended=True,
    ),
    _trap(
        "crosses-midnight",
        "note",
        (),
        "Programs that compare only the hour shuffle it; those modelled here do not.",
        "-",
    ),
    _trap(
        "crosses-month",
        "note",
        (),
        "Programs that sort times as text shuffle it; those modelled here do not.",
        "In your own scripts, sort times as times.",
    ),
    _trap(
        "equal-times",
        "warning",
        ("RELION-5", "Warp", "AreTomo3"),
        "Sections with one time have no order: AreTomo3 gives them the same, others any.",
        "Write the true times; or at least a second between them, in the order of acquisition.",
    ),
    _trap(
        "order-lost",
        "error",
        ALL,
        "Neither times nor exposures tell the order of acquisition: exposures before each tilt would be invented.",
        "Write DateTime or PriorRecordDose from the microscope's log; or give the order by a table.",
    ),
    _trap(
        "order-disagrees",
        "warning",
        ALL,
        "By the times the order is another than by PriorRecordDose; programs believe one or the other.",
        "Find out which is right (a copy made later has later times), and correct the other.",
    ),
)

_EXPOSURE = (
    _trap(
        "no-exposure",
        "warning",
        ALL,
        "Without ExposureDose nothing is weighted: RELION takes 0, AreTomo3 leaves out sections that lack the entry.",
        "Give the exposure of a tilt to the program (RELION, Warp, AreTomo3 and Eucentric have an option).",
    ),
    _trap(
        "no-prior-exposure",
        "warning",
        ("IMOD", "Eucentric"),
        "PriorRecordDose is missing; IMOD and Eucentric then sum exposures in the order of the times.",
        f"{_COPY}with these sums, where exposures and order are known.",
        mended=True,
    ),
    _trap(
        "prior-exposure-off-by-one",
        "error",
        ("IMOD", "Eucentric"),
        "PriorRecordDose includes the tilt's own exposure: every tilt is weighted as one later.",
        f"{_COPY}with the sums of the exposures before each.",
        mended=True,
    ),
    _trap(
        "prior-exposure-too-small",
        "error",
        ("IMOD", "Eucentric"),
        "PriorRecordDose is less than the exposures before it add up to.",
        f"{_COPY}with their sums.",
        mended=True,
    ),
    _trap(
        "prior-exposure-not-the-sum",
        "note",
        ("IMOD", "Eucentric"),
        "PriorRecordDose is more than the exposures before it: View or Preview images, or lost tilts, are counted in. "
        "RELION, Warp and AreTomo3 count otherwise.",
        "Nothing, if the specimen did receive it.",
    ),
    _trap(
        "exposure-varies",
        "warning",
        ALL,
        "Exposures differ by more than a fifth, and not as 1/cos of the tilt: Warp takes one number for all.",
        "Look for tilts that were exposed twice or cut short.",
    ),
    _trap(
        "no-exposure-time",
        "warning",
        _ARETOMO,
        "AreTomo3 leaves out every section without ExposureTime.",
        "Write ExposureTime (s) for each section.",
    ),
)

_PATHS = (
    _trap(
        "no-movie",
        "warning",
        _MOVIES,
        "Some sections name no movie: Warp refuses the file, RELION and AreTomo3 leave those tilts out.",
        "Write its SubFramePath, or remove the section.",
    ),
    _trap(
        "no-movies-named",
        "note",
        ("RELION-5", "Warp", "AreTomo3"),
        "No section names a movie; only programs that start from the stack can use it.",
        "Use the stack; or take the .mdoc that was written with the movies.",
    ),
    _trap(
        "repeated-movie",
        "error",
        _MOVIES,
        "Several tilts name one movie: the same image would stand at several tilts.",
        "Write the right names; movies are often numbered in the order of acquisition.",
    ),
    _trap(
        "parent-in-path",
        "warning",
        _MOVIES,
        "The path of a movie climbs folders (..), to a place that is not here.",
        f"{_COPY}with ./ and the file name.",
        mended=True,
    ),
    _trap(
        "bare-movie-name",
        "warning",
        _ARETOMO,
        "AreTomo3 keeps the space before a name that has no folder, and does not find ' name'.",
        f"{_COPY}with ./ before it.",
        mended=True,
    ),
    _trap(
        "equals-in-path",
        "warning",
        _ARETOMO,
        "AreTomo3 takes a path from its last '='.",
        "Rename the movie.",
    ),
    _trap(
        "long-path",
        "warning",
        _ARETOMO,
        "AreTomo3 reads lines of 255 characters; the name of the movie is cut.",
        f"{_COPY}with ./ and the file name.",
        mended=True,
    ),
    _trap(
        "space-in-movie-name",
        "warning",
        ("RELION-5", "AreTomo3"),
        "A space in a name divides it in two in a star file; AreTomo3 before 2.1.6 did not find it.",
        "Rename the movies and write their new names here.",
    ),
    _trap(
        "movie-names-clash",
        "error",
        _RELION,
        "RELION compares names up to their first dot; these are the same there, and it takes one movie for all.",
        "Rename the movies without dots (by a link for each, for example) and write their new names here.",
    ),
    _trap(
        "series-not-in-movie-names",
        "warning",
        _RELION,
        "RELION's import drops a series whose name is in no movie's name, and gives its name's place to the next: the "
        "series after it then have wrong names.",
        "Rename the .mdoc to what its movies' names begin with, or import it alone and check the names.",
    ),
)

_DISK = (
    _trap(
        "movie-missing",
        "warning",
        _MOVIES,
        "A movie is not on disk: Warp refuses the whole series, AreTomo3 stops at it, others leave the tilt out.",
        "Copy it; or remove its section, and keep its exposure in the count.",
    ),
    _trap(
        "movies-not-found", "note", _MOVIES, "None of the movies was found here.", "Give their folder with --frames."
    ),
    _trap("movie-unreadable", "error", _MOVIES, "A movie cannot be opened.", "Copy it again."),
    _trap(
        "frame-count",
        "warning",
        _MOVIES,
        "A movie has not as many frames as NumSubFrames says; RELION divides the exposure by that number.",
        "Copy it again if it was cut; else correct NumSubFrames.",
    ),
    _trap("no-frame-count", "warning", _RELION, "RELION stops without NumSubFrames.", "Write it for each section."),
    _trap(
        "movie-sizes",
        "warning",
        _MOVIES,
        "Movies of one series have frames of different sizes: some are of another camera setting.",
        "Remove the sections of those that do not belong.",
    ),
    _trap(
        "pixel-size",
        "warning",
        ALL,
        "The pixel size here is not that of the stack or the movies (it may be that of a binned stack).",
        "Give programs the pixel size of the files that they read.",
    ),
    _trap(
        "no-pixel-size",
        "warning",
        ("Eucentric",),
        "Nothing gives the pixel size.",
        "Write PixelSpacing (Å), or give it.",
    ),
    _trap(
        "section-count", "error", ("IMOD", "Eucentric"), "The stack has not as many images.", "Give files that match."
    ),
    _trap("stack-truncated", "error", ("IMOD", "AreTomo3", "Eucentric"), "The stack is cut off.", "Copy it again."),
    _trap(
        "stack-unreadable", "error", ("IMOD", "AreTomo3", "Eucentric"), "The stack cannot be read.", "Copy it again."
    ),
    _trap(
        "image-size",
        "warning",
        _IMOD,
        "ImageSize is not that of the stack: it is binned, or another.",
        "Check that the stack belongs to this .mdoc.",
    ),
    _trap(
        "image-file",
        "note",
        _IMOD,
        "ImageFile names another stack than the one beside it.",
        "Check that they belong together; renamed ones do.",
    ),
    _trap(
        "no-mdoc",
        "note",
        ("RELION-5", "Warp", "AreTomo3"),
        "The stack has no .mdoc: order and exposures are unknown.",
        "Put the .mdoc beside it, as stack.mrc.mdoc.",
    ),
    _trap(
        "no-angles", "error", ALL, "Nothing gives the tilt angles of the stack.", "Put a .rawtlt or .mdoc beside it."
    ),
    _trap(
        "nothing-found",
        "error",
        ALL,
        "There is neither an .mdoc nor a stack in this folder, nor in those below it.",
        "Name the folder that has them.",
    ),
)

TRAPS: dict[str, Trap] = {
    trap.name: trap for trap in (*_FILES, *_SECTIONS, *_TILTS, *_AXIS, *_TIMES, *_EXPOSURE, *_PATHS, *_DISK)
}
"""By name, in the order in which the documentation tells them."""


def traps_as_markdown() -> str:
    """Return the table of all traps, as it stands in `docs/doctor.md`."""
    rows = ["| name | severity | why it matters | to whom | what to do | `--fix` |", "|---|---|---|---|---|---|"]
    for trap in TRAPS.values():
        who = "all" if trap.who == ALL else ", ".join(trap.who) or "own scripts"
        mended = "mends" if trap.mended else ""
        rows.append(f"| `{trap.name}` | {trap.severity} | {trap.why} | {who} | {trap.fix} | {mended} |")
    return "\n".join(rows) + "\n"
