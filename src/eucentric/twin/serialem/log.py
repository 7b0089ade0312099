"""SerialEM's log window: what a script prints, and what commands report there, in a file as it goes."""

from collections.abc import Callable
from pathlib import Path


class ScriptLog:
    """A log that is written line by line; `tell` is given each line too, for whoever watches."""

    def __init__(self, path: Path, tell: Callable[[str], None] = lambda line: None) -> None:
        self.path = path
        self._tell = tell
        self._part = ""
        self.telling = False

    def open_new(self, path: Path) -> None:
        """Go on in another file, under a new name where there is one already."""
        self.flush()
        number, chosen = 1, path
        while chosen.exists():
            number += 1
            chosen = path.with_stem(f"{path.stem}-{number}")
        self.path = chosen

    def add(self, text: str) -> None:
        """Write one text, each of its lines on a line."""
        for line in text.replace("\r", "").split("\n"):
            with self.path.open("a", encoding="utf-8") as file:
                file.write(line + "\n")
            self.telling = True
            try:
                self._tell(line)
            finally:
                self.telling = False

    def write(self, text: str) -> int:
        """Take what is printed, as a text file does; whole lines are written."""
        *lines, self._part = (self._part + text).split("\n")
        for line in lines:
            self.add(line)
        return len(text)

    def flush(self) -> None:
        """Write what was begun of a line."""
        if self._part:
            part, self._part = self._part, ""
            self.add(part)
