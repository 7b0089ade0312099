"""SerialEM's .mdoc of a tilt series, written so that every consumer finds what it needs.

Keys, their order and their units are those of SerialEM (its help, "File Formats"): lengths in µm, underfocus negative,
RotationAngle from the image's x axis. `read_mdoc` reads such a file back without a finding, apart from the notes that
a series did cross a midnight or a month.
"""

from collections.abc import Iterator, Sequence
from datetime import datetime
from itertools import pairwise
from pathlib import Path, PureWindowsPath
from typing import Annotated, Literal, Self

from pydantic import Field, NaiveDatetime, model_validator

from eucentric.core import Angstrom, Degrees, ElectronsPerA2, InputError, Record, write_text

_A_PER_UM = 1e4
_MONTHS = ("Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec")
_STAMPS_START = datetime(2020, 1, 1)  # SerialEM counts its time stamps from here
_TITLE = 44  # characters, so that with its date the line fits an MRC label of 80, from which it comes

# Text that readers give back as it was written: one line, no space at its ends; a name holds nothing of their syntax.
_Text = Annotated[str, Field(pattern=r"^[^\s\x00-\x1f\x7f]([^\x00-\x1f\x7f]*[^\s\x00-\x1f\x7f])?$")]
_TextOrEmpty = Annotated[str, Field(pattern=r"^([^\s\x00-\x1f\x7f]([^\x00-\x1f\x7f]*[^\s\x00-\x1f\x7f])?)?$")]
_Name = Annotated[
    str, Field(pattern=r"^[^\s=/\\\[\]\x00-\x1f\x7f]([^=/\\\[\]\x00-\x1f\x7f]*[^\s=/\\\[\]\x00-\x1f\x7f])?$")
]
_Title = Annotated[str, Field(pattern=r"^[!-Z^-~]([ -Z^-~]*[!-Z^-~])?$", max_length=_TITLE)]
_Finite = Annotated[float, Field(allow_inf_nan=False)]
_Positive = Annotated[float, Field(ge=1e-6, allow_inf_nan=False)]  # six decimals are written; 0 would mean unknown
_Pixel = Annotated[float, Field(ge=0.01, le=1e6, allow_inf_nan=False)]  # what `read_mdoc` believes
_NotNegative = Annotated[float, Field(ge=0, allow_inf_nan=False)]
_Count = Annotated[int, Field(ge=1, lt=1 << 31)]


class MdocHeader(Record):
    """What is said once of a series.

    `image_file` is the name of its stack, `tilt_axis_deg` IMOD's angle (from the image's y axis, counter-clockwise;
    one decimal is written). `data_mode` is the MRC mode of the stack: 1 int16, 2 float32, 6 uint16. `scheme`, with
    its start angle, tells IMOD of a dose-symmetric or bidirectional order. `title` names the microscope.
    """

    pixel_A: _Pixel
    voltage_kV: Annotated[float, Field(ge=1, le=1e4)]
    image_file: _Name
    shape_yx: tuple[_Count, _Count]
    tilt_axis_deg: Annotated[Degrees, Field(ge=-360, le=360)]
    data_mode: Literal[1, 2, 6] = 1
    scheme: Literal["dosym", "bidir"] | None = None
    scheme_start_deg: Degrees = 0.0
    title: _Title = "Digitized on the twin of Eucentric"


class MdocImage(Record):
    """One image, in our units; what is None is left out.

    Attributes
    ----------
    tilt_deg, stage_xy_A, stage_z_A, image_shift_xy_A
        What the stage and the deflectors read. The stage is written as StagePosition and as NominalStageXY.
    exposure_e_A2, pre_exposure_e_A2, dose_rate_e_px_s
        Of this image, of all before it, and the rate on the camera. What was before is None where a script did not
        count it (`write_mdoc` refuses that).
    frame_exposures
        Pairs of the exposure of a frame (e/Å²) and the number of frames that had it.
    defocus_A, target_defocus_A
        The microscope's readout and what was asked for, underfocus positive.
    exposure_s, recorded
        Its length, and the camera computer's local time at its end, written in whole seconds.
    frame_path, n_frames
        The movie, as the camera computer names it (Windows or POSIX), and its frames; "" and 0 for an image without
        one, as a script may save it (`write_mdoc` refuses it: a tilt series has movies).
    rotation_deg
        From the image's x axis to the tilt axis; by default the header's axis, 90° on (readers warn where it is not).
    slit
        Width and energy loss of the filter (eV).
    """

    tilt_deg: Annotated[Degrees, Field(ge=-180, le=180)]
    exposure_e_A2: _Positive
    pre_exposure_e_A2: ElectronsPerA2 | None
    defocus_A: Angstrom
    target_defocus_A: Annotated[Angstrom, Field(ge=-1e7, le=1e7)]
    exposure_s: _Positive
    recorded: NaiveDatetime
    frame_path: _TextOrEmpty
    n_frames: Annotated[int, Field(ge=0, lt=1 << 31)]
    pixel_A: _Pixel
    spot_size: Annotated[int, Field(ge=1)]
    stage_xy_A: tuple[Angstrom, Angstrom] | None = None
    stage_z_A: Angstrom | None = None
    image_shift_xy_A: tuple[Angstrom, Angstrom] | None = None
    dose_rate_e_px_s: _NotNegative | None = None
    frame_exposures: tuple[tuple[ElectronsPerA2, _Count], ...] | None = None
    rotation_deg: Annotated[Degrees, Field(ge=-360, le=360)] | None = None
    magnification: Annotated[int, Field(ge=1)] | None = None
    intensity: _NotNegative | None = None
    binning: _Positive = 1.0
    camera_index: Annotated[int, Field(ge=0)] = 0
    min_max_mean: tuple[_Finite, _Finite, _Finite] | None = None
    slit: tuple[_NotNegative, _Finite] | None = None
    counts_per_electron: _Positive | None = None
    navigator_label: _Text | None = None

    @model_validator(mode="after")
    def _movie_can_be_found(self) -> Self:
        if not self.frame_path:
            if self.n_frames or self.frame_exposures is not None:
                raise ValueError("frames are told of an image without a movie (frame_path is empty)")
            return self
        if not self.n_frames:
            raise ValueError(f"frame_path {self.frame_path!r} is a movie of no frames")
        parts = PureWindowsPath(self.frame_path)
        if not parts.name or ".." in parts.parts:
            raise ValueError(f"frame_path {self.frame_path!r} names no movie, or climbs folders (..)")
        if self.frame_path.endswith("]"):
            raise ValueError("frame_path ends with a bracket, which readers take off")
        if self.frame_exposures is not None and sum(n for _, n in self.frame_exposures) != self.n_frames:
            raise ValueError(f"frame_exposures are not of {self.n_frames} frames")
        return self


def write_mdoc(path: Path, header: MdocHeader, images: Sequence[MdocImage]) -> None:
    """Write the .mdoc of a tilt series, whole or not at all.

    Parameters
    ----------
    path
        The file; one already there is replaced.
    header
        What is said once.
    images
        In the order in which they were acquired, which becomes their ZValue. The first gives the binning, spot size
        and camera of the title.

    Raises
    ------
    InputError
        If there is no image, or one without a movie, or if readers would find another order than that of `images`, a
        movie twice, or the last image half written (as where it lacks what the others have); nothing is written.
    OutputError
        If the place cannot be written to, or the disk is full.
    """
    path = Path(path)
    _check_series(path, images)
    lines = [*head_lines(header, images[0])]
    for z, image in enumerate(images):
        lines += ["", *section_lines(z, image, header.tilt_axis_deg)]
    write_text(path, "\n".join(lines) + "\n")


def _check_series(path: Path, images: Sequence[MdocImage]) -> None:
    if not images:
        raise InputError(f"{path}: there are no images to write.")
    if without := [z for z, image in enumerate(images) if not image.frame_path]:
        raise InputError(f"{path}: image {without[0]} has no movie, which readers of a tilt series look for.")
    if uncounted := [z for z, image in enumerate(images) if image.pre_exposure_e_A2 is None]:
        raise InputError(f"{path}: image {uncounted[0]} does not say what the specimen had received before it.")
    for z, (first, then) in enumerate(pairwise(images), start=1):
        if then.recorded.replace(microsecond=0) <= first.recorded.replace(microsecond=0):
            raise InputError(
                f"{path}: image {z} was recorded at {then.recorded}, the one before at {first.recorded}; readers tell "
                "the order by whole seconds.",
                "Give the images in the order of acquisition, at least a second apart.",
            )
        if (then.pre_exposure_e_A2 or 0.0) < (first.pre_exposure_e_A2 or 0.0):
            raise InputError(f"{path}: before image {z} the specimen had received less than before the one before it.")
        if _given(then) != _given(first):
            what = ", ".join(sorted(_given(then) ^ _given(first)))
            raise InputError(f"{path}: {what}: given for one of images {z - 1} and {z}.", "Give it for all or none.")
    movies = [PureWindowsPath(image.frame_path).name for image in images]
    twice = [movie for movie in movies if movies.count(movie) > 1]
    if twice:
        raise InputError(f"{path}: two images have a movie named {twice[0]}.", "Give each movie a name of its own.")


def _given(image: MdocImage) -> set[str]:
    optional = set(MdocImage.model_fields) - {"rotation_deg"}  # written whether or not it is given
    return {name for name in optional if getattr(image, name) is not None}


def section_lines(z_value: int, image: MdocImage, tilt_axis_deg: float) -> Iterator[str]:
    """Give the lines of one image, its heading first; nothing is held against other images.

    Parameters
    ----------
    z_value
        Its section in the stack, from 0.
    image
        What is said of it.
    tilt_axis_deg
        The header's, for an image that has no rotation of its own.
    """
    yield f"[ZValue = {z_value}]"
    yield from (f"{key} = {value}" for key, value in _entries(tilt_axis_deg, image))


def head_lines(header: MdocHeader, first: MdocImage) -> Iterator[str]:
    """Give the lines before the first section, which tell of the series and of its first image's settings and date."""
    yield f"PixelSpacing = {_number(header.pixel_A)}"
    yield f"Voltage = {_number(header.voltage_kV)}"
    yield f"ImageFile = {header.image_file}"
    yield f"ImageSize = {header.shape_yx[1]} {header.shape_yx[0]}"
    yield f"DataMode = {header.data_mode}"
    yield ""
    yield f"[T = SerialEM: {header.title:<{_TITLE}}{_date(first.recorded)}    ]"
    yield ""
    # IMOD and Warp take the tilt axis from this line, by its words and its comma.
    axis_deg = round(header.tilt_axis_deg, 1) + 0.0  # no -0.0
    setting = f"binning = {_number(first.binning)}  spot = {first.spot_size}  camera = {first.camera_index}"
    order = f" {header.scheme} = {round(header.scheme_start_deg, 1) + 0.0:.1f}" if header.scheme else ""
    yield f"[T =     Tilt axis angle = {axis_deg:.1f}, {setting}{order}]"


def _entries(tilt_axis_deg: float, image: MdocImage) -> Iterator[tuple[str, str]]:
    """Give the keys of a section in SerialEM's order."""
    rotation_deg = tilt_axis_deg + 90 if image.rotation_deg is None else image.rotation_deg
    if image.min_max_mean is not None:
        yield "MinMaxMean", _numbers(image.min_max_mean)
    yield "TiltAngle", _number(image.tilt_deg)
    if image.stage_xy_A is not None:
        yield "StagePosition", _micrometres(*image.stage_xy_A)
    if image.stage_z_A is not None:
        yield "StageZ", _micrometres(image.stage_z_A)
    if image.magnification is not None:
        yield "Magnification", str(image.magnification)
    if image.intensity is not None:
        yield "Intensity", _number(image.intensity)
    yield "ExposureDose", _number(image.exposure_e_A2)
    if image.dose_rate_e_px_s is not None:
        yield "DoseRate", _number(image.dose_rate_e_px_s)
    yield "PixelSpacing", _number(image.pixel_A)
    yield "SpotSize", str(image.spot_size)
    yield "Defocus", _micrometres(-image.defocus_A)
    if image.image_shift_xy_A is not None:
        yield "ImageShift", _micrometres(*image.image_shift_xy_A)
    if image.stage_xy_A is not None:
        yield "NominalStageXY", _micrometres(*image.stage_xy_A)
    yield "RotationAngle", _number((rotation_deg + 180) % 360 - 180)
    yield "ExposureTime", _number(image.exposure_s)
    yield "Binning", _number(image.binning)
    yield "CameraIndex", str(image.camera_index)
    yield "DividedBy2", "0"
    if image.counts_per_electron is not None:
        yield "CountsPerElectron", _number(image.counts_per_electron)
    yield "TargetDefocus", _micrometres(-image.target_defocus_A)
    if image.pre_exposure_e_A2 is not None:
        yield "PriorRecordDose", _number(image.pre_exposure_e_A2)
    if image.frame_path:
        yield "SubFramePath", image.frame_path
        yield "NumSubFrames", str(image.n_frames)
    if image.frame_exposures is not None:
        yield "FrameDosesAndNumber", "  ".join(f"{_number(dose)} {n}" for dose, n in image.frame_exposures)
    yield "DateTime", _date(image.recorded)
    if image.navigator_label is not None:
        yield "NavigatorLabel", image.navigator_label
    if image.slit is not None:
        yield "FilterSlitAndLoss", _numbers(image.slit)
    yield "TimeStamp", str(int((image.recorded.replace(microsecond=0) - _STAMPS_START).total_seconds()))


def _number(value: float) -> str:
    """Write a number to six decimals, without an exponent, which not every reader takes."""
    text = f"{value:.6f}".rstrip("0").rstrip(".")
    return "0" if text == "-0" else text


def _numbers(values: Sequence[float]) -> str:
    return " ".join(_number(value) for value in values)


def _micrometres(*lengths_A: float) -> str:
    return _numbers([length / _A_PER_UM for length in lengths_A])


def _date(time: datetime) -> str:
    # English months whatever the locale; years of four digits, as AreTomo3 and newer SerialEM have them.
    return f"{time.day:02d}-{_MONTHS[time.month - 1]}-{time.year:04d}  {time:%H:%M:%S}"
