"""`eucentric design`: make, show, compare, optimise and export plans."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

from cyclopts import App, Parameter

from eucentric.cli.app import DONE, Json, UsageError, app, print_json, reporter, settings_from, tell
from eucentric.cli.design.options import (
    ExposureOptions,
    InstrumentOptions,
    SchemeOptions,
    bench_from,
    design_from,
    total_from,
)
from eucentric.cli.design.tables import exposures_json, print_comparison, print_optimum, print_plan

if TYPE_CHECKING:
    from eucentric.design import Plan

design_app = App(name="design")
app.command(design_app)

_ENDINGS = {"serialem": "_serialem.py", "pacetomo": "_tgts.txt", "csv": ".csv"}

Output = Annotated[Path | None, Parameter(name=["--output", "-o"])]


@design_app.default
def design(
    *,
    output: Output = None,
    from_: Annotated[Path | None, Parameter(name="--from")] = None,
    figure: Path | None = None,
    scheme: SchemeOptions | None = None,
    exposure: ExposureOptions | None = None,
    instrument: InstrumentOptions | None = None,
    json: Json = False,
) -> int:
    """Make a plan, with what it will yield; or show, compare, optimise and export plans.

    Example: `eucentric design --scheme dose-symmetric --range 60 --step 3 --group 2 --exposure 120 --thickness 2000
    --pixel 1.35 --output plan.yaml`

    Parameters
    ----------
    output
        The plan, a .yaml or .json file; it holds every setting, and can be edited. Only shown if not given.
    from_
        A plan to start from, in place of the defaults; options change it.
    figure
        Draw it: a .png, .svg or .pdf file.
    """
    from eucentric.design import Design
    from eucentric.io import read_plan, write_plan

    base = read_plan(from_).design if from_ else Design()
    plan = design_from(base, scheme, exposure, instrument).plan()
    status = _show(plan, output.stem if output else "design", figure, as_json=json)
    if output is not None:
        write_plan(output, plan)
        tell(f"Wrote {output}.")
    return status


@design_app.command
def show(plan: Path, /, *, figure: Path | None = None, json: Json = False) -> int:
    """Show a plan and what it will yield.

    Example: `eucentric design show plan.yaml --figure plan.png`

    Parameters
    ----------
    plan
        A plan as `eucentric design` writes it.
    figure
        Draw it: a .png, .svg or .pdf file.
    """
    from eucentric.io import read_plan

    return _show(read_plan(plan), plan.stem, figure, as_json=json)


def _show(plan: "Plan", name: str, figure: Path | None, *, as_json: bool) -> int:
    from eucentric.design import predict

    prediction = predict(plan)
    if figure is not None:
        from eucentric.report.designs import compare_figure, session_ctf_figure, write_figure

        write_figure(figure, compare_figure([prediction], [name]))
        tell(f"Wrote {figure}.")
        if len(plan.design.defocus.session_A()) > 1:
            ctf = figure.with_name(f"{figure.stem}_ctf{figure.suffix}")
            write_figure(ctf, session_ctf_figure(prediction))
            tell(f"Wrote {ctf}: CTF² of this series and of the session together.")
    if as_json:
        print_json(
            {
                "exposures": exposures_json(prediction),
                "summary": prediction.summary.model_dump(mode="json"),
                "design": plan.design.model_dump(mode="json"),
            }
        )
    else:
        print_plan(prediction)
    return DONE


@design_app.command
def compare(plans: list[Path], /, *, output: Output = None, json: Json = False) -> int:
    """Compare plans side by side: a table, and a picture of what each does with its exposure.

    Example: `eucentric design compare plan1.yaml plan2.yaml --output comparison.png`

    Parameters
    ----------
    plans
        Two to six plans as `eucentric design` writes them.
    output
        The picture, a .png, .svg or .pdf file [comparison.png].
    """
    from eucentric.design import predict
    from eucentric.io import read_plan
    from eucentric.report.designs import compare_figure, write_figure

    if not 2 <= len(plans) <= 6:
        raise UsageError(f"{len(plans)} plan{'s' * (len(plans) > 1)} cannot be compared side by side: name two to six.")
    output = output or Path("comparison.png")
    predictions = {name: predict(read_plan(path)) for name, path in _named(plans).items()}
    write_figure(output, compare_figure(list(predictions.values()), list(predictions)))
    tell(f"Wrote {output}.")
    summaries = {name: prediction.summary for name, prediction in predictions.items()}
    if json:
        shown = [{"name": name, "summary": one.model_dump(mode="json")} for name, one in summaries.items()]
        print_json({"plans": shown, "figure": str(output)})
    else:
        print_comparison(summaries)
    return DONE


def _named(plans: list[Path]) -> dict[str, Path]:
    """Name plans by their files: with the folder, too, where that alone tells them apart."""
    stems = [path.stem for path in plans]
    named = {path.stem if stems.count(path.stem) == 1 else str(path): path for path in plans}
    if len({path.resolve() for path in plans}) < len(plans):
        raise UsageError("The same plan was named twice.")
    return named


@design_app.command
def optimise(
    *,
    goal: Literal["bits", "resolution"] = "bits",
    target: float = 10.0,
    max_minutes: float | None = None,
    max_elongation: float | None = None,
    max_crowther: float | None = None,
    max_alignment_error: float = 20.0,
    isotropy: float = 0.5,
    output: Output = None,
    figure: Path | None = None,
    from_: Annotated[Path | None, Parameter(name="--from")] = None,
    exposure: ExposureOptions | None = None,
    instrument: InstrumentOptions | None = None,
    json: Json = False,
) -> int:
    """Search for the best design for a specimen: scheme, range, increment, groups, exposure over tilt, start, frames.

    Example: `eucentric design optimise --thickness 2000 --exposure 120 --goal bits --max-minutes 20 -o best.yaml`

    It tells which design wins, by how much, what limits it, how flat the optimum is, and where the best number of
    tilts comes from.

    Parameters
    ----------
    goal
        `bits`: the most information about one volume; `resolution`: the fewest particles to average for a target.
    target
        The resolution in Å that averaging is to reach.
    max_minutes
        The longest that a series may take.
    max_elongation
        The largest elongation along the beam [for resolution 1.9, which is ±50°].
    max_crowther
        How coarsely the slab may be sampled, in Å [for resolution the particle's diameter].
    max_alignment_error
        The largest error of placing one image, in Å.
    isotropy
        How much gaps and the missing wedge count: 0 not at all, 1 in proportion to what is missing.
    output
        Write the best design as a plan, a .yaml or .json file.
    figure
        Draw the sweet spot: a .png, .svg or .pdf file.
    from_
        A plan whose specimen, instrument and frames to start from.
    """
    from eucentric.design import Design, Objective
    from eucentric.design import optimise as search
    from eucentric.io import read_plan, write_plan

    objective = settings_from(
        {
            "goal": goal,
            "target_A": target,
            "max_minutes": max_minutes,
            "max_elongation": max_elongation,
            "max_crowther_A": max_crowther,
            "max_alignment_error_A": max_alignment_error,
            "isotropy": isotropy,
        },
        Objective,
        {"target_A": "target", "max_crowther_A": "max-crowther", "max_alignment_error_A": "max-alignment-error"},
    )
    base = read_plan(from_).design if from_ else Design()
    total_e_A2 = total_from(base, exposure)
    made = bench_from(base, exposure, instrument)
    optimum = search(made, total_e_A2, objective, reporter=reporter())
    if output is not None:
        write_plan(output, optimum.best.design.plan())
        tell(f"Wrote {output}.")
    if figure is not None:
        import numpy as np

        from eucentric.report.designs import sweet_spot_figure, write_figure

        spot = optimum.sweet_spot
        tilts = np.array(spot.tilts)
        curves = {name: (tilts, np.array(curve) / optimum.best.score) for name, curve in spot.curves.items()}
        write_figure(figure, sweet_spot_figure(curves, spot.best_tilts, "score, the best design being 1"))
        tell(f"Wrote {figure}.")
    if json:
        print_json(optimum.model_dump(mode="json"))
    else:
        print_optimum(optimum)
    return DONE


@design_app.command
def export(
    plan: Path,
    /,
    *,
    to: Literal["serialem", "pacetomo", "csv"],
    output: Output = None,
    json: Json = False,
) -> int:
    """Write a plan as an acquisition program takes it.

    Example: `eucentric design export plan.yaml --to serialem --output plan_serialem.py`

    Parameters
    ----------
    plan
        A plan as `eucentric design` writes it.
    to
        `serialem`: a Python script for SerialEM that acquires exactly this plan; `pacetomo`: settings and target
        blocks for PACEtomo's targets file; `csv`: a table.
    output
        The file to write [the plan's name with what it is for].
    """
    from eucentric.io import read_plan, write_pacetomo, write_plan_csv, write_serialem_script

    read = read_plan(plan)
    written = output or plan.with_name(f"{plan.stem}{_ENDINGS[to]}")
    by_hand: dict[str, float] = {}
    if to == "serialem":
        write_serialem_script(written, read, name=plan.stem)
        tell(f"Wrote {written}. Its first lines say what to check before every use.")
    elif to == "pacetomo":
        settings = write_pacetomo(written, read)
        by_hand = {"groupSize": settings.groupSize, "recordTime_s": settings.recordTime}
        tell(
            f"Wrote {written}. To be set by hand: groupSize = {settings.groupSize} in PACEtomo's script, and the "
            f"Record's exposure time, {settings.recordTime:.4g} s."
        )
    else:
        write_plan_csv(written, read)
        tell(f"Wrote {written}.")
    if json:
        print_json({"written": str(written), "exposures": len(read), **by_hand})
    return DONE


@design_app.command
def schema() -> int:
    """Print the JSON schema of a plan, for editors that check and complete.

    Example: `eucentric design schema > plan.schema.json`
    """
    from eucentric.io import plan_schema

    print_json(plan_schema())
    return DONE
