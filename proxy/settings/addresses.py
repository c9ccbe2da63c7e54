"""Where to listen, where servers are, and which networks are meant.

Every reader here raises WrongValueError.
"""

import ipaddress
import re
from dataclasses import dataclass

from proxy.message.authority import DEFAULT_PORTS, url_host
from proxy.settings.hosts import host_name
from proxy.settings.problem import WrongValueError

IPNetwork = ipaddress.IPv4Network | ipaddress.IPv6Network

_LISTEN_FORMS = 'expected an address such as ":443", "127.0.0.1:443" or "[::1]:443"'
_SERVER_FORMS = (
    'expected "http://host:port", "https://host:port", "h2c://host:port" or "unix:/path/to.sock"'
)
_NETWORK_FORMS = "expected a network such as 10.0.0.0/8 or 2001:db8::/32, or one address"
_URL = re.compile(r"(http|https|h2c)://(\[[^\]]*\]|[^/:?#@]*)(?::([0-9]*))?(.*)", re.ASCII)
_UNIX_PATH_MAX = 107
"""sockaddr_un has 108 bytes with the final NUL (unix(7))."""


@dataclass(frozen=True, slots=True)
class ListenAddress:
    """An address to bind. `host` "" means every address, IPv4 and IPv6; port 0 a free port."""

    host: str
    port: int

    def __str__(self) -> str:
        """Return the address as it is written in the file."""
        return f"{url_host(self.host)}:{self.port}"


@dataclass(frozen=True, slots=True)
class ServerAddress:
    """Where one server of an upstream listens.

    Attributes:
        scheme: "http", "https", "h2c" or "unix".
        host: Name or address without brackets; "" for a unix socket.
        port: 0 for a unix socket.
        socket: Absolute path of the unix socket, or "".
    """

    scheme: str
    host: str = ""
    port: int = 0
    socket: str = ""

    def __str__(self) -> str:
        """Return the address as it is written in the file."""
        if self.scheme == "unix":
            return f"unix:{self.socket}"
        return f"{self.scheme}://{url_host(self.host)}:{self.port}"


def _port(text: str, forms: str) -> int:
    if not re.fullmatch(r"[0-9]{1,5}", text, re.ASCII) or int(text) > 65535:
        raise WrongValueError(f"the port is not a number up to 65535; {forms}")
    return int(text)


def listen_address(value: object) -> ListenAddress:
    """Read ":443", "127.0.0.1:443", "[::1]:443", or a bare port."""
    if isinstance(value, ListenAddress):
        return value
    if isinstance(value, bool) or not isinstance(value, str | int):
        raise WrongValueError(_LISTEN_FORMS)
    text = str(value)
    if text.isdigit():
        return ListenAddress("", _port(text, _LISTEN_FORMS))
    host, colon, port = text.rpartition(":")
    if not colon:
        raise WrongValueError(f"it has no port; {_LISTEN_FORMS}")
    if host == "":
        return ListenAddress("", _port(port, _LISTEN_FORMS))
    if host in {"*", "localhost"}:
        better = {"*": f":{port}", "localhost": f"127.0.0.1:{port}"}[host]
        raise WrongValueError(_LISTEN_FORMS, better)
    inner = host[1:-1] if host.startswith("[") and host.endswith("]") else host
    try:
        address = ipaddress.ip_address(inner)
    except ValueError:
        raise WrongValueError(f"its host is not an IP address; {_LISTEN_FORMS}") from None
    if address.version == 6 and inner == host:
        raise WrongValueError(
            "an IPv6 address stands in brackets before its port", f"[{host}]:{port}"
        )
    return ListenAddress(str(address), _port(port, _LISTEN_FORMS))


def _unix_address(text: str) -> ServerAddress:
    path = text.removeprefix("unix:")
    if path.startswith("///"):
        path = path[2:]
    if not path.startswith("/") or path.startswith("//"):
        raise WrongValueError("the path of a unix socket is absolute: unix:/run/app.sock")
    if "\0" in path or len(path.encode()) > _UNIX_PATH_MAX:
        raise WrongValueError(f"the path of a unix socket has at most {_UNIX_PATH_MAX} bytes")
    return ServerAddress("unix", socket=path)


def _server_host(text: str) -> str:
    """Return the host of a server. Names inside a container network may hold an underscore."""
    if re.fullmatch(r"[A-Za-z0-9_][A-Za-z0-9_.-]{0,252}", text, re.ASCII) and "_" in text:
        return text.lower()
    try:
        name = host_name(text)
    except WrongValueError:
        name = "*"
    if name.startswith("*"):
        raise WrongValueError(f"its host is not a name or an address; {_SERVER_FORMS}")
    return name


def server_address(value: object) -> ServerAddress:
    """Read "http://app1:8000", "https://api.example.com", "unix:/run/app.sock"."""
    if isinstance(value, ServerAddress):
        return value
    if not isinstance(value, str):
        raise WrongValueError(_SERVER_FORMS)
    if value.startswith("unix:"):
        return _unix_address(value)
    if value.startswith("http://unix:"):
        raise WrongValueError(_SERVER_FORMS, value.removeprefix("http://"))
    found = _URL.fullmatch(value)
    if found is None:
        guess = f"http://{value}"
        fits = "://" not in value and _URL.fullmatch(guess) is not None
        raise WrongValueError(_SERVER_FORMS, guess if fits else "")
    scheme, host, port, rest = found.groups()
    if "@" in rest:
        raise WrongValueError("a name and password have no place in an address")
    name = _server_host(host[1:-1] if host.startswith("[") else host)
    if rest:
        bare = f"{scheme}://{host}" + (f":{port}" if port else "")
        reason = "an address ends after the port; to cut a prefix off the path use strip_prefix"
        raise WrongValueError(reason, bare)
    number = DEFAULT_PORTS[scheme] if port is None else _port(port, _SERVER_FORMS)
    if number == 0:
        raise WrongValueError(f"nobody listens on port 0; {_SERVER_FORMS}")
    return ServerAddress(scheme, name, number)


def network(value: object) -> IPNetwork:
    """Read a CIDR or one address. Bits right of the mask are a mistake, and named as one."""
    if isinstance(value, IPNetwork):
        return value
    if not isinstance(value, str):
        raise WrongValueError(_NETWORK_FORMS)
    try:
        return ipaddress.ip_network(value)
    except ValueError:
        pass
    try:
        suggestion = str(ipaddress.ip_network(value.strip(), strict=False))
    except ValueError:
        raise WrongValueError(_NETWORK_FORMS) from None
    raise WrongValueError("it has bits set to the right of its mask", suggestion)
