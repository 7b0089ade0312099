"""`eucentric ctf`."""

from pathlib import Path
from typing import Annotated, Any

from cyclopts import Parameter

from eucentric.cli.app import (
    DONE,
    Json,
    Pixel,
    UsageError,
    app,
    print_json,
    settings_from,
    tell,
    told_warnings,
)
from eucentric.core import InputError, OutputError, make_folder

_LENS_OPTIONS = {"voltage_kV": "voltage", "cs_mm": "cs", "amplitude_contrast": "amplitude-contrast"}
_OPTIONS = {
    "low_resolution_A": "low",
    "high_resolution_A": "high",
    "min_defocus_A": "min-defocus",
    "max_defocus_A": "max-defocus",
    "max_astigmatism_A": "max-astigmatism",
}


@app.command
def ctf(
    image: Path,
    /,
    *,
    pixel: Pixel = None,
    voltage: float = 300.0,
    cs: float = 2.7,
    amplitude_contrast: float = 0.07,
    low: float = 30.0,
    high: float = 4.0,
    min_defocus: float = 3000.0,
    max_defocus: float = 90_000.0,
    max_astigmatism: float = 3000.0,
    phase_plate: bool = False,
    section: int | None = None,
    output: Annotated[Path | None, Parameter(name=["--output", "-o"])] = None,
    json: Json = False,
) -> int:
    """Find the defocus and astigmatism of one image from its Thon rings.

    Example: `eucentric ctf micrograph.mrc --pixel 0.6666 --voltage 300 --output ctf.png`

    Parameters
    ----------
    image
        MRC file of one image, the sum of a movie; it is only read.
    pixel
        Pixel size in Å, in place of the file's.
    voltage
        High tension in kV.
    cs
        Spherical aberration in mm.
    amplitude_contrast
        Share of amplitude contrast.
    low
        Coarsest detail that is used, in Å.
    high
        Finest detail that is used, in Å.
    min_defocus
        Least defocus that is looked for, in Å, underfocus positive.
    max_defocus
        Largest defocus that is looked for, in Å.
    max_astigmatism
        Largest difference of the two principal values, in Å.
    phase_plate
        Find the phase shift too.
    section
        Which image of a stack, from 0.
    output
        Picture of the fit, a PNG file.
    """
    if high >= low:
        raise UsageError(f"--high {high:g} is not finer than --low {low:g}: both are in Å.")
    if min_defocus >= max_defocus:
        raise UsageError(f"--min-defocus {min_defocus:g} is not less than --max-defocus {max_defocus:g}.")
    from eucentric.optics import Lens
    from eucentric.processing.ctf.records import CTFSettings

    lens = settings_from(
        {"voltage_kV": voltage, "cs_mm": cs, "amplitude_contrast": amplitude_contrast}, Lens, _LENS_OPTIONS
    )
    settings = settings_from(
        {
            "low_resolution_A": low,
            "high_resolution_A": high,
            "min_defocus_A": min_defocus,
            "max_defocus_A": max_defocus,
            "max_astigmatism_A": max_astigmatism,
            "phase_plate": phase_plate,
        },
        CTFSettings,
        _OPTIONS,
    )
    if output is not None:
        _check_output(output, image)
    with told_warnings():
        import torch  # heavy imports wait until the options are known to be right

        from eucentric.io import open_mrc
        from eucentric.processing.ctf.fit import explain_image
        from eucentric.report.ctf_picture import describe_fit, write_ctf_picture
        from eucentric.workflow.about import about_file

        opened = open_mrc(image)
        chosen = _section(image, len(opened.data), section)
        pixel_A = pixel or opened.pixel_A
        if pixel_A is None:
            raise InputError(f"{image}: its header gives no pixel size.", "Give it in Å with --pixel.")
        with about_file(image):
            result = explain_image(torch.tensor(opened.data[chosen].astype("float32")), pixel_A, lens, settings)
        fit = result.fit
        tell(f"{describe_fit(fit)[:1].upper()}{describe_fit(fit)[1:]}.")
        if fit.fit_resolution_A is None:
            tell(
                "No rings were found that the model meets: do not rely on these values. Look at the picture (--output)."
            )
        if output is not None:
            write_ctf_picture(output, result, image.name)
            tell(f"Wrote {output}.")
    if json:
        found: dict[str, Any] = {
            "defocus_u_A": round(fit.defocus_u_A, 1),
            "defocus_v_A": round(fit.defocus_v_A, 1),
            "azimuth_deg": round(fit.azimuth_deg, 2),
            "phase_shift_deg": round(fit.phase_shift_deg, 2),
            "fit_resolution_A": None if fit.fit_resolution_A is None else round(fit.fit_resolution_A, 3),
            "score": round(fit.score, 4),
            "sigma_A": None if fit.sigma_A is None else round(fit.sigma_A, 1),
            "evidence": None if fit.evidence is None else round(fit.evidence, 1),
            "pixel_A": pixel_A,
            "section": chosen,
            "ice_ring_A": None if result.ice_k is None else [round(1 / k, 3) for k in result.ice_k],
            "written": [str(output)] if output is not None else [],
        }
        print_json(found)
    return DONE


def _section(image: Path, sections: int, wanted: int | None) -> int:
    if wanted is None:
        if sections > 1:
            raise InputError(
                f"{image}: it has {sections} sections, and the CTF is that of one image.",
                "Choose one of a stack with --section N, from 0; of a movie, give the sum of its frames.",
            )
        return 0
    if not 0 <= wanted < sections:
        raise InputError(
            f"{image}: it has no section {wanted}.", f"Its sections are 0 to {sections - 1}: choose one with --section."
        )
    return wanted


def _check_output(output: Path, image: Path) -> None:
    """Refuse, before any work, a picture that cannot be or that would replace the image."""
    if output.suffix.lower() != ".png":
        raise UsageError(f"--output {output}: the picture is a PNG file: give it a name that ends in .png.")
    if output.resolve() == image.resolve():
        raise OutputError(f"{output}: this is the image, and would be replaced; nothing was done.", "Choose another.")
    if output.is_dir():
        raise OutputError(f"{output}: this is a folder; nothing was done.", "Name a file in --output.")
    make_folder(output.parent)
