"""A site's or route's `compress` to the part that encodes answers."""

from collections.abc import Mapping
from dataclasses import replace

from proxy.compiler.kept_once import kept_once
from proxy.compiler.sources import Scope
from proxy.message.edit import FieldEdit
from proxy.policy.compression import compression
from proxy.policy.part import Part

_VARY = FieldEdit(block=b"Vary: Accept-Encoding\r\n")


def compile_compression(scope: Scope) -> Part | None:
    """Return the part for a route, or None where its answers go out as they are.

    Whoever gives all answers `Cache-Control: no-transform` or a Content-Encoding by hand has
    forbidden it. A Vary given by hand replaces the one of an answer, and so the Accept-Encoding in
    it, without which a cache would give encoded answers to everybody: it gets a Vary beside it.
    """
    chosen = scope.settings.compress_of(scope.site, scope.route)
    if chosen is None or (scope.route.proxy is None and scope.route.files is None):
        return None
    given = scope.settings.headers_of(scope.site, scope.route)
    by_hand = {name.lower(): value for name, value in given.items()}
    if "no-transform" in (by_hand.get("cache-control") or "").lower():
        return None
    if by_hand.get("content-encoding") is not None:
        return None
    codings = tuple(dict.fromkeys(chosen.algorithms))
    return _part(codings, chosen.types, chosen.min_size, vary=_hides_vary(by_hand))


@kept_once
def _part(codings: tuple[str, ...], types: tuple[str, ...], min_size: int, *, vary: bool) -> Part:
    part = compression(codings, types, min_size)
    return replace(part, response_edit=_VARY, response_edit_plain=_VARY) if vary else part


def _hides_vary(by_hand: Mapping[str, str | None]) -> bool:
    names = {name.strip().lower() for name in (by_hand.get("vary") or "").split(",")}
    return "vary" in by_hand and names.isdisjoint({"accept-encoding", "*"})
