"""What the configuration's shape has and this release has not: refused by name, never ignored."""

from collections.abc import Callable
from dataclasses import dataclass

from proxy.settings.document import Document
from proxy.settings.fields import is_off
from proxy.settings.problem import Path, Problem

_TRY = "give `tls: self_signed` or `tls: {cert: …, key: …}` until then"


def never(_value: object) -> bool:
    """Return False: no value of the feature is harmless."""
    return False


def _is_memory(value: object) -> bool:
    return value == "memory"


def _not_acme(value: object) -> bool:
    return value != "acme"


@dataclass(frozen=True, slots=True)
class NotBuilt:
    """One feature that is not there yet.

    Attributes:
        pattern: Path of its key; `*` stands for any key or any item of a list.
        advice: What to write until then.
        harmless: Tells the values that ask for nothing, such as `off`.
    """

    pattern: str
    advice: str = "remove it"
    harmless: Callable[[object], bool] = never

    def covers(self, path: Path, value: object) -> bool:
        """Tell whether a value in the file asks for this feature."""
        steps = self.pattern.split(".")
        if len(steps) != len(path) or self.harmless(value):
            return False
        return all(step in {"*", str(own)} for step, own in zip(steps, path, strict=True))


NOT_BUILT = (
    NotBuilt("acme", _TRY),
    NotBuilt("sites.*.tls", _TRY, _not_acme),
    NotBuilt("tls.ocsp_stapling", "write `off`", is_off),
    NotBuilt("shared_state", "write `memory`", _is_memory),
    NotBuilt("admin", "write `null`", is_off),
    NotBuilt("alerts"),
)  # fmt: skip


def refused(document: Document) -> tuple[tuple[Path, Problem], ...]:
    """Return a problem for each feature the file asks for that is not built yet, with its path."""
    found: list[tuple[Path, Problem]] = []
    for path, place in document.places.items():
        value = document.at(path)
        feature = next((one for one in NOT_BUILT if one.covers(path, value)), None)
        if feature is None or path in document.broken:
            continue
        name = _name(path, place.written)
        message = f"{name}: not built yet in this release; {feature.advice}"
        found.append((path, document.problem(path, message, at_key=True)))
    return tuple(found)


def _name(path: Path, written: str | None) -> str:
    """Return a feature's name as the file has it: its key, with the value where that matters."""
    keys = [step for step in path if isinstance(step, str)]
    if keys[-1] in {"tls", "proxy", "servers", "url"} and written:
        return f"`{keys[-1]}: {written}`"
    return f"`{keys[-1]}`"
