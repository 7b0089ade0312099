"""Traps in exposures, in the names of movies, and between an .mdoc and what lies on disk."""

from eucentric.workflow.doctor.records import ALL, COPY, Reader, trap

_RELION: tuple[Reader, ...] = ("RELION-5",)
_ARETOMO: tuple[Reader, ...] = ("AreTomo3",)
_IMOD: tuple[Reader, ...] = ("IMOD",)
_MOVIES: tuple[Reader, ...] = ("RELION-5", "Warp", "AreTomo3", "Eucentric")

EXPOSURE = (
    trap(
        "no-exposure",
        "warning",
        ALL,
        "Without ExposureDose nothing is weighted: RELION takes 0, AreTomo3 leaves out sections that lack the entry.",
        "Give the exposure of a tilt to the program (RELION, Warp, AreTomo3 and Eucentric have an option).",
    ),
    trap(
        "no-prior-exposure",
        "warning",
        ("IMOD", "Eucentric"),
        "PriorRecordDose is missing; IMOD and Eucentric then sum exposures in the order of the times.",
        f"{COPY}with these sums, where exposures and order are known.",
        mended=True,
    ),
    trap(
        "prior-exposure-off-by-one",
        "error",
        ("IMOD", "Eucentric"),
        "PriorRecordDose includes the tilt's own exposure: every tilt is weighted as one later.",
        f"{COPY}with the sums of the exposures before each.",
        mended=True,
    ),
    trap(
        "prior-exposure-too-small",
        "error",
        ("IMOD", "Eucentric"),
        "PriorRecordDose is less than the exposures before it add up to.",
        f"{COPY}with their sums.",
        mended=True,
    ),
    trap(
        "prior-exposure-not-the-sum",
        "note",
        ("IMOD", "Eucentric"),
        "PriorRecordDose is more than the exposures before it: View or Preview images, or lost tilts, are counted in. "
        "RELION, Warp and AreTomo3 count otherwise.",
        "Nothing, if the specimen did receive it.",
    ),
    trap(
        "exposure-varies",
        "warning",
        ALL,
        "Exposures differ by more than a fifth, and not as 1/cos of the tilt: Warp takes one number for all.",
        "Look for tilts that were exposed twice or cut short.",
    ),
    trap(
        "no-exposure-time",
        "warning",
        _ARETOMO,
        "AreTomo3 leaves out every section without ExposureTime.",
        "Write ExposureTime (s) for each section.",
    ),
)

PATHS = (
    trap(
        "no-movie",
        "warning",
        _MOVIES,
        "Some sections name no movie: Warp refuses the file, RELION and AreTomo3 leave those tilts out.",
        "Write its SubFramePath, or remove the section.",
    ),
    trap(
        "no-movies-named",
        "note",
        ("RELION-5", "Warp", "AreTomo3"),
        "No section names a movie; only programs that start from the stack can use it.",
        "Use the stack; or take the .mdoc that was written with the movies.",
    ),
    trap(
        "repeated-movie",
        "error",
        _MOVIES,
        "Several tilts name one movie: the same image would stand at several tilts.",
        "Write the right names; movies are often numbered in the order of acquisition.",
    ),
    trap(
        "parent-in-path",
        "warning",
        _MOVIES,
        "The path of a movie climbs folders (..), to a place that is not here.",
        f"{COPY}with ./ and the file name.",
        mended=True,
    ),
    trap(
        "bare-movie-name",
        "warning",
        _ARETOMO,
        "AreTomo3 keeps the space before a name that has no folder, and does not find ' name'.",
        f"{COPY}with ./ before it.",
        mended=True,
    ),
    trap(
        "equals-in-path",
        "warning",
        _ARETOMO,
        "AreTomo3 takes a path from its last '='.",
        "Rename the movie.",
    ),
    trap(
        "long-path",
        "warning",
        _ARETOMO,
        "AreTomo3 reads lines of 255 characters; the name of the movie is cut.",
        f"{COPY}with ./ and the file name.",
        mended=True,
    ),
    trap(
        "space-in-movie-name",
        "warning",
        ("RELION-5", "AreTomo3"),
        "A space in a name divides it in two in a star file; AreTomo3 before 2.1.6 did not find it.",
        "Rename the movies and write their new names here.",
    ),
    trap(
        "movie-names-clash",
        "error",
        _RELION,
        "RELION compares names up to their first dot; these are the same there, and it takes one movie for all.",
        "Rename the movies without dots (by a link for each, for example) and write their new names here.",
    ),
    trap(
        "series-not-in-movie-names",
        "warning",
        _RELION,
        "RELION's import drops a series whose name is in no movie's name, and gives its name's place to the next: the "
        "series after it then have wrong names.",
        "Rename the .mdoc to what its movies' names begin with, or import it alone and check the names.",
    ),
)

DISK = (
    trap(
        "movie-missing",
        "warning",
        _MOVIES,
        "A movie is not on disk: Warp refuses the whole series, AreTomo3 stops at it, others leave the tilt out.",
        "Copy it; or remove its section, and keep its exposure in the count.",
    ),
    trap("movies-not-found", "note", _MOVIES, "None of the movies was found here.", "Give their folder with --frames."),
    trap("movie-unreadable", "error", _MOVIES, "A movie cannot be opened.", "Copy it again."),
    trap(
        "frame-count",
        "warning",
        _MOVIES,
        "A movie has not as many frames as NumSubFrames says; RELION divides the exposure by that number.",
        "Copy it again if it was cut; else correct NumSubFrames.",
    ),
    trap("no-frame-count", "warning", _RELION, "RELION stops without NumSubFrames.", "Write it for each section."),
    trap(
        "movie-sizes",
        "warning",
        _MOVIES,
        "Movies of one series have frames of different sizes: some are of another camera setting.",
        "Remove the sections of those that do not belong.",
    ),
    trap(
        "pixel-size",
        "warning",
        ALL,
        "The pixel size here is not that of the stack or the movies (it may be that of a binned stack).",
        "Give programs the pixel size of the files that they read.",
    ),
    trap(
        "no-pixel-size",
        "warning",
        ("Eucentric",),
        "Nothing gives the pixel size.",
        "Write PixelSpacing (Å), or give it.",
    ),
    trap(
        "section-count", "error", ("IMOD", "Eucentric"), "The stack has not as many images.", "Give files that match."
    ),
    trap("stack-truncated", "error", ("IMOD", "AreTomo3", "Eucentric"), "The stack is cut off.", "Copy it again."),
    trap("stack-unreadable", "error", ("IMOD", "AreTomo3", "Eucentric"), "The stack cannot be read.", "Copy it again."),
    trap(
        "image-size",
        "warning",
        _IMOD,
        "ImageSize is not that of the stack: it is binned, or another.",
        "Check that the stack belongs to this .mdoc.",
    ),
    trap(
        "image-file",
        "note",
        _IMOD,
        "ImageFile names another stack than the one beside it.",
        "Check that they belong together; renamed ones do.",
    ),
    trap(
        "no-mdoc",
        "note",
        ("RELION-5", "Warp", "AreTomo3"),
        "The stack has no .mdoc: order and exposures are unknown.",
        "Put the .mdoc beside it, as stack.mrc.mdoc.",
    ),
    trap("no-angles", "error", ALL, "Nothing gives the tilt angles of the stack.", "Put a .rawtlt or .mdoc beside it."),
    trap(
        "nothing-found",
        "error",
        ALL,
        "There is neither an .mdoc nor a stack in this folder, nor in those below it.",
        "Name the folder that has them.",
    ),
)
