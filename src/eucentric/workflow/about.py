"""What the workflow adds to functions that know no files: which file an error is about, and what a volume is."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import torch

from eucentric.core import InputError

# Not the name of the series: the header takes 80 letters of ASCII, and a name may be longer or hold others.
VOLUME_LABELS = {
    "": "Tomogram by Eucentric",
    "_even": "Tomogram by Eucentric, even tilts",
    "_odd": "Tomogram by Eucentric, odd tilts",
}
"""The MRC label of a volume by what its file's name ends in."""


@contextmanager
def about_file(path: Path) -> Iterator[None]:
    """Say in an `InputError` of the body which file it is about, and where memory runs out, what would help."""
    try:
        yield
    except InputError as error:
        raise InputError(f"{path}: {error.what}", error.fix) from error
    except (MemoryError, RuntimeError) as error:
        # On the CPU torch has no class of its own for this.
        if isinstance(error, MemoryError | torch.OutOfMemoryError) or "allocate memory" in str(error):
            raise InputError(
                f"{path}: there is not enough memory for a volume as large as this.",
                "Choose a larger --bin, or a smaller --thickness or --depth.",
            ) from error
        raise
