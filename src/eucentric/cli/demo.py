"""`eucentric demo`."""

from pathlib import Path
from typing import Annotated

from cyclopts import Parameter

from eucentric.cli.app import DONE, Device, Json, app, print_json, reporter, tell, told_warnings
from eucentric.cli.wording import describe


@app.command
def demo(
    *,
    output: Annotated[Path, Parameter(name=["--output", "-o"])] = Path("demo"),
    seed: int = 0,
    device: Device = "auto",
    json: Json = False,
) -> int:
    """Record a phantom cell, process the series to a tomogram and a report, and score it against the truth.

    Example: `eucentric demo --output demo`, then open the report that it names in a browser.

    Parameters
    ----------
    output
        Folder for the data and the session; made if it is not there.
    seed
        Chooses the specimen, the wandering of the stage and the noise.
    """
    from eucentric.assessment import score_alignment  # heavy imports wait until a verb runs
    from eucentric.core.devices import resolve_device
    from eucentric.io import load_series, read_alignment
    from eucentric.session import Session
    from eucentric.workflow import ProcessSettings, process_series, write_phantom_series

    where = resolve_device(device)
    with told_warnings():
        phantom = write_phantom_series(output / "data", seed=seed, reporter=reporter())
        loaded = load_series(phantom.stack, angles=phantom.angles, tilts=phantom.table)
        with Session.create_or_open(output / "session", reporter=reporter()) as session:
            outcome = process_series(session, loaded, ProcessSettings(), device=where, reporter=reporter())
    score = score_alignment(read_alignment(outcome.folder / "alignment.json"), phantom.truth)
    for line in describe(outcome):
        tell(line)
    tell(
        f"Against the truth: shifts to {score.shift_rms_px:.2f} px rms (worst {score.worst_px:.2f}), "
        f"tilt axis to {abs(score.axis_error_deg):.2f}°."
    )
    if json:
        print_json({"outcome": outcome.model_dump(mode="json"), "score": score.model_dump(mode="json")})
    return DONE
