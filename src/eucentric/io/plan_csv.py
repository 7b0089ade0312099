"""A plan as a plain table (CSV), for spreadsheets and for programs of one's own."""

import csv
import io
from pathlib import Path

from eucentric.core import write_text
from eucentric.design import Exposure, Plan


def write_plan_csv(path: Path, plan: Plan) -> None:
    """Write the exposures of a plan, in the order of acquisition, under one line of column names.

    The columns are `order` (from 0), `tilt_deg` (the stage's), `exposure_e_A2`, `pre_exposure_e_A2`, `frames` and
    `defocus_A` (underfocus positive). Nothing is rounded.

    Raises
    ------
    OutputError
        If the file cannot be written.
    """
    names = list(Exposure.model_fields)
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(names)
    writer.writerows([getattr(exposure, name) for name in names] for exposure in plan)
    write_text(Path(path), text.getvalue())
