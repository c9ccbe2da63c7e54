"""Which keys the models know at a path of the file, and which one a stranger probably means."""

from typing import Any, get_args

from pydantic import BaseModel

from proxy.settings.models import Settings
from proxy.settings.nearest import nearest
from proxy.settings.not_built import NOT_BUILT, never
from proxy.settings.problem import Path

_ELSEWHERE = {
    "access_log": "log", "add_header": "response_headers", "alias": "files",
    "auth_basic": "basic_auth", "auth_basic_user_file": "users_file", "auth_request":
    "forward_auth", "backend": "proxy", "basicauth": "basic_auth", "certificate": "tls",
    "client_max_body_size": "limits", "disable_symlinks": "symlinks", "domain": "hosts",
    "domains": "hosts", "email": "acme", "encode": "compress", "error_log": "log", "error_page":
    "error_pages", "expires": "cache", "file_server": "files", "gzip": "compress",
    "gzip_min_length": "min_size", "gzip_static": "precompressed", "gzip_types": "types",
    "handle": "routes", "handle_errors": "error_pages", "host": "hosts",
    "include_subdomains": "headers", "limit_req": "rate_limit", "limit_req_status": "status",
    "limit_req_zone": "rate_limits", "location": "path", "locations": "routes", "lb": "balance",
    "match": "path", "max_age": "age", "nodelay": "delay", "proxy_intercept_errors":
    "intercept_errors", "name": "hosts", "ports": "listen", "prefix": "path",
    "proxy_pass": "proxy", "proxy_connect_timeout": "timeouts", "proxy_read_timeout": "timeouts",
    "proxy_send_timeout": "timeouts", "proxy_set_header": "request_headers", "real_ip_header":
    "trusted_proxies", "return": "redirect",
    "reverse_proxy": "proxy", "rewrite": "strip_prefix", "root": "files", "server": "sites",
    "server_name": "hosts", "server_names": "hosts", "set_real_ip_from": "trusted_proxies",
    "ssl": "tls", "ssl_certificate": "tls", "ssl_ciphers": "ciphers",
    "ssl_protocols": "min_version", "target": "proxy", "try_files": "fallback",
    "upstream": "proxy", "url": "proxy",
    "virtual_hosts": "sites", "whitelist": "allow", "worker_processes": "workers",
}  # fmt: skip
"""What nginx, Caddy and Traefik call the same things."""


def _models(annotation: Any) -> list[type[BaseModel]]:  # noqa: ANN401 - annotations are of any kind
    """Return the models inside an annotation: unions, tuples and dicts are looked through."""
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        return [annotation]
    return [model for part in get_args(annotation) for model in _models(part)]


def models_at(path: Path) -> list[type[BaseModel]]:
    """Return the models that the table at `path` may be of."""
    models: list[type[BaseModel]] = [Settings]
    for step in path:
        found: list[type[BaseModel]] = []
        for model in models:
            if isinstance(step, str) and step in model.model_fields:
                found += _models(model.model_fields[step].annotation)
        # An index and a name of the user's own, such as an upstream's, stay with the same model.
        models = found or models
    return models


def keys_at(path: Path) -> tuple[str, ...]:
    """Return the keys that do something in the table at `path`."""
    keys = dict.fromkeys(key for model in models_at(path) for key in model.model_fields)
    return tuple(key for key in keys if not _refused((*path, key)))


def _refused(path: Path) -> bool:
    """Tell whether a key is refused whatever its value."""
    return any(one.harmless is never and one.covers(path, "") for one in NOT_BUILT)


def meant(path: Path) -> str:
    """Return the key that an unknown one at `path` was probably meant to be, or ""."""
    allowed = keys_at(path[:-1])
    words = {key: key for key in allowed}
    words |= {other: key for other, key in _ELSEWHERE.items() if key in allowed}
    near = nearest(str(path[-1]), words)
    return words[near] if near else ""
