"""Traps in the text of an .mdoc, its sections, tilts, axis and times."""

from eucentric.workflow.doctor.records import ALL, COPY, Reader, trap

_RELION: tuple[Reader, ...] = ("RELION-5",)
_WARP: tuple[Reader, ...] = ("Warp",)
_ARETOMO: tuple[Reader, ...] = ("AreTomo3",)
_IMOD: tuple[Reader, ...] = ("IMOD",)
_MOVIES: tuple[Reader, ...] = ("RELION-5", "Warp", "AreTomo3", "Eucentric")

FILES = (
    trap("unreadable-file", "error", ALL, "It cannot be opened.", "Copy it again, or check its permissions."),
    trap("empty", "error", ALL, "There is no section in it.", "Copy it again from the microscope."),
    trap(
        "frame-set", "error", ALL, "It is of the frames of one image; there are no tilts.", "Name that of the series."
    ),
    trap("montage", "error", ALL, "It is of a montage; its pieces are no tilts.", "Name that of the series."),
    trap(
        "unreadable-section",
        "error",
        ALL,
        "A number in it is none; most programs refuse the whole file.",
        "Mend or remove that section, and its image in the stack.",
    ),
    trap(
        "nan-tilt",
        "error",
        ALL,
        "No program can use an image without its tilt, and some take NaN, or 0, without a word.",
        "Write its tilt, or remove that section.",
    ),
    trap(
        "half-written",
        "error",
        ALL,
        "The acquisition or the copy was cut off: Warp refuses the file, others miss the tilt or read digits short.",
        f"Copy it again; {COPY}without that section.",
        mended=True,
    ),
    trap(
        "not-utf8",
        "warning",
        _RELION,
        "RELION's reader stops at bytes that are not UTF-8.",
        f"{COPY}in UTF-8.",
        mended=True,
    ),
    trap(
        "override",
        "warning",
        ALL,
        "Duplicates by Tomography 5 bind other movies; whoever takes all files has the series twice.",
        "Keep one of the two (AreTomo3: -InSkips _override, Warp: --exclude_pattern _override).",
    ),
    trap(
        "movie-in-two-series",
        "warning",
        _MOVIES,
        "Two .mdoc files name the same movie: one of them is a copy, or wrong.",
        "Take one of them out of the folder.",
    ),
)

SECTIONS = (
    trap(
        "duplicate-zvalue",
        "error",
        ("RELION-5", "Warp", "AreTomo3", "IMOD"),
        "Warp refuses the file, RELION and AreTomo3 take both, IMOD finds more sections than images.",
        f"{COPY}with the later entry of each.",
        mended=True,
    ),
    trap(
        "zvalue-gap",
        "warning",
        _IMOD,
        "The sections are not numbered 0, 1, 2, ...: they belong to a stack with other images.",
        "Take the stack that this was written with, or number them again if you know which image each is.",
    ),
    trap(
        "separator",
        "error",
        _WARP,
        "Warp reads only what is divided by ' = ', with one space on each side.",
        f"{COPY}so divided.",
        mended=True,
    ),
    trap(
        "no-blank-line",
        "error",
        _WARP,
        "Warp ends a section at a blank line; without it two sections become one.",
        f"{COPY}with blank lines.",
        mended=True,
    ),
    trap(
        "section-ends-early",
        "warning",
        _WARP,
        "Warp ends a section at the first line that has no value, and misses what stands below.",
        f"{COPY}without such lines.",
        mended=True,
    ),
    trap(
        "too-few-tilts", "warning", _ARETOMO, "AreTomo3 takes no series of fewer than 7 tilts.", "Use another program."
    ),
)

TILTS = (
    trap(
        "all-tilts-equal",
        "error",
        ALL,
        "All sections have one tilt: this is no tilt series.",
        "Write the right angles, or leave the file out.",
    ),
    trap(
        "repeated-tilt",
        "warning",
        ALL,
        "Two sections have the same tilt: one of them is probably a repeated exposure.",
        "Look at both images and exclude one; keep its exposure in the count.",
    ),
    trap(
        "tilt-gap",
        "warning",
        ALL,
        "A step is much longer than those beside it: tilts are missing, and maybe their exposure in the count.",
        "Find the missing images; if they were exposed, give the true exposure before each tilt.",
    ),
    trap(
        "angles-disagree",
        "warning",
        ("IMOD", "Eucentric"),
        "The list of angles beside the stack and the .mdoc differ: one of them is of another series or order.",
        "Remove the wrong one. (A .tlt holds refined angles; a .rawtlt should be as the .mdoc.)",
    ),
    trap(
        "angle-count",
        "error",
        ("IMOD", "Eucentric"),
        "There are not as many angles as sections.",
        "Give a list of the same series, one line for each section.",
    ),
    trap(
        "angles-unreadable",
        "error",
        ("IMOD", "Eucentric"),
        "The list of angles beside the stack cannot be read.",
        "Write one angle on each line.",
    ),
)

AXIS = (
    trap(
        "tilt-axis",
        "warning",
        ("Warp", "IMOD", "Eucentric"),
        "The title and RotationAngle mean different tilt axes; a wrong one mirrors or smears the tomogram.",
        "Find out which is right: both should differ by 90° (RotationAngle counts from x). Give it by hand.",
    ),
    trap(
        "tomography5-axis",
        "warning",
        ("Warp",),
        "TiltAxisAngle is by Tomography 5, which often writes a wrong one; Warp believes it.",
        "Find the axis from the images, and give it (Warp: --override_axis).",
    ),
    trap(
        "no-axis-title",
        "warning",
        ("Warp", "IMOD"),
        "No title gives the tilt axis: Warp takes 0°, IMOD asks.",
        f"{COPY}with a title made from RotationAngle.",
        mended=True,
    ),
    trap(
        "no-tilt-axis",
        "warning",
        ("Warp", "IMOD", "Eucentric"),
        "Nothing gives the tilt axis: Warp takes 0°, others have to find it from the images.",
        "Give it by hand (Warp: --override_axis), with the sign of another series of that microscope.",
    ),
)

TIMES = (
    trap(
        "no-date-time",
        "warning",
        ("RELION-5", "Warp", "AreTomo3"),
        "Without times RELION and Warp refuse the file, or put those sections last or first; AreTomo3 leaves them out.",
        "Write DateTime for each, in the order of acquisition.",
    ),
    trap(
        "unreadable-time",
        "error",
        ("RELION-5", "Warp", "AreTomo3"),
        "The time is not of the form 05-Nov-2023  15:20:00: Warp refuses the file, others shuffle the order.",
        f"Write it in that form; {COPY}where only zeros are missing.",
        mended=True,
    ),
    trap(
        "two-digit-year",
        "note",
        _ARETOMO,
        "AreTomo3 takes 23 for the year 23; the order stays right unless some years have four digits.",
        f"{COPY}with four digits.",
        mended=True,
    ),
    trap(
        "mixed-years",
        "error",
        _ARETOMO,
        "Some years have two digits, some four: AreTomo3 puts those of two first.",
        f"{COPY}with four digits.",
        mended=True,
    ),
    trap(
        "crosses-midnight",
        "note",
        (),
        "Programs that compare only the hour shuffle it; those modelled here do not.",
        "-",
    ),
    trap(
        "crosses-month",
        "note",
        (),
        "Programs that sort times as text shuffle it; those modelled here do not.",
        "In your own scripts, sort times as times.",
    ),
    trap(
        "equal-times",
        "warning",
        ("RELION-5", "Warp", "AreTomo3"),
        "Sections with one time have no order: AreTomo3 gives them the same, others any.",
        "Write the true times; or at least a second between them, in the order of acquisition.",
    ),
    trap(
        "order-lost",
        "error",
        ALL,
        "Neither times nor exposures tell the order of acquisition: exposures before each tilt would be invented.",
        "Write DateTime or PriorRecordDose from the microscope's log; or give the order by a table.",
    ),
    trap(
        "order-disagrees",
        "warning",
        ALL,
        "By the times the order is another than by PriorRecordDose; programs believe one or the other.",
        "Find out which is right (a copy made later has later times), and correct the other.",
    ),
)
