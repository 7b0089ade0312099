"""A design as a file: a plan, or what an acquisition program takes."""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory

from eucentric.core import OutputError
from eucentric.design import DoseSymmetric, Plan
from eucentric.io import write_pacetomo, write_plan, write_plan_csv, write_serialem_script
from eucentric.web.explorer.state import State
from eucentric.web.served import Served, require_edit


def _pacetomo(path: Path, plan: Plan) -> None:
    """Write a plan in the order that PACEtomo has, the positive side first in every turn."""
    scheme = plan.design.scheme
    if isinstance(scheme, DoseSymmetric):
        plan = plan.design.replace(scheme=scheme.replace(order="pacetomo")).plan()
    write_pacetomo(path, plan)


@dataclass(frozen=True)
class Form:
    """What a design can be handed over as: its name on the button, that of its file, what writes it, and a remark."""

    label: str
    file_name: str
    write: Callable[[Path, Plan], None]
    remark: str = ""


FORMS = (
    Form("Plan (.yaml)", "plan.yaml", write_plan),
    Form("SerialEM script", "plan_serialem.py", write_serialem_script, "Its first lines say what to check."),
    Form(
        "PACEtomo targets", "plan_tgts.txt", _pacetomo, "In PACEtomo's order; its first lines say what to set by hand."
    ),
    Form("Table (.csv)", "plan.csv", write_plan_csv),
)

_MOST = 1000


def as_file(state: State, form: Form) -> bytes:
    """Return the bytes of a state's plan in a form.

    Raises
    ------
    InputError
        If the program cannot do this plan.
    """
    with TemporaryDirectory(prefix="eucentric-") as folder:
        path = Path(folder) / form.file_name
        form.write(path, state.design().plan())
        return path.read_bytes()


def save(state: State, served: Served) -> Path:
    """Write a state's plan into the session, beside those that are there, and return its path.

    Raises
    ------
    ReadOnlyError
        If the pages may not change the session.
    OutputError
        If it cannot be written.
    """
    require_edit(served)
    session = served.session or Path()
    for number in range(1, _MOST):
        path = session / ("plan-explorer.yaml" if number == 1 else f"plan-explorer-{number}.yaml")
        if not path.exists() and not path.is_symlink():
            write_plan(path, state.design().plan())
            return path
    raise OutputError(f"{session} holds {_MOST} plans of the explorer; none was written.", "Remove some.")
