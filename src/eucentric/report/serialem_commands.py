"""A page of SerialEM's commands and what the twin makes of each, made from the code."""

from eucentric.twin.serialem.module import GROUPS, simulated
from eucentric.twin.serialem.registry import names_of
from eucentric.twin.serialem.table import Command, commands

_HEAD = """\
# SerialEM's commands in a rehearsal

Made by `eucentric rehearse --commands`. SerialEM has {all} commands; {python} of them can be called from Python. The
twin does {done}. Each of the {refused} others is checked as SerialEM checks it, for the number and kinds of its
arguments, and then refused by its name with an error; it is counted and shown in the report, and never passed over
silently. A name that is no command is unknown to the module, as Python says: `AttributeError`. The {own} that only
SerialEM's own script language has (loops, variables, tests) are not in its Python module either.

Arguments: D a number, S a text, I a whole number; small letters may be left out.
"""
_TITLES = {
    "StageCommands": "Stage",
    "LensCommands": "Lenses and low dose",
    "MatrixCommands": "Matrices between coordinates",
    "CameraCommands": "Camera and movies",
    "ImageCommands": "Image buffers and alignment",
    "FileCommands": "Files",
    "ScriptCommands": "Scripts: variables, clock, log, dialogs, properties",
    "NavigatorCommands": "Navigator",
    "RoutineCommands": "Procedures",
    "IlluminationCommands": "What the twin has one setting of",
    "ItemCommands": "Navigator: table, file and acquisition",
    "MapCommands": "Navigator: maps, and places in images",
    "PixelCommands": "Image buffers: measures and new images",
    "TextCommands": "Folders and text files",
}


def commands_page() -> str:
    """Return the page as Markdown."""
    known, done = commands(), simulated()
    python = [one for one in known.values() if one.python]
    refused = [one for one in python if one.name not in done]
    parts = [
        _HEAD.format(
            all=len(known),
            python=len(python),
            done=len(done),
            refused=len(refused),
            own=len(known) - len(python),
        )
    ]
    for group in GROUPS:
        parts.append(f"\n## {_TITLES[group.__name__]}\n\n| command | arguments | does |\n|---|---|---|\n")
        for name, method in sorted(names_of(group).items()):
            told = (getattr(group, method).__doc__ or "").split("\n")[0]
            parts.append(f"| `{name}` | {_arguments(known[name])} | {told} |\n")
    parts.append("\n## Checked and refused\n\n" + ", ".join(f"`{one.name}`" for one in refused) + "\n")
    own = [one.name for one in known.values() if not one.python]
    parts.append("\n## Not in SerialEM's Python module\n\n" + ", ".join(f"`{name}`" for name in own) + "\n")
    return "".join(parts)


def _arguments(one: Command) -> str:
    return one.keys or "none"
