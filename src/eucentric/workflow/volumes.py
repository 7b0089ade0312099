"""Tomograms as files, and the reconstruction of summed movies: corrected for the CTF, in halves."""

from collections.abc import Callable, Mapping, Sequence
from contextlib import ExitStack
from pathlib import Path

import torch
from torch import Tensor

from eucentric.assessment import HalvesOf
from eucentric.core import SILENT, Alignment, FormatError, Reporter
from eucentric.io import open_mrc, write_mrc
from eucentric.io.mrc_writer import mrc_sections
from eucentric.io.ome_zarr import write_ome_zarr
from eucentric.optics import SeriesCTF
from eucentric.processing.alignment import prepare_images
from eucentric.processing.count_halves import splitting_noise
from eucentric.processing.reconstruction import (
    Halves,
    Images,
    ReconstructSettings,
    reconstruct,
    reconstruct_ctf3d,
    reconstruct_slabs,
    volume_shape,
)
from eucentric.session import StageRun
from eucentric.workflow.about import VOLUME_LABELS, about_file
from eucentric.workflow.records import ReconstructStage

_SLAB_BYTES = 1 << 28  # of a slab of one volume

VOLUMES = ("", "_even", "_odd")
"""What the names of the whole tomogram and of the halves end in."""


def reconstruct_sums(
    stacks: Sequence[Path],
    alignment: Alignment,
    ctf: SeriesCTF | None,
    settings: ReconstructStage,
    *,
    device: torch.device,
    reporter: Reporter = SILENT,
) -> Halves:
    """Reconstruct one stack, with halves of its tilts or counts, or two of even and odd frames, which are the halves.

    One stack at a time is in memory.

    Raises
    ------
    InputError
        If stacks and alignment do not belong together, or memory cannot hold the volume.
    """
    volumes: list[Halves] = []
    for stack in stacks:
        with about_file(stack):
            tilts_deg = [tilt.tilt_deg for tilt in alignment.tilts]
            images = prepare_images(open_mrc(stack).data, tilts_deg, reporter=reporter).images

            def corrected(images: Tensor) -> Halves:
                return _corrected(images, alignment, ctf, settings, device, reporter)

            if settings.halves == "counts":
                return halves_of_counts(images, corrected, reporter)
            volumes.append(corrected(images))
            del images
    return volumes[0] if len(volumes) == 1 else _each_a_half(*volumes)


def halves_of_counts(images: Tensor, work: Callable[[Tensor], Halves], reporter: Reporter = SILENT) -> Halves:
    """Reconstruct images that were split into halves of their counts, one after the other.

    Parameters
    ----------
    images
        (n, y, x) with noise as it was recorded; they are not changed.
    work
        Reconstructs images, which it may change.
    reporter
        Where progress goes.

    Raises
    ------
    InputError
        If the noise is not as that of counts, or what `work` raises.
    """
    noise = splitting_noise(images, reporter=reporter)
    even = work(images + noise)
    return _each_a_half(even, work(images - noise))


def _each_a_half(even: Halves, odd: Halves) -> Halves:
    """Return the two that are whole as halves of one."""
    return Halves(even.full(), odd.full(), even.voxel_A)


def _corrected(
    images: Tensor,
    alignment: Alignment,
    ctf: SeriesCTF | None,
    settings: ReconstructStage,
    device: torch.device,
    reporter: Reporter,
) -> Halves:
    """Reconstruct with the correction that is asked for; without a sure hand, heights cannot be corrected apart."""
    if ctf is not None and settings.ctf_correction == "slabs" and ctf.hand is not None and ctf.hand.sure:
        return reconstruct_ctf3d(images, alignment, settings.reconstruct, ctf, device=device, reporter=reporter)
    if ctf is not None and settings.ctf_correction != "none":
        _correct(images, alignment, ctf, device, reporter)
    return reconstruct(images, alignment, settings.reconstruct, device=device, reporter=reporter)


def write_volumes(run: StageRun, halves: Halves, name: str, of: HalvesOf, reporter: Reporter = SILENT) -> None:
    """Write a tomogram and its halves as MRC, and as OME-Zarr, and name them to the run."""
    with reporter.task("Writing volumes", 4) as step:
        for half, volume in (("_even", halves.even), ("_odd", halves.odd), ("", halves.full())):
            path = run.folder / f"tomogram{half}.mrc"
            full = volume.cpu().numpy()
            label = VOLUME_LABELS[half].replace("tilts", "half of counts" if of == "counts" else of)
            write_mrc(path, full, halves.voxel_A, kind="volume", label=label)
            run.output(path)
            step()
        path = run.folder / "tomogram.zarr"
        write_ome_zarr(path, full, halves.voxel_A, name=name)
        run.output(path)
        step()
    run.metric("shape_zyx", list(full.shape))


def write_halves(written: Mapping[str, Path], halves: Halves) -> None:
    """Write a volume, its halves, or both, as MRC: the file for each of `VOLUMES` that is wanted."""
    for suffix, path in written.items():
        volume = halves.even if suffix == "_even" else halves.odd if suffix == "_odd" else halves.full()
        write_mrc(path, volume.cpu().numpy(), halves.voxel_A, kind="volume", label=VOLUME_LABELS[suffix])


def write_reconstruction(
    images: Images,
    alignment: Alignment,
    settings: ReconstructSettings,
    written: Mapping[str, Path],
    *,
    device: torch.device,
    reporter: Reporter = SILENT,
) -> None:
    """Reconstruct into MRC files, slab by slab as they are made, so that memory need not hold the volume.

    Parameters are those of `reconstruct`, and in `written` the file for each of `VOLUMES` that is wanted.

    Raises
    ------
    InputError
        As `reconstruct`.
    OutputError
        If a file cannot be written; then none of them stands.
    """
    _, rows, columns = volume_shape(alignment, settings)
    planes = max(8, _SLAB_BYTES // (4 * rows * columns))
    size_A = alignment.pixel_A * settings.binning
    with ExitStack() as files:
        append = {
            suffix: files.enter_context(
                mrc_sections(path, (rows, columns), "float32", size_A, kind="volume", label=VOLUME_LABELS[suffix])
            )
            for suffix, path in written.items()
        }
        for _, slab in reconstruct_slabs(images, alignment, settings, planes=planes, device=device, reporter=reporter):
            for suffix, add in append.items():
                volume = slab.even if suffix == "_even" else slab.odd if suffix == "_odd" else slab.full()
                for plane in volume.cpu().numpy():
                    add(plane)


def voxel_A(path: Path) -> float:
    """Return the voxel size of a tomogram that we wrote.

    Raises
    ------
    FormatError
        If its header has none.
    """
    pixel_A = open_mrc(path).pixel_A
    if pixel_A is None:
        raise FormatError(f"{path}: its header has lost the voxel size.", "Remove the file and run again.")
    return pixel_A


def _correct(images: Tensor, alignment: Alignment, ctf: SeriesCTF, device: torch.device, reporter: Reporter) -> None:
    """Flip the phases of each view in use, place by place where the defocus hand is known; in place."""
    from eucentric.processing.ctf.correct import correct_tilt

    # Without a hand, one defocus for the whole view is wrong by less than the ramp of the opposite sign would be.
    hand = ctf.hand.hand if ctf.hand is not None and ctf.hand.sure else None
    for view in reporter.each(alignment.used, "Correcting the CTF"):
        corrected = correct_tilt(
            images[view.section].to(device),
            ctf.pixel_A,
            ctf.tilts[view.section],
            ctf.axis_deg,
            hand or 1,
            ctf.lens,
            mode="phase-flip",
            local=hand is not None,
        )
        images[view.section] = corrected.cpu()
