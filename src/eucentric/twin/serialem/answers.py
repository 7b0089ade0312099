"""What a script's dialogs are answered: from a file, at the terminal, or, where there is only one answer, of itself."""

import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import Field, ValidationError

from eucentric.core import FormatError, Record
from eucentric.design import describe
from eucentric.io.yaml_text import read_yaml
from eucentric.twin.serialem.errors import RehearsalStop

Source = Literal["file", "terminal", "itself"]
_KIND = "a list of answers"
_EXAMPLE = "- match: Do you want to continue\n  answer: yes"
_YES, _NO = ("yes", "y", "true", "1"), ("no", "n", "false", "0")


class Answer(Record):
    """One answer: to dialogs whose command or text has `match` in it, in any case; `times` often, 0 for always."""

    match: Annotated[str, Field(min_length=1)] = "."
    answer: str
    times: Annotated[int, Field(ge=0)] = 0


def read_answers(path: Path) -> tuple[Answer, ...]:
    """Read a file of answers: YAML, a list of ``match``, ``answer`` and, where it is not for always, ``times``.

    Raises
    ------
    InputError
        If the file cannot be opened.
    FormatError
        If it is no such list.
    """
    values, _ = read_yaml(path, _KIND)
    if not isinstance(values, list):
        raise FormatError(f"{path}: {_KIND} begins each answer with a dash.", f"Write:\n{_EXAMPLE}")
    found = []
    for number, value in enumerate(values, 1):
        try:
            found.append(Answer.model_validate(_plain(value)))
        except ValidationError as error:
            raise FormatError(f"{path}: answer {number}: {describe(error)}", f"Write it as:\n{_EXAMPLE}") from error
    return tuple(found)


def _plain(value: Any) -> Any:
    """Take YAML's yes, no and numbers for the words that they were."""
    if not isinstance(value, dict):
        return value
    words = {True: "yes", False: "no"}
    answer = value.get("answer")
    if isinstance(answer, bool):
        return {**value, "answer": words[answer]}
    return {**value, "answer": str(answer)} if isinstance(answer, (int, float)) else value


@dataclass(eq=False)
class Answers:
    """Answers to dialogs.

    Attributes
    ----------
    known
        Those of a file; the first that matches is taken.
    ask
        Asks a person, given the text and the choices; None where there is nobody.
    unanswered
        What was said of the first dialog that had no answer; "" while each had one.
    """

    known: Sequence[Answer] = ()
    ask: Callable[[str, tuple[str, ...]], str] | None = None
    unanswered: str = field(init=False, default="")
    _used: dict[int, int] = field(default_factory=dict)

    def answer(
        self, command: str, text: str, choices: tuple[str, ...], otherwise: str | None, line: int | None
    ) -> tuple[str, Source]:
        """Return the answer to a dialog, and where it is from.

        Parameters
        ----------
        command, text
            Which dialog it is, and what it says.
        choices
            What may be answered; none where any text may.
        otherwise
            The answer where nobody gives one; None where there is none.
        line
            Of the script.

        Raises
        ------
        RehearsalStop
            If nobody answers, or with none of the choices.
        """
        for at, one in enumerate(self.known):
            if self._fits(one, f"{command}\n{text}") and not 0 < one.times <= self._used.get(at, 0):
                self._used[at] = self._used.get(at, 0) + 1
                return self._one_of(one.answer, choices, command), "file"
        if otherwise is not None and (len(choices) == 1 or self.ask is None):
            return otherwise, "itself"
        if self.ask is None:
            at_line = "" if line is None else f" at line {line}"
            allowed = f" ({' or '.join(choices)})" if choices else ""
            raise self._stop(
                f'the script asks{at_line}, by {command}: "{" ".join(text.split())}"; nobody is here to answer'
                f"{allowed}. Give --answers FILE with, for example:\n- match: {command}\n  answer: "
                f"{choices[0] if choices else 'TEXT'}"
            )
        return self._one_of(self.ask(text, choices), choices, command), "terminal"

    def _fits(self, one: Answer, text: str) -> bool:
        try:
            return re.search(one.match, text, re.IGNORECASE) is not None
        except re.error:
            return one.match.lower() in text.lower()

    def _one_of(self, answer: str, choices: tuple[str, ...], command: str) -> str:
        word = answer.strip().lower()
        if not choices or len(choices) == 1:
            return answer if not choices else choices[0]
        for choice in choices:
            same = (_YES if choice.lower() == "yes" else _NO if choice.lower() == "no" else ()) + (choice.lower(),)
            if word in same:
                return choice
        raise self._stop(f"{command} was answered {answer!r}, which is none of {', '.join(choices)}")

    def _stop(self, reason: str) -> RehearsalStop:
        self.unanswered = self.unanswered or reason
        return RehearsalStop(reason)
