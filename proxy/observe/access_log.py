"""A line of the access log: `combined` as nginx has it, `json`, or a format of the user's own.

The two named formats are written out, for a line is made for every request: about 1 us for
combined and 2.7 us for json where the client's block was seen before. A format with variables
reads each of them through `log_variables` and costs about 4 us; a test holds `combined` and
nginx's own definition of it together.

Nobody can forge a line or a field: what clients and upstreams wrote is escaped, and cut at
`log_text.MAX_FIELD`.
"""

import difflib
import re
from collections.abc import Callable

from proxy.exchange.exchange import Exchange
from proxy.observe.log_fields import client_fields
from proxy.observe.log_text import escape, is_plain, quote
from proxy.observe.log_time import ISO, LOCAL
from proxy.observe.log_variables import (
    PHASE_NAMES,
    FormatError,
    Variable,
    error_text,
    user_text,
    variable,
)

Renderer = Callable[[Exchange, float, str], str]
"""Makes a line, without its end, of an exchange, its duration in seconds and a `log_time` stamp."""

_VARIABLE = re.compile(r"\$(?:\{(?P<braced>\w+)\}|(?P<bare>\w+))?", re.ASCII)


def compile_format(log_format: str) -> Renderer:
    """Return what renders lines in a format: "combined", "json", or text with $variables.

    Raises:
        UnknownVariableError: A variable that there is not, with the nearest one that there is.
        FormatError: A format with none at all, with a lone dollar sign or a control character.
    """
    named = _NAMED.get(log_format)
    return named() if named is not None else _custom(log_format.rstrip("\r\n"))


def _combined() -> Renderer:
    fields = client_fields(lambda text: escape(text) or "-")

    def render(exchange: Exchange, _duration: float, stamp: str) -> str:
        head = exchange.head
        start = f"{exchange.address or '-'} - {user_text(exchange.user) or '-'} [{stamp[LOCAL]}] "
        request = f"{head.method} {head.target} {head.version}" if head.method else "-"
        if not is_plain(start + request):
            start, request = escape(start), escape(request)
        referer, agent = fields(head)
        return (
            f'{start}"{request}" {exchange.status or "000"} {exchange.sent} "{referer}" "{agent}"'
        )

    return render


def _json() -> Renderer:
    fields = client_fields(quote)

    def render(exchange: Exchange, duration: float, stamp: str) -> str:
        head = exchange.head
        client = exchange.client
        referer, agent = fields(head)
        return (
            f'{{"time":"{stamp[ISO]}","request_id":{quote(exchange.request_id)},'
            f'"client":{quote(exchange.address)},"method":{quote(head.method)},'
            f'"scheme":"{exchange.scheme}","host":{quote(head.host)},'
            f'"target":{quote(head.target)},"version":{quote(head.version)},'
            f'"status":{exchange.status},"bytes_sent":{exchange.sent},'
            f'"bytes_received":{exchange.received},"duration":{duration:.6f},'
            f'"upstream":{quote(exchange.upstream)},'
            f'"upstream_connect_time":{_json_seconds(exchange.connect_time)},'
            f'"upstream_response_time":{_json_seconds(exchange.response_time)},'
            f'"tries":{exchange.tries},"route":{quote(exchange.route)},'
            f'"site":{quote(exchange.site)},"referer":{referer},"user_agent":{agent},'
            f'"tls_version":"{client.tls_version}","tls_cipher":"{client.tls_cipher}",'
            f'"error":{quote(error_text(exchange.error))},'
            f'"phase":"{PHASE_NAMES[exchange.phase]}"{_gates(exchange)}}}'
        )

    return render


def _gates(exchange: Exchange) -> str:
    """Return the members for what the gates found out, "" where there is nothing."""
    user = f',"user":{quote(exchange.user)}' if exchange.user else ""
    return f'{user},"limit_req_status":"{exchange.limited}"' if exchange.limited else user


def _json_seconds(value: float) -> str:
    return f"{value:.6f}" if value >= 0.0 else "null"


def _custom(log_format: str) -> Renderer:
    template, variables = _parse(log_format)

    def render(exchange: Exchange, duration: float, stamp: str) -> str:
        values = [each(exchange, duration, stamp) or "-" for each in variables]
        # One look at all values together; nearly always that is the only one.
        if not is_plain("".join(values)):
            values = [escape(value) for value in values]
        return template % tuple(values)

    return render


def _parse(log_format: str) -> tuple[str, list[Variable]]:
    """Return a format as a template for the % operator, and the variables it takes."""
    if not all(char.isprintable() or char == "\t" for char in log_format):
        raise FormatError("a log format is one line and has no control characters")
    template, variables, at = "", [], 0
    for found in _VARIABLE.finditer(log_format):
        name = found["braced"] or found["bare"]
        if name is None:
            raise FormatError(f"no variable after the $ in column {found.start() + 1}")
        variables.append(variable(name))
        template += log_format[at : found.start()].replace("%", "%%") + "%s"
        at = found.end()
    if not variables:
        near = difflib.get_close_matches(log_format.lower(), _NAMED, n=1)
        hint = f"; did you mean {near[0]}?" if near else ""
        raise FormatError(f"a log format is combined, json or a text with $variables{hint}")
    return template + log_format[at:].replace("%", "%%"), variables


_NAMED: dict[str, Callable[[], Renderer]] = {"combined": _combined, "json": _json}
