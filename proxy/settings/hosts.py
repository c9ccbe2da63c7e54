"""Host names as sites and upstreams give them: lower case, A-labels, one wildcard label at most."""

import ipaddress
import re

from proxy.settings.problem import WrongValueError

_LABEL = re.compile(r"(?!-)[a-z0-9-]{1,63}(?<!-)", re.ASCII)
_DIFFERS = frozenset("ßς\u200c\u200d")
"""What IDNA 2003, as in the standard library, and IDNA 2008 spell differently (RFC 5894, 7.2)."""
_LONGEST = 253
_LOCAL_SUFFIXES = (".localhost", ".internal", ".test")


def _ascii(text: str) -> str:
    """Return a name in A-labels, lower case."""
    if text.isascii():
        return text.lower()
    if _DIFFERS & set(text):
        raise WrongValueError("write this name in its xn-- form: its spelling is ambiguous in IDNA")
    try:
        return text.encode("idna").decode("ascii").lower()
    except UnicodeError:
        raise WrongValueError("not a host name") from None


def _without_extras(text: str) -> str:
    """Return the bare name inside an URL, a host with a port, or a name with a final dot."""
    bare = re.sub(r"^[a-z]+://", "", text.strip().lower()).partition("/")[0]
    return re.sub(r":[0-9]*$", "", bare).rstrip(".")


def is_address(name: str) -> bool:
    """Tell whether a host name is an IP address."""
    try:
        ipaddress.ip_address(name)
    except ValueError:
        return False
    return True


def host_name(value: object) -> str:
    """Return the one spelling of a host name: `*.x`, an address without brackets, or A-labels.

    Raises:
        WrongValueError: It has a port, a scheme, a wildcard elsewhere, or is no name at all.
    """
    if not isinstance(value, str) or not value:
        raise WrongValueError("expected a host name such as example.com or *.example.com")
    inner = value[1:-1] if value.startswith("[") and value.endswith("]") else value
    if is_address(inner) and "%" not in inner:
        address = ipaddress.ip_address(inner)
        return str(getattr(address, "ipv4_mapped", None) or address)
    bare = _without_extras(value)
    if bare and bare != value.lower():
        raise WrongValueError("a host stands without scheme, port, path and final dot", bare)
    name = _ascii(value)
    rest = name.removeprefix("*.")
    if "*" in rest:
        raise WrongValueError(
            "a wildcard is the whole first label, one label deep: *.example.com; "
            "a site for every other host is marked `default: true`"
        )
    labels = rest.split(".")
    if len(name) > _LONGEST or not all(_LABEL.fullmatch(label) for label in labels):
        raise WrongValueError("not a host name: letters, digits and hyphens between dots")
    if labels[-1].isdigit():
        raise WrongValueError("not a host name, nor a complete IP address")
    if rest != name and len(labels) == 1 and rest not in {"localhost", "internal", "test"}:
        raise WrongValueError("a wildcard needs a domain of its own: *.example.com")
    return name


def is_local(name: str) -> bool:
    """Tell whether no public CA would certify a name: localhost, addresses, *.internal, *.test."""
    return name == "localhost" or name.endswith(_LOCAL_SUFFIXES) or is_address(name)
