"""`eucentric export` and `eucentric import`."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

from cyclopts import Parameter, validators
from rich.table import Table

from eucentric.cli.app import DONE, FAILED, Json, Pixel, app, console, print_json, reporter, tell, told_warnings
from eucentric.core import InputError

if TYPE_CHECKING:
    from eucentric.io.exchange import ProcessedSeries

Name = Literal["relion5", "warp", "imod", "aretomo", "cets", "portal"]


@app.command(name="export")
def export(
    source: Path,
    output: Path,
    /,
    *,
    to: Name,
    series: Annotated[tuple[str, ...], Parameter(negative=())] = (),
    particles: Path | None = None,
    exposure: Annotated[float | None, Parameter(validator=validators.Number(gt=0, lt=1e4))] = None,
    copy: Annotated[bool, Parameter(negative=())] = False,
    json: Json = False,
) -> int:
    """Write series as the files of another program: alignment, CTF, exposures, views left out, particles, tomograms.

    Example: `eucentric export my-session relion --to relion5`
    Example: `eucentric export TS_001.mdoc warp --to warp`, before any processing

    What those files cannot hold is listed, and kept beside them in eucentric-export.txt.

    Parameters
    ----------
    source
        A session, an .mdoc, or a folder of .mdocs; it is only read.
    output
        The folder to write to.
    to
        Whose files.
    series
        Names of the series that are wanted; all if not given.
    particles
        Table (CSV) of the particles of the one series that is exported: z_A, y_A, x_A from the tomogram's middle,
        and rot_deg, tilt_deg, psi_deg, label and half where they are known.
    exposure
        Of one tilt in e/Å², for .mdocs that do not say.
    copy
        Copy stacks and tomograms, rather than to link to them.
    """
    from eucentric.io.exchange.particle_table import read_particles
    from eucentric.workflow.exchanging import export_series
    from eucentric.workflow.gathering import gather

    with told_warnings():
        found = gather(source, series, exposure_e_A2=exposure)
        if particles is not None:
            if len(found) != 1:
                raise InputError(
                    f"{particles}: these are particles of one series, and {source} has {len(found)}.",
                    "Name the series with --series.",
                )
            found = (found[0].replace(particles=read_particles(particles)),)
        exported = export_series(found, to, output, copy=copy)
    console().print(_table(found))
    for sentence in exported.dropped:
        tell(f"Not held by {to}: {sentence}")
    tell(f"{len(exported.files)} files for {to} in {output}; the first to give it is {exported.files[0]}.")
    if json:
        print_json(
            {
                "program": to,
                "series": [one.series.name for one in found],
                "files": [str(path) for path in exported.files],
                "dropped": list(exported.dropped),
            }
        )
    return DONE


@app.command(name="import")
def import_(
    source: Path,
    /,
    *,
    output: Annotated[Path, Parameter(name=["--output", "-o"])],
    program: Annotated[Name | None, Parameter(name="--from")] = None,
    pixel: Pixel = None,
    json: Json = False,
) -> int:
    """Bring what another program made into a session: alignments, CTF, exposures, views left out, particles.

    Example: `eucentric import warp_tiltseries --from warp --output my-session`
    Example: `eucentric import ts01.aln --pixel 2.7 -o my-session`, then `eucentric reconstruct my-session/series/ts01`

    Stacks and tomograms stay where they are; images that lie one by one (RELION's, and Warp's averages) are made into a
    stack in the session. What the files hold and a session cannot is listed.

    Parameters
    ----------
    source
        A folder of the program, or one of its files; it is only read.
    output
        The session folder; it is made if it is not there.
    program
        Whose files; told from their names if not given.
    pixel
        Pixel size of the images in Å, where the files do not say (AreTomo's).
    """
    from eucentric.workflow.exchanging import import_series

    with told_warnings():
        outcome = import_series(source, output, program, pixel_A=pixel, reporter=reporter())
    console().print(_table([one.processed for one in outcome.series]))
    for sentence in outcome.dropped:
        tell(f"Not imported: {sentence}")
    for name, reason in outcome.failures.items():
        tell(f"Not readable: {name}: {reason}")
    first = outcome.series[0]
    tell(f"{len(outcome.series)} series from {outcome.program} in {output}.")
    if first.processed.alignment and first.processed.files.stack:
        tell(f"Next: `eucentric reconstruct {first.folder} --output {first.name}.mrc`")
    if json:
        print_json(
            {
                "program": outcome.program,
                "series": [{"name": one.name, "folder": str(one.folder)} for one in outcome.series],
                "dropped": list(outcome.dropped),
                "failures": outcome.failures,
            }
        )
    return FAILED if outcome.failures else DONE


def _table(series: "list[ProcessedSeries] | tuple[ProcessedSeries, ...]") -> Table:
    """Return what is known of each series, as a table."""
    table = Table(box=None, pad_edge=False, header_style="bold")
    for title in ("series", "tilts", "used", "pixel Å", "axis °", "defocus µm", "hand", "exposure e/Å²", "particles"):
        table.add_column(title, justify="left" if title == "series" else "right")
    for one in series:
        views = one.alignment.used if one.alignment else ()
        axis = sorted(view.axis_deg for view in views)[len(views) // 2] if views else one.series.tilt_axis_deg
        fitted = sorted(tilt.mean_A for tilt in one.ctf.tilts if tilt.used) if one.ctf else []
        exposures = [tilt.exposure_e_A2 for tilt in one.series.tilts if tilt.exposure_e_A2 is not None]
        table.add_row(
            one.series.name,
            str(len(one.series.tilts)),
            str(len(views)) if one.alignment else "-",
            f"{one.series.pixel_A:g}",
            "-" if axis is None else f"{axis:.2f}",
            f"{fitted[len(fitted) // 2] / 1e4:.2f}" if fitted else "-",
            f"{one.ctf.hand.hand:+d}" if one.ctf and one.ctf.hand else "-",
            f"{sum(exposures):.1f}" if exposures else "-",
            str(len(one.particles)),
        )
    return table
