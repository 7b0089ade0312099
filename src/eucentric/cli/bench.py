"""`eucentric bench`."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

from cyclopts import Parameter
from rich.table import Table

from eucentric.cli.app import DONE, Json, app, console, print_json, reporter, settings_from, tell, told_warnings

if TYPE_CHECKING:
    from eucentric.workflow.bench.records import Bench, Case, Row

_COLUMNS = ("program", "s", "min-max", "× ours", "accuracy", "MB")


@app.command
def bench(
    what: Literal["reconstruct", "align", "all"] = "all",
    /,
    *,
    size: int = 512,
    repeat: int = 3,
    iterations: int = 20,
    seed: int = 0,
    peers_python: Annotated[Path | None, Parameter(name="--peers-python")] = None,
    json: Json = False,
) -> int:
    """Time alignment and reconstruction on this machine, beside other programs where they are installed.

    The work is made here, with a known truth: blobs seen analytically. All programs run in turn, each several times.
    The floor is the least time that the work can take on this machine: the loads and adds of its interpolations, its
    bytes at the speed of a copy, and its Fourier transforms, each measured in the same run. IMOD's `tilt` and
    `tiltxcorr` are found on the path; ASTRA and the torch-* packages in the interpreter that is named.

    Example: `eucentric bench all --size 512 --peers-python ~/peers/bin/python`

    Parameters
    ----------
    what
        What to time: reconstruct, align or all.
    size
        Pixels along each side of the 41 images; the volume has a quarter as many planes.
    repeat
        Runs of each program; one where it takes over a minute.
    iterations
        Rounds of SIRT; 0 leaves it out.
    seed
        Draws the specimens, the shifts and the noise.
    peers_python
        The Python whose packages are timed too; our own if not given.
    """
    from eucentric.workflow.bench.records import BenchSettings

    settings = settings_from(
        {"what": what, "size": size, "repeat": repeat, "iterations": iterations, "seed": seed}, BenchSettings, {}
    )
    from eucentric.workflow.bench.run import run_bench  # heavy imports wait until the options are known to be right

    with told_warnings():
        measured = run_bench(settings, peers_python=peers_python, reporter=reporter())
    _print(measured)
    if json:
        print_json(_as_json(measured))
    return DONE


def _print(measured: "Bench") -> None:
    """Print a table for each task, and the floor below it."""
    tell(
        f"{measured.processors} processors, {measured.threads} threads, copies {measured.copy_GB_s:.1f} GB/s; "
        f"seed {measured.settings.seed}; medians of up to {measured.settings.repeat} runs."
    )
    for case in measured.cases:
        tell(f"\n{case.name[:1].upper()}{case.name[1:]}: {case.work}")
        table = Table(box=None, padding=(0, 1, 0, 0), header_style="bold")
        for column in _COLUMNS:
            words = column in ("program", "accuracy")
            table.add_column(column, justify="left" if words else "right", no_wrap=column != "accuracy")
        for row in case.rows:
            table.add_row(*_cells(row))
        console().print(table)
        tell(_floor_line(case))


def _cells(row: "Row") -> tuple[str, ...]:
    if row.median_s is None or row.least_s is None or row.most_s is None or row.ratio is None:
        return row.program, "", "", "", f"{row.state}: {row.reason}" if row.reason else row.state, ""
    accuracy = {
        "fsc": "FSC {:.3f}",
        "shift_rms_px": "rms {:.2f} px",
        "axis_error_deg": "axis {:+.2f}°",
    }
    return (
        row.program,
        f"{row.median_s:.3g}",
        f"{row.least_s:.3g}-{row.most_s:.3g}",
        f"{row.ratio:.1f}",
        ", ".join(accuracy[name].format(value) for name, value in row.accuracy.items()),
        "" if row.peak_MB is None else f"{row.peak_MB:.0f}",
    )


def _floor_line(case: "Case") -> str:
    floor = case.floor
    return (
        f"Floor {floor.seconds:.3g} s: {floor.interpolations:.3g} interpolations {floor.interpolations_s:.3g} s, "
        f"{floor.bytes_moved / 1e6:.0f} MB moved {floor.bytes_s:.3g} s, transforms {floor.transforms_s:.3g} s. "
        f"Ours takes {case.floors:.1f} times that."
    )


def _as_json(measured: "Bench") -> dict[str, object]:
    """Return all that was measured, with the sum of each floor."""
    found: dict[str, object] = measured.model_dump(mode="json")
    found["cases"] = [
        {**case.model_dump(mode="json"), "floor": {**case.floor.model_dump(mode="json"), "seconds": case.floor.seconds}}
        for case in measured.cases
    ]
    return found
