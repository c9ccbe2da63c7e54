"""Host and port of a Host field or an :authority (RFC 3986, 3.2; RFC 9110, 4.2 and 7.2)."""

import ipaddress
import re
from functools import lru_cache

from proxy.errors import BadRequestError

_LABEL = r"[a-z0-9_-]+"
_PORT = r"(?::([0-9]{0,5}))?"
_usual = re.compile(rf"({_LABEL}(?:\.{_LABEL})*)\.?{_PORT}", re.ASCII | re.IGNORECASE).fullmatch
_rare_label = r"[a-z0-9_~!$&'()*+,;=-]+"
_rare = re.compile(
    rf"(?:({_rare_label}(?:\.{_rare_label})*)\.?|\[([0-9a-f:.]{{2,45}})\]){_PORT}",
    re.ASCII | re.IGNORECASE,
).fullmatch
_LONGEST = 255

DEFAULT_PORTS = {"http": 80, "h2c": 80, "https": 443}
"""By scheme (RFC 9110, 4.2.1 and 4.2.2)."""
_LARGEST_PORT = 65535


def url_host(host: str) -> str:
    """Return a host as it stands in a URL: an IPv6 address in brackets (RFC 3986, 3.2.2)."""
    return f"[{host}]" if ":" in host else host


def host_field(scheme: str, host: str, port: int) -> str:
    """Return the Host field for a server's own name or address (RFC 9110, 4.2.3 and 7.2).

    The port is left out where it is the scheme's usual one; the zone of an address always is, for
    it means nothing to others (RFC 6874, 1).
    """
    name = url_host(host.partition("%")[0])
    return name if port == DEFAULT_PORTS.get(scheme) else f"{name}:{port}"


@lru_cache(maxsize=1024)
def split_authority(value: str) -> tuple[str, int | None]:
    """Return the host to match sites on, and the port if one is given.

    The host is in lower case, without a final dot. An IPv6 address stands without brackets in its
    canonical form (RFC 5952). A name may have the characters of RFC 3986's reg-name but for
    percent-encoding, which no name in DNS has and which servers decode or do not.

    Args:
        value: As sent, white space already taken off.

    Raises:
        BadRequestError: It has user information, no host, an empty label, a wrong address, a port
            outside 1..65535, or is longer than 255 characters.
    """
    found = _usual(value)
    if found is not None and len(value) <= _LONGEST:
        host, digits = found[1].lower(), found[2]
        return host, _port(digits) if digits else None
    return _split_rare(value)


def _split_rare(value: str) -> tuple[str, int | None]:
    found = _rare(value) if len(value) <= _LONGEST else None
    if found is None:
        raise BadRequestError("the Host field is not a host with an optional port")
    name, address, digits = found.groups()
    if name is not None:
        host = name.lower()
    else:
        try:
            host = str(ipaddress.IPv6Address(address))
        except ValueError:
            raise BadRequestError("the Host field has a wrong IPv6 address") from None
    return host, _port(digits) if digits else None


def _port(digits: str) -> int:
    port = int(digits)
    if not 1 <= port <= _LARGEST_PORT:
        raise BadRequestError("the port in the Host field is not in 1..65535")
    return port
