"""The configuration as it takes effect, defaults and all, with no secret in it."""

from typing import Any

import yaml

from proxy.settings.document import Document
from proxy.settings.models import Settings
from proxy.settings.problem import Path
from proxy.settings.source import masked, names_secret


def _cover(value: Any, path: Path, written: str) -> Any:  # noqa: ANN401 - what JSON can hold
    """Return `value` with what is at `path`, or what stands for it, as it was written."""
    if not path:
        return written
    step, rest = path[0], path[1:]
    if isinstance(value, dict):
        # What is not shown, such as a preset that is spelt out, needs no cover.
        return {**value, step: _cover(value[step], rest, written)} if step in value else value
    if isinstance(value, list) and isinstance(step, int) and step < len(value):
        return [*value[:step], _cover(value[step], rest, written), *value[step + 1 :]]
    return written


_TELLING_NULLS = frozenset({"user", "redirect_http"})
_TELLING_MAPS = frozenset({"headers", "request_headers", "response_headers", "error_pages"})


def _without_nulls(value: Any, key: str = "") -> Any:  # noqa: ANN401 - what JSON can hold
    """Return `value` without the keys that are null because nothing was said."""
    if isinstance(value, dict):
        return {
            name: _without_nulls(item, name)
            for name, item in value.items()
            if item is not None or name in _TELLING_NULLS or key in _TELLING_MAPS
        }
    return [_without_nulls(item) for item in value] if isinstance(value, list) else value


def _without_secrets(value: Any) -> Any:  # noqa: ANN401 - what JSON can hold
    """Return `value` without what its keys call a secret and without passwords in addresses."""
    if isinstance(value, dict):
        return {
            key: "***" if names_secret(key) and isinstance(item, str) else _without_secrets(item)
            for key, item in value.items()
        }
    if isinstance(value, list):
        return [_without_secrets(item) for item in value]
    return masked(value) if isinstance(value, str) else value


def _as_written(value: Any, document: Document) -> Any:  # noqa: ANN401 - what JSON can hold
    """Return `value` with every expansion undone: ${TOKEN} instead of the token."""
    for path, place in document.places.items():
        if place.expanded and place.written is not None:
            value = _cover(value, path, place.written)
    return value


def effective_text(settings: Settings) -> str:
    """Return the whole configuration as YAML: every default spelt out, every secret left out.

    What came from a `${…}` is shown as that; what is not built yet is not shown at all.
    """
    value = settings.model_dump(mode="json", exclude={"acme", "shared_state", "admin"})
    value = _without_nulls(value)
    for name, upstream in settings.upstreams.items():
        if not any(server.url.scheme == "https" for server in upstream.servers):
            del value["upstreams"][name]["tls"]
    whole = settings.headers_of()
    value["headers"] = {"preset": "none", **whole}
    for table, site in zip(value["sites"], settings.sites, strict=True):
        own = settings.headers_of(site)
        taken = {name: None for name in whole if name.lower() not in map(str.lower, own)}
        differs = {
            name: text
            for name, text in own.items()
            if name in site.headers.named or whole.get(name) != text
        }
        table["headers"] = {**differs, **taken}
    if settings.document is not None:
        value = _as_written(value, settings.document)
    text: str = yaml.safe_dump(_without_secrets(value), sort_keys=False, allow_unicode=True)
    return text
