"""pyproxy: this checkout, or another one, under this interpreter, or another one."""

import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import yaml

from benchmarks.servers.server import Server
from benchmarks.stage import HOST, JSON, STATIC, Options, Part, Policies, response_headers

TREE = Path(__file__).parents[2]


class PyProxy(Server):
    """pyproxy from the checkout `tree`, run by the interpreter `python`, started as users do."""

    def __init__(
        self, name: str = "pyproxy", tree: Path = TREE, python: str = sys.executable
    ) -> None:
        self.name = name
        self.tree = tree.resolve()
        self.python = python

    def prepare(self, part: Part) -> list[str]:
        """Write proxy.yaml."""
        path = part.folder / "proxy.yaml"
        path.write_text(yaml.safe_dump(self.configuration(part), sort_keys=False))
        return self.command("serve", path)

    def command(self, verb: str, configuration: Path) -> list[str]:
        """One of pyproxy's own commands on this configuration."""
        return [self.python, "-m", "proxy", verb, "--config", str(configuration)]

    def reload_command(self, part: Part) -> list[str]:
        """`pyproxy reload`, which waits for the verdict."""
        return self.command("reload", part.folder / "proxy.yaml")

    def configuration(self, part: Part) -> dict[str, Any]:
        """What proxy.yaml holds: the policies of the other servers, in pyproxy's words."""
        origin: dict[str, Any] = {
            "servers": [f"http://{HOST}:{part.stage.origin_port}"],
            "keep_alive": {"connections": part.options.pool},
        }
        options = part.options
        if options.http2:
            origin["max_connections"] = options.pool
        if options.hold:
            origin["hold"] = f"{options.hold}s"
        logged = options.policies is not Policies.NONE
        return {
            "listen": {"http": None, "https": f"{HOST}:{part.port}"},
            "workers": part.workers,
            "state_dir": str(part.folder / "state"),
            "log": {
                "access": {
                    "to": str(part.folder / "access.log") if logged else "off",
                    "format": "combined",
                },
                "error": {"to": str(part.folder / "error.log"), "level": "info"},
            },
            "admin": None,
            "timeouts": {"keep_alive": f"{options.keep_alive}s"},
            "limits": {
                "connections": 20000,
                "connections_per_ip": 20000,
                "body": f"{options.body >> 20}MB",
                **({"websockets_per_ip": 0} if options.websockets else {}),
            },
            "upstreams": {"origin": origin},
            "headers": {**({} if logged else {"preset": "none"}), **response_headers(options)},
            **self.rate_limits(options),
            "sites": [
                {
                    "hosts": ["localhost"],
                    "default": True,
                    "tls": {"cert": str(part.stage.certificate), "key": str(part.stage.key)},
                    "routes": self.routes(part),
                }
            ],
        }

    def routes(self, part: Part) -> list[dict[str, Any]]:
        """All of it passed on, but for the folder; what is compressed has the defaults."""
        whole: dict[str, Any] = {"path": "/", "proxy": "origin"}
        if part.options.policies is Policies.EVERY:
            whole["rate_limit"] = "clients"
        else:
            whole["compress"] = "off"
        static = {"path": STATIC, "files": str(part.stage.static)}
        return [
            {"path": JSON, "proxy": "origin"},
            *([static] if part.options.files else []),
            whole,
        ]

    def rate_limits(self, options: Options) -> dict[str, Any]:
        """The limit by client; a file without limits stays one that older checkouts take."""
        if options.policies is not Policies.EVERY:
            return {}
        limit = {"rate": f"{options.rate}/second", "burst": options.burst}
        return {"rate_limits": {"clients": limit}}

    def version_command(self) -> list[str]:
        """`pyproxy --version`."""
        return [self.python, "-m", "proxy", "--version"]

    def folder(self, _part: Part | None) -> Path:
        """The checkout, so that its own `proxy` package is the one that is run."""
        return self.tree

    def environment(self) -> Mapping[str, str]:
        """Nothing of the rig's own Python path reaches the proxy."""
        return {"PYTHONPATH": ""}
