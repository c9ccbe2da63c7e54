"""A document checked against the models: every mistake found, not only the first.

Pydantic stops before the rules between fields as soon as one field is wrong. So what is wrong is
taken out and the rest is checked again, until nothing is wrong any more; what a mistake merely
brought about (a route without its misspelt handler) is not told.
"""

from collections.abc import Iterable

from pydantic import ValidationError
from pydantic_core import ErrorDetails

from proxy.settings.document import Document
from proxy.settings.models import Settings
from proxy.settings.not_built import refused
from proxy.settings.problem import Path, Problem
from proxy.settings.rules import Rules
from proxy.settings.shape import meant
from proxy.settings.wording import worded

_ROUNDS = 60
"""Each round takes out at least one value; the depth of the shape is what needs several."""
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


class _Check:
    """The state of one check: what is broken, and what was told."""

    def __init__(self, document: Document, folder: str) -> None:
        self.document = document
        self.folder = folder
        self.broken = set(document.broken)
        self.problems = list(document.problems)

    def run(self) -> Settings | None:
        """Return the settings in the document, or what is left of them without its mistakes."""
        for path, problem in refused(self.document):
            self.broken.add(path)
            self.problems.append(problem)
        for _ in range(_ROUNDS):
            context = {"folder": self.folder, "lenient": bool(self.broken)}
            trimmed = _Trimmed(self.document, self.broken)
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
        culprits: set[Path] = set()
        found = [(error, *self._located(error, trimmed)) for error in errors]
        misspelt = {
            (*path[:-1], meant(path)) for error, path, *_ in found if error["type"] == _UNKNOWN
        }
        for error, path, at_key, missing in found:
            if not self._follows(path) and not (missing and path in misspelt):
                message = worded(error, self.document, path)
                self.problems.append(self.document.problem(path, message, at_key=at_key))
            culprits.add(path[:-1] if missing else path)
        self.broken |= culprits
        return () not in culprits

    def _located(self, error: ErrorDetails, trimmed: _Trimmed) -> tuple[Path, bool, bool]:
        """Return where in the file an error is; whether its key is meant; whether it is missing."""
        unknown = error["type"] == _UNKNOWN
        steps, key = tuple(error["loc"]), tuple(error["loc"][-1:])
        at_key = unknown or key == ("[key]",)
        if at_key:
            steps = steps[:-1]
        steps = tuple(step for step in steps if step not in {"~word", "~table"})
        # An unknown key may be called anything, even what pydantic puts into a path itself.
        path = trimmed.original((*steps, *key) if unknown else steps)
        if error["type"] == "missing":
            while len(path) > 1 and path[:-1] not in self.document.places:
                path = path[:-1]
            return path, True, True
        while path and path not in self.document.places:
            path = path[:-1]
        return path, at_key, False

    def _follows(self, path: Path) -> bool:
        """Tell whether trouble at `path` follows from something broken there, above or below."""
        return any(path[: len(bad)] == bad or bad[: len(path)] == path for bad in self.broken)

    def _rules(self, settings: Settings, trimmed: _Trimmed) -> None:
        for path, message in Rules(settings, self.document, trimmed.original).broken():
            if not self._follows(path):
                self.problems.append(self.document.problem(path, message))


def check(document: Document, folder: str) -> tuple[Settings | None, tuple[Problem, ...]]:
    """Return the settings and every problem, in the order of the file."""
    state = _Check(document, folder)
    settings = state.run()
    ordered = sorted(dict.fromkeys(state.problems), key=lambda one: (one.line, one.col))
    return settings, tuple(ordered)
