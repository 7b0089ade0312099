"""Other programs: IMOD's commands where they are on the path, and Python packages of an interpreter that is named."""

import json
import re
import shutil
import subprocess
from collections.abc import Sequence
from functools import partial
from pathlib import Path

import mrcfile
import numpy as np

from eucentric.core import Alignment, InputError, TiltAlignment
from eucentric.io import write_mrc
from eucentric.workflow.bench import scripts
from eucentric.workflow.bench.programs import Program, ProgramError, Run, run_apart
from eucentric.workflow.bench.workloads import AXIS_DEG, TILTS_DEG, Work

_PACKAGES = ("astra", "torch_reconstruct_tomogram", "torch_tiltxcorr", "torch_refine_tilt_axis_angle")
_FIND = "import importlib.util as u, sys; print('found:', *(name for name in sys.argv[1:] if u.find_spec(name)))"


class Peers:
    """The other programs that can do a work, which is written to `folder` for them.

    Parameters
    ----------
    python
        The interpreter whose packages are asked.
    folder
        An empty folder that is theirs.
    """

    def __init__(self, python: Path, folder: Path) -> None:
        self._python, self._folder = python, folder
        self._found = _packages(python)

    def write(self, work: Work, iterations: int) -> None:
        """Write what the programs read."""
        np.save(self._folder / "images.npy", work.images)
        write_mrc(self._folder / "stack.mrc", work.images, work.truth.pixel_A, kind="stack")
        np.savetxt(self._folder / "stack.tlt", TILTS_DEG, "%.2f")
        task = {"tilts_deg": TILTS_DEG, "depth": work.depth, "axis_deg": AXIS_DEG, "iterations": iterations}
        (self._folder / "task.json").write_text(json.dumps(task))

    def filtered_back_projection(self, work: Work) -> list[Program]:
        """Return the programs that reconstruct in one go."""
        return [
            Program("IMOD tilt", partial(self._tilt, work), missing=shutil.which("tilt") is None),
            self._python_program("ASTRA FBP", ("astra",), scripts.ASTRA_FBP, work),
            self._python_program(
                "torch-reconstruct-tomogram",
                ("torch_reconstruct_tomogram",),
                scripts.TORCH_RECONSTRUCT_TOMOGRAM,
                work,
            ),
        ]

    def sirt(self, work: Work) -> list[Program]:
        """Return the programs that reconstruct by SIRT."""
        return [self._python_program("ASTRA SIRT", ("astra",), scripts.ASTRA_SIRT, work)]

    def with_axis(self, work: Work) -> list[Program]:
        """Return the programs that align with the axis given."""
        return [
            Program("IMOD tiltxcorr", partial(self._tiltxcorr, work), missing=shutil.which("tiltxcorr") is None),
            self._python_program("torch-tiltxcorr", ("torch_tiltxcorr",), scripts.TORCH_TILTXCORR, work),
        ]

    def without_axis(self, work: Work) -> list[Program]:
        """Return the programs that find the axis too."""
        packages = ("torch_tiltxcorr", "torch_refine_tilt_axis_angle")
        name = "torch-refine-tilt-axis-angle"
        return [self._python_program(name, packages, scripts.TORCH_AXIS_AND_SHIFTS, work)]

    def _python_program(self, name: str, packages: Sequence[str], script: str, work: Work) -> Program:
        missing = not set(packages) <= self._found
        return Program(name, partial(self._script, script, work), missing=missing)

    def _script(self, script: str, work: Work) -> Run:
        result = self._folder / "result.npz"
        result.unlink(missing_ok=True)
        ended = run_apart([self._python, "-c", script, self._folder], self._folder)
        told = re.search(r"^seconds: (\S+)$", ended.printed, re.MULTILINE)
        if told is None or not result.is_file():
            raise ProgramError("it left no result")
        with np.load(result) as arrays:
            if "volume" in arrays:
                return Run(float(told[1]), arrays["volume"], ended.peak_MB)
            found = _seen(work.truth, arrays["shifts_yx_px"], float(arrays["axis_deg"]))
        return Run(float(told[1]), found, ended.peak_MB)

    def _tilt(self, work: Work) -> Run:
        output = self._folder / "tilt.rec"
        output.unlink(missing_ok=True)
        rows, columns = work.truth.shape_yx
        options = {
            "-InputProjections": "stack.mrc",
            "-OutputFile": output.name,
            "-TILTFILE": "stack.tlt",
            "-THICKNESS": str(work.depth),
            "-FULLIMAGE": f"{columns},{rows}",
            "-RADIAL": "0.5,0.0",
            "-MODE": "2",
        }
        ended = run_apart(["tilt", *(word for option in options.items() for word in option)], self._folder)
        if not output.is_file():
            raise ProgramError("it left no volume")
        slices = mrcfile.read(output)  # one for each row of the images, of planes by columns
        return Run(ended.seconds, np.asarray(slices, np.float32).transpose(1, 0, 2), ended.peak_MB)

    def _tiltxcorr(self, work: Work) -> Run:
        output = self._folder / "stack.prexf"
        output.unlink(missing_ok=True)
        options = {
            "-InputFile": "stack.mrc",
            "-OutputFile": output.name,
            "-TiltFile": "stack.tlt",
            "-RotationAngle": f"{AXIS_DEG:g}",
            "-FilterSigma1": "0.03",  # these three are what IMOD's own interface sets
            "-FilterRadius2": "0.25",
            "-FilterSigma2": "0.05",
        }
        ended = run_apart(["tiltxcorr", *(word for option in options.items() for word in option)], self._folder)
        if not output.is_file():
            raise ProgramError("it left no transforms")
        # Each moves a view onto the one before it: their sum moves it onto the first, its content having gone opposite.
        moves_xy_px = np.cumsum(np.loadtxt(output, ndmin=2)[:, 4:6], axis=0)
        moves_xy_px -= moves_xy_px[int(np.argmin(np.abs(TILTS_DEG)))]
        return Run(ended.seconds, _seen(work.truth, -moves_xy_px[:, ::-1], AXIS_DEG), ended.peak_MB)


def _packages(python: Path) -> set[str]:
    """Return which of the packages an interpreter has.

    Raises
    ------
    InputError
        If it is no interpreter.
    """
    fix = "Give the path of a Python in --peers-python, such as that of a virtual environment: venv/bin/python."
    try:
        asked = subprocess.run(
            [str(python), "-c", _FIND, *_PACKAGES], capture_output=True, text=True, check=False, timeout=60
        )
    except (OSError, subprocess.TimeoutExpired) as error:
        raise InputError(f"{python}: it does not run as a Python interpreter; nothing was timed.", fix) from error
    told = [line for line in asked.stdout.splitlines() if line.startswith("found:")]
    if asked.returncode or not told:
        raise InputError(f"{python}: it does not run as a Python interpreter; nothing was timed.", fix)
    return set(told[-1].split()[1:])


def _seen(
    truth: Alignment, shifts_yx_px: "np.ndarray[tuple[int, ...], np.dtype[np.float64]]", axis_deg: float
) -> Alignment:
    """Make an alignment of the shifts of each view's content."""
    if np.shape(shifts_yx_px) != (len(truth.tilts), 2) or not np.isfinite(shifts_yx_px).all():
        raise ProgramError("its shifts are not one for each view")
    tilts = tuple(
        TiltAlignment(
            section=tilt.section,
            tilt_deg=tilt.tilt_deg,
            axis_deg=axis_deg,
            shift_yx_A=(float(y) * truth.pixel_A, float(x) * truth.pixel_A),
        )
        for tilt, (y, x) in zip(truth.tilts, shifts_yx_px, strict=True)
    )
    return truth.replace(tilts=tilts)
