"""`eucentric restore`."""

from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal

from cyclopts import Parameter

from eucentric.cli.app import (
    DONE,
    FAILED,
    Device,
    Json,
    Pixel,
    UsageError,
    app,
    print_json,
    reporter,
    settings_from,
    tell,
    told_warnings,
)
from eucentric.core import InputError

if TYPE_CHECKING:
    from eucentric.processing.restoration import Method, RestoreSettings
    from eucentric.session import Session
    from eucentric.workflow.restoration import RestoreOutcome

_OPTIONS = {"most_steps": "steps", "cube_px": "cube"}
_Files = Annotated[list[Path] | None, Parameter(negative=())]


@app.command
def restore(
    session: Path | None = None,
    /,
    *,
    series: Annotated[list[str] | None, Parameter(negative=(), consume_multiple=True)] = None,
    half1: _Files = None,
    half2: _Files = None,
    tilts: _Files = None,
    pixel: Pixel = None,
    output: Annotated[Path | None, Parameter(name=["--output", "-o"])] = None,
    method: Literal["noise2noise", "wedge", "cryogen"] | None = None,
    model: Path | None = None,
    minutes: float | None = None,
    steps: int | None = None,
    channels: int | None = None,
    cube: int | None = None,
    form: Literal["map", "transport"] | None = None,
    prior: float | None = None,
    seed: int | None = None,
    device: Device = "auto",
    json: Json = False,
) -> int:
    """Take noise from tomograms and fill their missing wedge, and tell what of the result the data support.

    Example: `eucentric restore my-session --method wedge --minutes 20` for every series that was processed there.

    Example: `eucentric restore --half1 ts01_even.mrc --half2 ts01_odd.mrc --tilts ts01.tlt --output restored/ts01`

    Example: `eucentric restore my-session --series TS_007 --model my-session/restoration/wedge/model.pt` with a model
    that was trained before.

    One model is trained on all tomograms that are given, and then restores each. Training keeps what it has learned as
    it goes: the same command goes on after an interruption, or, with more --minutes or --steps, from where it had
    ended. Tomograms are only read. Of each come the restored one, those of either half alone, the standard deviation of
    its error, what was measured of it as JSON, and a page: in a session `series/NAME/restored_METHOD.mrc` and so on,
    and the model as `restoration/METHOD/model.pt`.

    Parameters
    ----------
    session
        Session whose series have half tomograms; or give pairs of files:
    series
        Only these series of the session.
    half1
        MRC volume of even frames or tilts or of half the counts, y along the tilt axis; again for more pairs.
    half2
        That of the others, with noise of its own; again for more pairs, in the same order.
    tilts
        Tilt angles of all views, of both halves (.tlt, .rawtlt), or an alignment.json; one file for all pairs,
        or one for each.
    pixel
        Size of the voxels of the files in Å, in place of what they say.
    output
        Folder and first part of the names of what is written for files; `restored_METHOD` here if not given. Several
        pairs are numbered: `_1`, `_2`.
    method
        Take noise alone (noise2noise); fill the missing wedge too, by what is seen of turned copies of the specimen
        (wedge) or as a critic takes for measured (cryogen). wedge if not given.
    model
        Apply this model; train none.
    minutes
        Longest that training may take; it ends before, where the part of the data that is held out is not explained
        any better.
    steps
        Most steps of training.
    channels
        Of the network, at its finest level.
    cube
        Voxels along each side of the cubes that the network learns from.
    form
        Of the critic of cryogen: its slope is one everywhere (map), or at most one (transport: stabler, and used if
        none is given).
    prior
        Weight of what the critic of cryogen says, beside the data; 1 if not given.
    seed
        Of all that is drawn at random.
    """
    training = {
        "minutes": minutes,
        "most_steps": steps,
        "channels": channels,
        "cube_px": cube,
        "form": form,
        "prior": prior,
        "seed": seed,
    }
    given = {field: value for field, value in training.items() if value is not None}
    if (session is None) == (half1 is None and half2 is None):
        raise UsageError("Give a session, or pairs of files with --half1, --half2 and --tilts.")
    if model is not None and given:
        options = ", ".join(f"--{_OPTIONS.get(field, field)}" for field in given)
        raise UsageError(f"{options}: this is of training, and --model is trained.")
    if method != "cryogen" and (form or prior is not None):
        raise UsageError("--form and --prior are of --method cryogen.")
    if session is not None and any((tilts, pixel, output)):
        raise UsageError("--tilts, --pixel and --output are of files: a session knows them.")
    if session is None and series:
        raise UsageError("--series is of a session, and none was given.")
    pairs = _pairs(half1, half2, tilts) if session is None else []

    from eucentric.core.devices import resolve_device  # heavy imports wait until a verb runs
    from eucentric.workflow.restoration import FilePair, ModelFiles, Restoring, restore_files, restore_session

    how = Restoring(_settings(method, given, model), resolve_device(device), model, reporter())
    prefix = output or Path(f"restored_{how.settings.method}")
    files = ModelFiles.of_session(session, how.settings.method) if session is not None else ModelFiles.beside(prefix)
    try:
        with told_warnings():
            if session is not None:
                with _opened(session) as opened:
                    outcome = restore_session(opened, series or (), how)
            else:
                outcome = restore_files([FilePair(*pair) for pair in pairs], prefix, how, voxel_A=pixel)
    except KeyboardInterrupt:
        tell(_interrupted(files.checkpoint) if model is None else "Interrupted; the same command goes on.")
        return FAILED
    for line in _describe(outcome):
        tell(line)
    if json:
        print_json(outcome.model_dump(mode="json"))
    return FAILED if outcome.failed else DONE


def _settings(method: "Method | None", given: dict[str, Any], model: Path | None) -> "RestoreSettings":
    """Return the settings of training, or those that a model was trained with."""
    from eucentric.processing.restoration import RestoreSettings
    from eucentric.workflow.restoration import read_model

    if model is None:
        asked = given if method is None else {"method": method, **given}
        return settings_from(asked, RestoreSettings, _OPTIONS)
    settings = read_model(model).trained.settings
    if method not in (None, settings.method):
        raise UsageError(f"--method {method}: the model {model} was trained by {settings.method}.")
    return settings


def _pairs(
    half1: list[Path] | None, half2: list[Path] | None, tilts: list[Path] | None
) -> list[tuple[Path, Path, Path]]:
    """Return the pairs of files with their tilts."""
    first, second, angles = half1 or [], half2 or [], tilts or []
    if len(first) != len(second):
        raise UsageError(f"--half1 was given {len(first)} times, and --half2 {len(second)} times: give pairs.")
    if len(angles) == 1:
        angles = angles * len(first)
    if len(angles) != len(first):
        raise UsageError(
            "Halves do not say at which tilts they were seen: give --tilts, one file for all pairs or one for each."
        )
    if len(set(first)) < len(first):
        raise UsageError("--half1 was given the same file twice.")
    return list(zip(first, second, angles, strict=True))


def _opened(folder: Path) -> "Session":
    """Open a session that is there."""
    from eucentric.session import Session
    from eucentric.session.journal import JOURNAL

    if not (folder / JOURNAL).is_file():
        raise InputError(
            f"{folder}: this is no session (it has no {JOURNAL}).",
            "Name a session that was processed, or give files with --half1, --half2 and --tilts.",
        )
    return Session.create_or_open(folder, reporter=reporter())


def _interrupted(checkpoint: Path) -> str:
    if checkpoint.is_file():
        return f"Interrupted. {checkpoint} has what was learned: the same command goes on from there."
    return "Interrupted before anything was learned: the same command starts anew."


def _describe(outcome: "RestoreOutcome") -> Iterator[str]:
    """Say in a few lines what was restored, and what of it is measured."""
    ended = f" ({outcome.ended})" if outcome.ended else ""
    yield f"Model: {outcome.model}, {outcome.method}, {outcome.steps} steps{ended}"
    for one in outcome.series:
        supported = f"down to {one.supported_A:.0f} Å" if one.supported_A else "nowhere"
        before = "" if one.ran else "; it had been restored before"
        yield (
            f"{one.name}: data support detail {supported}; {100 * one.missing_share:.0f} % of the restored power lies "
            f"where no tilt measured, and is inferred{before}"
        )
        yield f"  {one.files[0]}"
        yield f"  Report: {one.report}"
    if outcome.failed:
        yield f"Not restored: {', '.join(outcome.failed)}"
