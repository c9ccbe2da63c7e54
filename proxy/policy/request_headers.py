"""Header fields set on, or taken from, what is forwarded."""

from collections.abc import Mapping

from proxy.message.edit import FieldEdit
from proxy.policy.part import Part, field_line

NAME = "request_headers"


def request_headers(values: Mapping[str, str | None]) -> Part:
    """Return the part that replaces each named field by its value, or by nothing for None.

    Host is not among them: it is never part of a block, see `ProxyPlan.host`.

    Raises:
        ValueError: A name or value does not make one line.
    """
    lines = [field_line(name, value) for name, value in values.items() if value is not None]
    return Part(NAME, request_edit=FieldEdit(values, b"".join(lines)))
