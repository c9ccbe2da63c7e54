"""What is wrong with a configuration, and where: a Problem a mistake, all in one error."""

from dataclasses import dataclass

Path = tuple[str | int, ...]
"""The way to a value in the file: ("sites", 0, "routes", 2, "proxy")."""


@dataclass(frozen=True, slots=True)
class Problem:
    """One mistake, or one piece of advice.

    Attributes:
        file: Name of the file, as the user gave it.
        line: Line, counted from 1; 0 where the trouble is with the file itself.
        col: Column, counted from 1.
        path: Where in the configuration: "sites[0].routes[2].proxy"; "" for the whole.
        message: What was seen, what is allowed, and the nearest right spelling.
        snippet: The line of the source and a caret below it; "" where there is none.
    """

    file: str
    line: int
    col: int
    path: str
    message: str
    snippet: str = ""

    def __str__(self) -> str:
        """Return `file:line:col: path: message`, then the snippet indented."""
        place = f"{self.file}:{self.line}:{self.col}" if self.line else self.file
        head = ": ".join(part for part in (place, self.path, self.message) if part)
        return f"{head}\n{self.snippet}" if self.snippet else head


class SettingsError(Exception):
    """A configuration that cannot be used. `str()` of it is the whole report."""

    def __init__(self, problems: tuple[Problem, ...]) -> None:
        super().__init__(problems)
        self.problems = problems

    def __str__(self) -> str:
        """Return every problem in the order of the file, and how many there are."""
        count = len(self.problems)
        total = f"{count} mistake{'' if count == 1 else 's'} in the configuration"
        return "\n".join((*map(str, self.problems), total))


class WrongValueError(ValueError):
    """A value that a field does not take.

    The text never repeats the value, which may have come from a secret: whoever reports the
    error knows whether it can be shown, and shows `suggestion`, made from it, by the same rule.
    """

    def __init__(self, reason: str, suggestion: str = "") -> None:
        super().__init__(reason)
        self.reason = reason
        self.suggestion = suggestion


class WrongNameError(WrongValueError):
    """A key that may not be given, where keys are names such as those of headers."""


def dotted(path: Path) -> str:
    """Return a path as people write it: sites[0].routes[2].proxy."""
    text = ""
    for step in path:
        if isinstance(step, int):
            text += f"[{step}]"
        else:
            text += f".{step}" if text else step
    return text
