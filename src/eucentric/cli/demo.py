"""`eucentric demo`."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

from cyclopts import Parameter

from eucentric.cli.app import DONE, Device, Json, app, print_json, reporter, tell, told_warnings
from eucentric.cli.wording import describe

if TYPE_CHECKING:
    from eucentric.design import Plan
    from eucentric.workflow.comparison import Comparison

_SIZE, _PIXEL_A, _FRAMES = 320, 14.0, 4


@app.command
def demo(
    *,
    output: Annotated[Path, Parameter(name=["--output", "-o"])] = Path("demo"),
    seed: int = 0,
    device: Device = "auto",
    json: Json = False,
) -> int:
    """Design a series, acquire it on the simulated microscope, process it, and compare: predicted, measured, true.

    Example: `eucentric demo --output demo`, then open the report that it names in a browser.

    Parameters
    ----------
    output
        Folder for the session; made if it is not there. What is done already is not done again.
    seed
        Chooses the specimen, the errors of the stage and the noise.
    """
    from eucentric.core import make_folder  # heavy imports wait until a verb runs
    from eucentric.core.devices import resolve_device
    from eucentric.io import read_plan
    from eucentric.io.movie_series import load_movie_series
    from eucentric.report.comparison import comparison_figure
    from eucentric.report.designs import write_figure
    from eucentric.session import Session
    from eucentric.workflow.comparison import compare
    from eucentric.workflow.movies import process_movies
    from eucentric.workflow.records import ProcessSettings
    from eucentric.workflow.simulate import SimulateSettings, simulate

    where = resolve_device(device)
    settings = SimulateSettings(specimen="cell", name="demo", size=_SIZE, pixel_A=_PIXEL_A, frames=_FRAMES, seed=seed)
    with told_warnings(), Session.create_or_open(make_folder(output), reporter=reporter()) as session:
        again = session.last(settings.name, "simulate") is not None
        simulated = simulate(session, _plan(), settings, resume=again, reporter=reporter())
        loaded = load_movie_series(simulated.mdoc)
        plan = read_plan(simulated.folder / "plan.yaml")
        processed = process_movies(session, loaded, ProcessSettings(), plan=plan, device=where, reporter=reporter())
        comparison = compare(simulated, processed)
    figure = output / "comparison.png"
    write_figure(
        figure,
        comparison_figure(
            comparison.tilts_deg,
            {
                "predicted": comparison.counts_predicted,
                "measured": comparison.counts_measured,
                "true": comparison.counts_true,
            },
            {"predicted": comparison.defocus_predicted_A, "true": comparison.defocus_true_A},
            comparison.shift_errors_A,
        ),
    )
    for line in describe(processed):
        tell(line)
    _tell_comparison(comparison)
    tell(f"Picture of it: {figure}")
    if json:
        print_json(
            {
                "simulated": simulated.model_dump(mode="json"),
                "outcome": processed.model_dump(mode="json"),
                "comparison": comparison.model_dump(mode="json"),
            }
        )
    return DONE


def _plan() -> "Plan":
    """Return the plan: dose-symmetric, ±60° in steps of 3°, 120 e/Å² through 1500 Å."""
    from eucentric.design import Design, Specimen

    return Design(specimen=Specimen(thickness_A=1500.0)).plan()


def _tell_comparison(found: "Comparison") -> None:
    def row(what: str, *cells: str) -> None:
        tell(f"{what:<22}{cells[0]:>12}{cells[1]:>12}{cells[2]:>12}")

    least = min(range(len(found.tilts_deg)), key=lambda i: abs(found.tilts_deg[i]))
    most = max(range(len(found.tilts_deg)), key=lambda i: abs(found.tilts_deg[i]))
    row("", "predicted", "measured", "true")
    for i in (least, most):
        counts = (found.counts_predicted[i], found.counts_measured[i], found.counts_true[i])
        row(f"electrons/px at {found.tilts_deg[i]:.0f}°", *(f"{value:.1f}" for value in counts))
    measured = f"{found.thickness_measured_A:.0f}" if found.thickness_measured_A else "-"
    row("thickness (Å)", f"{found.thickness_predicted_A:.0f}", measured, f"{found.thickness_true_A:.0f}")
    axes = (found.axis_predicted_deg, found.axis_measured_deg, found.axis_true_deg)
    row("tilt axis (°)", *(f"{value:.2f}" for value in axes))
    score = found.score
    row("shifts, rms error (Å)", "-", f"{score.shift_rms_px * _PIXEL_A:.1f}", "0")
