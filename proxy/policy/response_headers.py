"""Header fields set on, or taken from, every answer of a route, errors and redirects included.

Two edits are made of them, since Strict-Transport-Security must not be sent over http (RFC 6797,
7.2), not even an application's own.
"""

from collections.abc import Mapping

from proxy.message.edit import FieldEdit
from proxy.policy.part import Part, field_line

NAME = "response_headers"

_TLS_ONLY = "strict-transport-security"


def response_headers(values: Mapping[str, str | None]) -> Part:
    """Return the part that replaces each named field by its value, or by nothing for None.

    Args:
        values: By name as it is to be sent, levels of the configuration already merged.

    Raises:
        ValueError: A name or value does not make one line.
    """
    lines = {
        name.lower(): field_line(name, value) for name, value in values.items() if value is not None
    }
    removes = [name.lower() for name in values]
    plain = [line for name, line in lines.items() if name != _TLS_ONLY]
    return Part(
        NAME,
        response_edit=FieldEdit(removes, b"".join(lines.values())),
        response_edit_plain=FieldEdit([*removes, _TLS_ONLY], b"".join(plain)),
    )
