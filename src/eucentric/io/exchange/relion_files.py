"""The files that a RELION project names: looked for inside the folders given, and nowhere else."""

import re
import warnings
from collections.abc import Sequence
from pathlib import Path, PurePosixPath

from eucentric.core import EucentricError, FormatWarning, is_file
from eucentric.io.exchange.star import MISSING
from eucentric.io.mrc import open_mrc

_JOB = re.compile(r"job[0-9]{1,9}")
_PIPELINE = "default_pipeline.star"  # RELION keeps it where it is run


def jobs_of(project: Path) -> list[Path]:
    """Return the folders of a project's jobs, JobType/job001 and on, in the order in which they were made."""
    jobs = [path for path in project.glob("*/job*") if _JOB.fullmatch(path.name) and path.is_dir()]
    return sorted(jobs, key=lambda job: (int(job.name[3:]), job))


def project_of(folder: Path) -> Path | None:
    """Return the folder of the project that a job's folder is in, or None where it is of no job."""
    folder = folder.absolute()
    project = folder.parent.parent
    return project if _JOB.fullmatch(folder.name) and is_file(project / _PIPELINE) else None


def find(name: str, folders: Sequence[Path]) -> Path | None:
    """Return the file that a project calls `name`, looked for inside `folders` alone.

    Names are counted from where RELION was run, which may lie above the folders: leading parts are left off one by one.
    """
    name = name.removesuffix(":mrc").removesuffix(":mrcs").replace("\\", "/")
    parts = [part for part in PurePosixPath(name).parts if part not in ("/", ".")][-20:]
    if not parts or name == MISSING or ".." in parts:
        parts = [part for part in parts[-1:] if part not in ("..", MISSING)]
    for i in range(len(parts)):
        for folder in folders:
            path = folder.joinpath(*parts[i:])
            if is_file(path):
                return path
    return None


def mrc_size(path: Path | None) -> tuple[int, int, int] | None:
    """Return the size of an MRC file, or None where it cannot be told."""
    if path is None:
        return None
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", FormatWarning)  # only its size is wanted
            n, rows, columns = open_mrc(path).data.shape
    except EucentricError:
        return None
    return n, rows, columns
