"""A preview of the tomogram from the tilts that have come so far: coarse, in seconds, and made again as more come.

It is made of the small images that looks leave. Nothing of it is used by the stages of the whole series.
"""

from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from PIL import Image
from pydantic import Field

from eucentric.core import Angstrom, Degrees, InputError, Record, whole_or_nothing, write_text
from eucentric.core.devices import resolve_device
from eucentric.io import open_mrc, write_mrc
from eucentric.processing.alignment import AlignSettings, QuickAlignment, align_quickly, prepare_images
from eucentric.processing.reconstruction import ReconstructSettings, reconstruct
from eucentric.report.style import grey
from eucentric.session import JournalAddress, Session, StagePlan, StageRun
from eucentric.workflow.live.look import small_image

PREVIEW = "preview"
"""Name of the stage, and of its files in the folder of a series: ``.mrc``, ``.jpg`` and ``.json``."""

PREVIEW_VERSION = 1

_DEPTH = 0.3  # share of the field that is shown at least: a coarse depth may fall short of the specimen's
_SIRT_ROUNDS = 10  # that the weights are those of: at so few electrons the ramp would show their noise above all
_SHOWN = 0.15  # share of the depth that the picture is the mean over, as one slice of so few tilts is noise


class PreviewStage(Record):
    """All that a preview depends on besides the small images: their sections of the .mdoc and tilts, and settings."""

    sections: tuple[int, ...]
    tilts_deg: tuple[Degrees, ...]
    nominal_axis_deg: Degrees | None = None
    align: AlignSettings = AlignSettings()
    thickness_A: Angstrom | None = None


class PreviewRequest(Record):
    """A preview that a worker is to make."""

    journal: JournalAddress
    series: str
    stage: PreviewStage
    device: str = "cpu"


class Preview(Record):
    """What a preview was made of: how many tilts, and which were left out for what reason, by section."""

    tilts: int = Field(ge=0)
    left_out: dict[int, str] = Field(default_factory=dict)


def run_preview(session: Session, request: PreviewRequest) -> None:
    """Make a preview, unless it was made of these images with these settings.

    Raises
    ------
    InputError
        If images are missing, of different sizes, or too few can be used.
    OutputError
        If it cannot be written.
    """
    stage = request.stage
    images = tuple(small_image(session.series_folder(request.series), section) for section in stage.sections)
    plan = StagePlan(series=request.series, stage=PREVIEW, version=PREVIEW_VERSION, settings=stage, inputs=images)
    if session.state(plan).done:
        return
    with session.run(plan) as run:
        _make(run, stage, images, resolve_device(request.device))


def _make(run: StageRun, stage: PreviewStage, images: tuple[Path, ...], device: torch.device) -> None:
    stack, pixel_A = _read(images)
    prepared = prepare_images(stack, stage.tilts_deg)
    found = align_quickly(
        prepared, stage.tilts_deg, pixel_A, stage.align, nominal_axis_deg=stage.nominal_axis_deg, device=device
    )
    least_A = _DEPTH * min(stack.shape[1:]) * pixel_A
    settings = ReconstructSettings(
        thickness_A=stage.thickness_A or max(least_A, found.specimen_depth_A),
        weighting="radial-sirt",
        iterations=_SIRT_ROUNDS,
    )
    halves = reconstruct(prepared.images, found.alignment, settings, device=device)
    _write(run, halves.full().cpu().numpy(), halves.voxel_A, found, stage)


def _read(images: tuple[Path, ...]) -> tuple[NDArray[np.float32], float]:
    """Return small images as a stack (n, y, x), and their pixel size (Å)."""
    opened = [open_mrc(path) for path in images]
    first = opened[0]
    for path, image in zip(images, opened, strict=True):
        if image.data.shape != first.data.shape or image.pixel_A != first.pixel_A:
            raise InputError(f"{path}: it is not of the size of {images[0].name}; no preview was made.")
    if first.pixel_A is None:
        raise InputError(f"{images[0]}: it has no pixel size; no preview was made.")
    return np.concatenate([np.asarray(image.data, dtype=np.float32) for image in opened]), first.pixel_A


def _write(
    run: StageRun, volume: NDArray[np.float32], voxel_A: float, found: QuickAlignment, stage: PreviewStage
) -> None:
    used = found.alignment.used
    left_out = {stage.sections[t.section]: t.reason for t in found.alignment.tilts if not t.used}
    record, picture, tomogram = (run.folder / f"{PREVIEW}{ending}" for ending in (".json", ".jpg", ".mrc"))
    write_text(record, Preview(tilts=len(used), left_out=left_out).model_dump_json(indent=1))
    half = max(1, round(_SHOWN * len(volume) / 2))
    middle = volume[len(volume) // 2 - half : len(volume) // 2 + half].mean(axis=0)
    with whole_or_nothing(picture) as partial:
        Image.fromarray(np.ascontiguousarray(grey(middle)[::-1])).save(partial, format="JPEG", quality=85)
    write_mrc(tomogram, volume, voxel_A, kind="volume", label=f"Preview from {len(used)} tilts")
    for path in (record, picture, tomogram):
        run.output(path)
    run.metric("preview_tilts", len(used))
    run.metric("preview_correlation", round(found.correlation, 3))
