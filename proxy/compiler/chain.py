"""Parts to what a route runs: gates in order, and one edit for each direction."""

from collections.abc import Iterable
from dataclasses import dataclass

from proxy.message.edit import NO_EDIT, FieldEdit
from proxy.policy.order import in_order
from proxy.policy.part import Encode, Gate, Part, Shape


@dataclass(frozen=True, slots=True)
class Chain:
    """The parts of one route, put together. The fields are those of `Part`.

    Attributes:
        parts: The parts themselves, in their order.
    """

    gates: tuple[Gate, ...]
    request_edit: FieldEdit
    edit: FieldEdit
    edit_plain: FieldEdit
    shapes: tuple[Shape, ...]
    encode: Encode | None
    parts: tuple[Part, ...]


class Chains:
    """Puts parts together for one program.

    Equal edits become one object: what a connection remembers of an answer's head it remembers for
    the edit it was made with, and most routes of a site have the same.
    """

    __slots__ = ("_edits",)

    def __init__(self) -> None:
        self._edits: dict[tuple[frozenset[str], bytes], FieldEdit] = {}

    def chain(self, parts: Iterable[Part]) -> Chain:
        """Return the parts in their order, their edits merged."""
        arranged = in_order(parts)
        return Chain(
            gates=tuple(part.gate for part in arranged if part.gate is not None),
            request_edit=self._merged(part.request_edit for part in arranged),
            edit=self._merged(part.response_edit for part in arranged),
            edit_plain=self._merged(part.response_edit_plain for part in arranged),
            shapes=tuple(part.shape for part in arranged if part.shape is not None),
            encode=next((part.encode for part in arranged if part.encode is not None), None),
            parts=arranged,
        )

    def _merged(self, edits: Iterable[FieldEdit | None]) -> FieldEdit:
        """Return one edit that does what several do one after the other."""
        removes: frozenset[str] = frozenset()
        block = b""
        for edit in edits:
            if edit is not None:
                block = FieldEdit(edit.removes).apply(block) + edit.block
                removes |= edit.removes
        if not removes and not block:
            return NO_EDIT
        return self._edits.setdefault((removes, block), FieldEdit(removes, block))
