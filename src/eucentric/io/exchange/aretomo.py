"""AreTomo's files, both ways: .aln, _CTF.txt and _TLT.txt, and the stack that they are of.

AreTomo (`GCorrPatchShift`) finds a place p of the aligned image, from its middle, at R p + T in the recorded one, from
its middle too, with R the turn by ROT from x towards y: ROT is our `axis_deg`, and T our shift, in pixels, from the
middle (n - 1) / 2 of the array indices, as in the .xf that it writes from the same numbers (`CSaveXF`; IMOD's middle).
We place the origin from the sample n // 2. It sees x cos(TILT) + z sin(TILT) (`GBackProj`), which is our tilt; TILT has
AlphaOffset in it. There is no tilt about x, no magnification, and no pixel size but that of the stack.

AreTomo3 takes the views of a stack for sorted by tilt (`CDarkFrames::Setup`), so we write one that is. It goes on from
here with ``AreTomo3 -Cmd 2 -InPrefix NAME -InSuffix .mrc``.
"""

from collections.abc import Sequence
from pathlib import Path

import numpy as np

from eucentric.core import Alignment, InputError, write_text
from eucentric.io.exchange.aretomo_aln import AlnFile, AlnView, format_aln
from eucentric.io.exchange.aretomo_ctf import format_ctf
from eucentric.io.exchange.aretomo_read import SeriesReader, middle_xy_px
from eucentric.io.exchange.collecting import Collecting
from eucentric.io.exchange.placing import place
from eucentric.io.exchange.records import Exported, Imported, ProcessedSeries
from eucentric.io.exchange.requirements import need_alignment, need_series
from eucentric.io.mrc import open_mrc
from eucentric.io.mrc_writer import mrc_sections

_MODES = (1, 2, 6)  # what AreTomo3's `CTsPackage::mLoadMrc` reads


def write_aretomo(folder: Path, series: Sequence[ProcessedSeries], *, copy: bool = False) -> Exported:
    """Write series into one folder, as AreTomo3's output folder has them.

    Raises
    ------
    InputError
        If there is no series, a series has no alignment, all its views are left out, or its stack is of other images.
    OutputError
        If a file cannot be written.
    """
    need_series(series)
    files, dropped = list[Path](), list[str]()
    for one in series:
        alignment, name = need_alignment(one, "AreTomo"), one.series.name
        # The order of the stack: by the stage's tilt, as AreTomo3 writes and expects it.
        order = sorted(range(len(one.series.tilts)), key=lambda section: one.series.tilts[section].tilt_deg)
        write_text(folder / f"{name}.aln", format_aln(_aln(one, alignment, order)))
        write_text(folder / f"{name}_TLT.txt", _tilts(one, order))
        files += [folder / f"{name}.aln", folder / f"{name}_TLT.txt"]
        if one.ctf is not None:
            write_text(folder / f"{name}_CTF.txt", format_ctf(one.ctf, order))
            files.append(folder / f"{name}_CTF.txt")
        for stack, ending in ((one.files.stack, ""), (one.files.even, "_EVN"), (one.files.odd, "_ODD")):
            if stack is not None:
                files.append(_write_stack(folder / f"{name}{ending}.mrc", stack, one, order, copy=copy))
        dropped += _cannot_hold(one, alignment)
    return Exported(files=tuple(files), dropped=tuple(dropped))


def read_aretomo(path: Path, *, pixel_A: float | None = None) -> Imported:
    """Read the series of a folder, or of one .aln file.

    `pixel_A` is that of the stack; where it is not given, the header of the stack beside the .aln is asked.

    Raises
    ------
    InputError
        If there is no such file or folder, or no .aln in it.
    """
    path = Path(path)
    if pixel_A is not None and not 0.01 <= pixel_A <= 1e3:
        raise InputError(f"A pixel of {pixel_A:g} Å cannot be.", "Give the pixel of the stack in Å.")
    alns = (sorted(path.glob("*.aln")) or sorted(path.glob("*/*.aln"))) if path.is_dir() else [path]
    if not alns or not path.exists():
        raise InputError(f"{path}: there is no AreTomo alignment here.", "Name a .aln file, or the folder of some.")
    found = Collecting()
    for aln in found.at_most(alns, path, ".aln files"):
        reader = SeriesReader(aln, pixel_A)
        with found.reading(reader, "Align the series again."):
            found.series.append(reader.read())
    return found.imported()


def _aln(one: ProcessedSeries, alignment: Alignment, order: Sequence[int]) -> AlnFile:
    middle = middle_xy_px(alignment.shape_yx)
    views, dark = [], {}
    for place_in_stack, section in enumerate(order):
        view = alignment.tilts[section]
        if not view.used:
            dark[place_in_stack] = view.tilt_deg
            continue
        x, y = np.array(view.shift_yx_A[::-1]) / alignment.pixel_A + middle
        views.append(AlnView(place_in_stack, view.axis_deg, (float(x), float(y)), view.tilt_deg))
    offsets = [view.tilt_deg - one.series.tilts[view.section].tilt_deg for view in alignment.used]
    thickness_A = one.ctf.thickness_A if one.ctf else None
    rows, columns = alignment.shape_yx
    return AlnFile(
        size_xyn=(columns, rows, len(order)),
        views=tuple(views),
        dark=dark,
        alpha_offset_deg=float(np.mean(offsets)),
        thickness_px=round(thickness_A / alignment.pixel_A) if thickness_A else 0,
    )


def _tilts(one: ProcessedSeries, order: Sequence[int]) -> str:
    """Return _TLT.txt: the stage's tilt, the place in the acquisition from 1, and the exposure of each image."""
    lines = []
    for section in order:
        tilt = one.series.tilts[section]
        line = f"{tilt.tilt_deg:8.2f}"
        if one.series.order_known:
            line += f"  {tilt.order + 1:4d}"
            if tilt.exposure_e_A2 is not None:
                line += f"  {tilt.exposure_e_A2:8.2f}"
        lines.append(line)
    return "\n".join(lines) + "\n"


def _write_stack(path: Path, stack: Path, one: ProcessedSeries, order: Sequence[int], *, copy: bool) -> Path:
    image = open_mrc(stack)
    shape = (len(order), *one.series.shape_yx)
    if image.data.shape != shape:
        raise InputError(
            f"{stack}: {image.data.shape} pixels, but {one.series.name} has {shape}.", "Process the series again."
        )
    if image.mode in _MODES and list(order) == sorted(order):
        return place(stack, path, copy=copy)
    if path.exists() and path.resolve() == stack.resolve():
        raise InputError(f"{stack}: its copy, sorted by tilt, has to go here.", "Export to another folder.")
    dtype = image.data.dtype if image.mode in _MODES else np.dtype("f4" if image.mode == 12 else "i2")
    with mrc_sections(path, one.series.shape_yx, dtype, one.series.pixel_A, kind="stack") as append:
        for section in order:
            append(image.data[section])
    return path


def _cannot_hold(one: ProcessedSeries, alignment: Alignment) -> list[str]:
    name, views, ctf = one.series.name, alignment.used, one.ctf
    dropped = []
    if one.files.stack is None:
        dropped.append(f"{name}: there is no stack; AreTomo3 needs {name}.mrc beside {name}.aln, sorted by tilt.")
    if (most := max(abs(view.x_tilt_deg) for view in views)) > 1e-4:
        dropped.append(f"{name}: tilts about x of up to {most:.2f}° were left out; AreTomo has none.")
    if (most := max(abs(view.magnification - 1) for view in views)) > 1e-6:
        dropped.append(f"{name}: magnifications up to {most:.2%} from 1 were left out; AreTomo takes all for 1.")
    if alignment.local is not None:
        dropped.append(f"{name}: local motion was left out; AreTomo finds its own (-AtPatch) from the images.")
    if dark := [view.section for view in alignment.tilts if not view.used]:
        dropped.append(f"{name}: of sections {dark}, left out as dark frames, only the tilt is in the .aln.")
    if one.particles:
        dropped.append(f"{name}: {len(one.particles)} particles were left out; AreTomo has no place for them.")
    if one.files.tomogram is not None or one.volume is not None:
        dropped.append(f"{name}: the tomogram was left out; AreTomo3 makes its own with -Cmd 2 (-VolZ, -AtBin).")
    if any(value is not None for value in one.target_defocus_A):
        dropped.append(f"{name}: target defoci were left out.")
    if any(one.files.movies) or any(tilt.movie for tilt in one.series.tilts):
        dropped.append(f"{name}: which movie each image is from was left out, and the number of frames.")
    if not one.series.order_known:
        dropped.append(f"{name}: the order of acquisition is not known, so {name}_TLT.txt has tilts alone.")
    elif any(tilt.exposure_e_A2 is None for tilt in one.series.tilts):
        dropped.append(f"{name}: the exposure is not known of every image; {name}_TLT.txt has only what is known.")
    elif not _summed(one):
        dropped.append(f"{name}: what the specimen received before each image is more than the images' own exposure.")
    if ctf is not None:
        lens = ctf.lens
        dropped.append(
            f"{name}: give AreTomo3 -Kv {lens.voltage_kV:g} -Cs {lens.cs_mm:g} -AmpContrast"
            f" {lens.amplitude_contrast:g}; its files do not hold these."
        )
        if any(tilt.sigma_A is not None or tilt.evidence is not None for tilt in ctf.tilts):
            dropped.append(f"{name}: the CTF's uncertainty and evidence were left out.")
        if ctf.hand is None:
            dropped.append(f"{name}: the defocus hand is not known; AreTomo3 takes it for +1.")
        elif ctf.hand.hand < 0:
            dropped.append(
                f"{name}: the defocus hand is -1, but AreTomo3 corrects a tomogram for +1 whatever {name}_CTF.txt says;"
                " -Cmd 4 turns the axis by 180°, which mirrors the tomogram and makes it +1."
            )
    return dropped


def _summed(one: ProcessedSeries) -> bool:
    """Whether each pre-exposure is the sum of the exposures before, which is all that _TLT.txt can say."""
    before = 0.0
    for tilt in one.series.by_order():
        if tilt.pre_exposure_e_A2 is not None and abs(tilt.pre_exposure_e_A2 - before) > 0.01:
            return False
        before += tilt.exposure_e_A2 or 0.0
    return True
