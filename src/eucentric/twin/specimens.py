"""A specimen by its name, or from a file that describes it."""

from pathlib import Path

from eucentric.core import InputError, did_you_mean
from eucentric.specimen.sample import Sample
from eucentric.specimen.samples import SPECIMENS, build

SPECIMEN_SUFFIXES = (".yaml", ".yml")


def find_sample(
    name: str, *, seed: int, field_A: float, thickness_A: float, max_tilt_deg: float, pre_tilt_deg: float
) -> Sample:
    """Return the specimen of a name, or of a .yaml file, which says its own thickness and pre-tilt.

    Raises
    ------
    InputError
        If there is neither; or as the file's reader does.
    FormatError
        If the file does not describe a specimen.
    """
    if name in SPECIMENS:
        return build(
            name,
            seed=seed,
            field_A=field_A,
            thickness_A=thickness_A,
            max_tilt_deg=max_tilt_deg,
            pre_tilt_deg=pre_tilt_deg,
        )
    if Path(name).suffix.lower() in SPECIMEN_SUFFIXES:
        from eucentric.twin.specimen_file import read_specimen  # readers of models load only for those who need them

        return read_specimen(Path(name), seed=seed, field_A=field_A, max_tilt_deg=max_tilt_deg)
    raise InputError(
        f"--specimen {name}: there is no such specimen, and it is no .yaml file.{did_you_mean(name, SPECIMENS)}",
        f"Use one of {', '.join(SPECIMENS)}, or a specimen file.",
    )
