"""Commands of folders and text files: what is there, and reading and writing line by line."""

import os
import shutil
from dataclasses import dataclass
from pathlib import Path

from eucentric.core import make_folder
from eucentric.twin.serialem.bench import Bench
from eucentric.twin.serialem.errors import NotSimulatedError, SEMerror
from eucentric.twin.serialem.files import FileCommands
from eucentric.twin.serialem.registry import command
from eucentric.twin.serialem.scripting import ScriptCommands

_MB = 2**20


@dataclass
class _Text:
    """A text file that a script has open: nothing is held of it between commands."""

    path: Path
    writes: bool
    at: int = 0


class TextCommands:
    """Files are named from the working directory; open text files by names that the script gives them."""

    def __init__(self, bench: Bench, files: FileCommands, scripting: ScriptCommands) -> None:
        self._bench, self._files, self._scripting = bench, files, scripting
        self._own = bench.folder.parent.resolve()
        self._open: dict[str, _Text] = {}

    # --- folders

    @command("ReportDirectory")
    def directory(self) -> str:
        """Return the working directory."""
        return str(self._bench.folder)

    @command("SetDirectory")
    def set_directory(self, name: str) -> None:
        """Change the working directory."""
        path = self._files.path(name)
        if not path.is_dir():
            raise SEMerror(f"There is no folder {name}")
        self._bench.folder = path

    @command("MakeDirectory")
    def make_directory(self, name: str) -> None:
        """Make a folder, with those that it lies in."""
        make_folder(self._files.path(name))

    @command("MakeDateTimeDir")
    def make_dated(self) -> None:
        """Make a folder named by the microscope's time, and change to it."""
        folder = self._bench.folder / f"{self._bench.scope.now():%b%d_%H.%M.%S}"
        self._bench.folder = make_folder(folder)

    @command("UserSetDirectory")
    def choose_directory(self, prompt: str = "Choose a new current working directory") -> str:
        """Let the user choose the working directory."""
        self.set_directory(self._bench.ask("UserSetDirectory", prompt, ()))
        return str(self._bench.folder)

    @command("IsDirectoryWritable")
    def is_writable(self, name: str) -> tuple[float, float]:
        """Return whether files can be made in a folder."""
        path = self._files.path(name)
        return float(path.is_dir() and os.access(path, os.W_OK)), 0.0

    @command("ReportFreeDiskSpace")
    def free(self, name: str) -> float:
        """Return the room for files in a folder (MB), of the computer that rehearses."""
        path = self._files.path(name)
        if not path.is_dir():
            raise SEMerror(f"There is no folder {name}")
        return float(shutil.disk_usage(path).free // _MB)

    @command("DoesFileExist")
    def exists(self, name: str) -> float:
        """Return whether there is such a file or folder."""
        return float(self._files.path(name).exists())

    @command("RemoveFile")
    def remove(self, name: str) -> None:
        """Delete a file of the rehearsal; those of anybody else are left, and the script is told."""
        path = self._of_ours(name, "RemoveFile")
        try:
            path.unlink()
        except OSError as error:
            self._bench.log.add(f"WARNING: {name} was not removed ({error.strerror})")

    def _of_ours(self, name: str, what: str) -> Path:
        path = self._files.path(name)
        if path.exists() and not path.is_relative_to(self._own):
            raise NotSimulatedError(f"{what}: {name} lies outside the rehearsal's own folder, and is left as it is")
        return path

    # --- whole files

    @command("ReadTextFile", "Read2DTextFile")
    def read(self, name: str, file: str) -> None:
        """Put all words of a file into a variable, an array."""
        self._scripting.set_variable(name, "\n".join(self._whole(self._files.path(file)).split()))

    @command("ReadStringsFromFile")
    def read_lines(self, name: str, file: str) -> None:
        """Put the lines of a file into a variable, an array."""
        self._scripting.set_variable(name, "\n".join(self._whole(self._files.path(file)).splitlines()))

    def _whole(self, path: Path) -> str:
        try:
            return path.read_text(encoding="utf-8", errors="replace")
        except OSError as error:
            raise SEMerror(f"{path.name}: this file cannot be read ({error.strerror})") from error

    # --- line by line

    @command("OpenTextFile")
    def open(self, name: str, mode: str, keep: int, file: str) -> float:
        """Open a file: R(ead), T(ry to), W(rite), O(verwrite), A(ppend); return whether it is there for T, else 1."""
        key, word, path = name.strip().lower(), mode.strip().upper(), self._files.path(file)
        if key in self._open:
            raise SEMerror(f"OpenTextFile: a file is open as {name} already")
        if any(one.path == path for one in self._open.values()):
            raise SEMerror(f"OpenTextFile: {file} is open already under another name")
        if word not in ("R", "T", "W", "O", "A"):
            raise SEMerror(f"OpenTextFile: {mode!r} is no mode; they are R, T, W, O and A")
        if word == "T" and not path.is_file():
            return 0.0
        if word in "RA" and not path.is_file():
            raise SEMerror(f"OpenTextFile: {file} does not exist")
        if word == "W" and path.exists() and not self._files.overwrites:
            raise SEMerror(f"OpenTextFile: {file} exists already, and AllowFileOverwrite is not set")
        if word in "WOA":
            self._of_ours(file, "OpenTextFile")
            self._write(path, "", "a" if word == "A" else "w")
        self._open[key] = _Text(path, word in "WOA")
        return 1.0

    def _write(self, path: Path, text: str, mode: str) -> None:
        try:
            with path.open(mode, encoding="utf-8") as file:
                file.write(text)
        except OSError as error:
            raise SEMerror(f"{path.name}: this file cannot be written ({error.strerror})") from error

    def _text(self, name: str, writes: bool) -> _Text:
        try:
            text = self._open[name.strip().lower()]
        except KeyError:
            raise SEMerror(f"There is no text file open as {name}") from None
        if text.writes != writes:
            raise SEMerror(f"The text file {name} is open for {'writing' if text.writes else 'reading'} only")
        return text

    @command("WriteLineToFile")
    def write(self, name: str, line: str = "") -> None:
        """Write a line; it is on the disk at once."""
        self._write(self._text(name, writes=True).path, f"{line}\n", "a")

    @command("ReadLineToArray")
    def read_words(self, name: str, variable: str) -> float:
        """Put the words of the next line that has some into a variable; return 0 if there is none."""
        while (line := self._line(name)) is not None:
            if words := line.partition("#")[0].split():
                self._scripting.set_variable(variable, "\n".join(words))
                return 1.0
        return 0.0

    @command("ReadLineToString")
    def read_line(self, name: str, variable: str) -> float:
        """Put the next line that is not blank into a variable; return 0 if there is none."""
        while (line := self._line(name)) is not None:
            if line.strip():
                self._scripting.set_variable(variable, line)
                return 1.0
        return 0.0

    def _line(self, name: str) -> str | None:
        """Return the next line; what was added to the file meanwhile is seen, None if there is no more."""
        text = self._text(name, writes=False)
        lines = self._whole(text.path).splitlines()
        if text.at >= len(lines):
            return None
        text.at += 1
        return lines[text.at - 1]

    @command("CloseTextFile")
    def close(self, name: str) -> None:
        """Close a text file."""
        if self._open.pop(name.strip().lower(), None) is None:
            raise SEMerror(f"There is no text file open as {name}")

    @command("FlushTextFile")
    def flush(self, name: str) -> None:
        """See that all is on the disk, as it is always."""
        self._text(name, writes=True)

    @command("IsTextFileOpen")
    def is_open(self, name: str, file: str = "") -> float:
        """Return whether a text file is open, by its name in the script or by its own."""
        named = file and any(one.path == self._files.path(file) for one in self._open.values())
        return float(bool(named) or name.strip().lower() in self._open)
