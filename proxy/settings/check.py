"""A document checked against the models: every mistake found, not only the first.

Pydantic stops before the rules between fields as soon as one field is wrong. So what is wrong is
taken out and the rest is checked again, until nothing is wrong any more; what a mistake merely
brought about (a route without its misspelt handler) is not told.
"""

from collections.abc import Callable, Iterable
from functools import partial

from pydantic import ValidationError
from pydantic_core import ErrorDetails

from proxy.settings.document import Document
from proxy.settings.forms import TAGS
from proxy.settings.models import Settings
from proxy.settings.not_built import refused
from proxy.settings.problem import Path, Problem
from proxy.settings.rules import Rules
from proxy.settings.shape import meant
from proxy.settings.wording import names_key, worded

_ROUNDS = 60
"""Each round takes out at least one value; the depth of the shape is what needs several."""
MOST_PROBLEMS = 200
"""Told one by one; the rest is counted."""

_UNKNOWN = "extra_forbidden"


class _Trimmed:
    """What is left of a document once the broken values are out of it."""

    def __init__(self, document: Document, broken: set[Path]) -> None:
        self._broken = broken
        self._kept: dict[Path, list[int]] = {}
        self.value = self._copy(document.value, ())

    def _copy(self, value: object, path: Path) -> object:
        if isinstance(value, dict):
            return {
                key: self._copy(item, (*path, key))
                for key, item in value.items()
                if (*path, key) not in self._broken
            }
        if isinstance(value, list):
            kept = [index for index in range(len(value)) if (*path, index) not in self._broken]
            self._kept[path] = kept
            return [self._copy(value[index], (*path, index)) for index in kept]
        return value

    def original(self, path: Path) -> Path:
        """Return where in the whole document something of this copy is."""
        found: Path = ()
        for step in path:
            kept = self._kept.get(found)
            index = (
                kept[step]
                if kept is not None and isinstance(step, int) and step < len(kept)
                else step
            )
            found = (*found, index)
        return found


class _Broken:
    """Paths that are wrong, and what is around them."""

    def __init__(self, paths: Iterable[Path]) -> None:
        self.paths: set[Path] = set()
        self._around: set[Path] = set()
        self.add(paths)

    def add(self, paths: Iterable[Path]) -> None:
        """Take in further paths."""
        for path in paths:
            self.paths.add(path)
            self._around.update(path[:length] for length in range(len(path)))

    def explains(self, path: Path) -> bool:
        """Tell whether trouble at `path` follows from something broken there, above or below."""
        if path in self._around:
            return True
        return any(path[:length] in self.paths for length in range(len(path) + 1))


class _Check:
    """The state of one check: what is broken, and what was told."""

    def __init__(self, document: Document, folder: str) -> None:
        self.document = document
        self.folder = folder
        self.broken = _Broken(document.broken)
        self.problems = document.problems[:MOST_PROBLEMS]
        self.more = len(document.problems) - len(self.problems)

    def run(self) -> Settings | None:
        """Return the settings in the document, or what is left of them without its mistakes."""
        for path, problem in refused(self.document):
            self.broken.add((path,))
            if len(self.problems) < MOST_PROBLEMS:
                self.problems.append(problem)
            else:
                self.more += 1
        for _ in range(_ROUNDS):
            context = {"folder": self.folder, "lenient": bool(self.broken.paths)}
            trimmed = _Trimmed(self.document, self.broken.paths)
            try:
                settings = Settings.model_validate(trimmed.value, context=context)
            except ValidationError as error:
                if not self._take_out(error.errors(include_url=False), trimmed):
                    return None
            else:
                self._rules(settings, trimmed)
                return settings
        return None

    def _take_out(self, errors: Iterable[ErrorDetails], trimmed: _Trimmed) -> bool:
        """Tell the errors of one round and mark what they are about; False at the root itself."""
        found = [(error, *self._located(error, trimmed)) for error in errors]
        lacking = {path[:-1] for _, path, _, missing in found if missing}
        misspelt = {
            (*path[:-1], meant(path))
            for error, path, *_ in found
            if error["type"] == _UNKNOWN and path[:-1] in lacking
        }
        for error, path, at_key, missing in found:
            if not (missing and path in misspelt):
                self._tell(path, partial(worded, error, self.document, path), at_key=at_key)
        culprits = {path[:-1] if missing else path for _, path, _, missing in found}
        self.broken.add(culprits)
        return () not in culprits

    def _tell(self, path: Path, message: Callable[[], str], *, at_key: bool = False) -> None:
        """Note a problem, unless it follows from another one or nobody could read so many."""
        if self.broken.explains(path):
            return
        if len(self.problems) < MOST_PROBLEMS:
            self.problems.append(self.document.problem(path, message(), at_key=at_key))
        else:
            self.more += 1

    def _located(self, error: ErrorDetails, trimmed: _Trimmed) -> tuple[Path, bool, bool]:
        """Return where in the file an error is; whether its key is meant; whether it is missing."""
        unknown = error["type"] == _UNKNOWN
        steps, key = tuple(error["loc"]), tuple(error["loc"][-1:])
        in_keys = key == ("[key]",)
        at_key = unknown or in_keys or names_key(error)
        if unknown or in_keys:
            steps = steps[:-1]
        steps = tuple(step for step in steps if step not in TAGS)
        # An unknown key may be called anything, even what pydantic puts into a path itself.
        path = trimmed.original((*steps, *key) if unknown else steps)
        if error["type"] == "missing":
            while len(path) > 1 and path[:-1] not in self.document.places:
                path = path[:-1]
            return path, True, True
        while path and path not in self.document.places:
            path = path[:-1]
        return path, at_key, False

    def _rules(self, settings: Settings, trimmed: _Trimmed) -> None:
        for path, message in Rules(settings, self.document, trimmed.original).broken():
            self._tell(path, message.__str__)


def check(document: Document, folder: str) -> tuple[Settings | None, tuple[Problem, ...]]:
    """Return the settings and every problem, in the order of the file."""
    state = _Check(document, folder)
    settings = state.run()
    ordered = sorted(dict.fromkeys(state.problems), key=lambda one: (one.line, one.col))
    if state.more:
        ordered.append(Problem(document.source.name, 0, 0, "", f"{state.more} more mistakes"))
    return settings, tuple(ordered)
