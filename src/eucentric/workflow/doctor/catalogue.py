"""Every trap that the doctor knows: how grave it is, why it matters, to whom, and what to do.

`docs/doctor.md` is made from this; a test holds the two together.
"""

from eucentric.workflow.doctor.records import ALL, Trap
from eucentric.workflow.doctor.traps_of_data import DISK, EXPOSURE, PATHS
from eucentric.workflow.doctor.traps_of_text import AXIS, FILES, SECTIONS, TILTS, TIMES

TRAPS: dict[str, Trap] = {
    trap.name: trap for trap in (*FILES, *SECTIONS, *TILTS, *AXIS, *TIMES, *EXPOSURE, *PATHS, *DISK)
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
