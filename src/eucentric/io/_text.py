"""What every reader here shares: opening a file with clear errors, and naming what was read around."""

import warnings
from pathlib import Path

from eucentric.core import DataWarning, FormatError, FormatWarning, InputError

_MAX_TEXT_BYTES = 64 << 20  # an .mdoc of a thousand tilts has 1 MB; anything larger is some other file


def warn_format(path: Path, name: str, what: str) -> None:
    """Warn that `path` departs from its format: `name` is a fixed word to search for, `what` the sentence."""
    warnings.warn(f"{path}: {what} [{name}]", FormatWarning, stacklevel=4)


def warn_data(path: Path, name: str, what: str) -> None:
    """Warn that the data of `path` may not be what they seem, in the same form."""
    warnings.warn(f"{path}: {what} [{name}]", DataWarning, stacklevel=4)


def size_of(path: Path, kind: str) -> int:
    """Return the size in bytes of the file `path`, which should be of this `kind`.

    Raises
    ------
    InputError
        If there is no such file, or it is a folder.
    FormatError
        If it is empty.
    """
    if path.is_dir():
        raise InputError(f"{path}: this is a folder, not {kind}.", "Name the file inside it.")
    try:
        size = path.stat().st_size
    except OSError as error:
        raise InputError(f"{path}: no such file ({error.strerror}).", "Check the path.") from error
    if size == 0:
        raise FormatError(f"{path}: the file is empty; {kind} was expected.", "Copy it again from its source.")
    return size


def read_text(path: Path, kind: str) -> str:
    """Return the text of a small file; bytes that are not UTF-8 are read as Windows-1252, with a warning.

    Raises
    ------
    InputError
        If the file cannot be opened.
    FormatError
        If it is empty, binary, or too large to be text of this `kind`.
    """
    text, foreign = decode_text(path, kind)
    if foreign:
        warn_format(path, "not-utf8", foreign)
    return text


def decode_text(path: Path, kind: str) -> tuple[str, str]:
    """Return the text of a small file as `read_text` does, and in place of a warning its sentence, or ""."""
    if size_of(path, kind) > _MAX_TEXT_BYTES:
        raise FormatError(f"{path}: too large to be {kind}.", "Name the right file.")
    try:
        raw = path.read_bytes()
    except OSError as error:
        raise InputError(f"{path}: cannot be read ({error.strerror}).", "Check its permissions.") from error
    if b"\0" in raw:
        raise FormatError(f"{path}: holds binary data; {kind} was expected.", "Name the right file.")
    foreign = ""
    try:
        text = raw.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        # Microscope computers run Windows: µ and ° arrive in its code page.
        text = raw.decode("cp1252", errors="replace")
        foreign = f"byte {error.start} is not UTF-8; the file was read as Windows-1252."
    return text.replace("\r\n", "\n").replace("\r", "\n"), foreign
