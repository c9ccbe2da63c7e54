"""Which servers a run may name."""

import sys
from pathlib import Path

from benchmarks.servers.caddy import Caddy
from benchmarks.servers.haproxy import HAProxy
from benchmarks.servers.nginx import Nginx
from benchmarks.servers.pyproxy import PyProxy
from benchmarks.servers.server import Server

DEFAULT = ("nginx", "haproxy", "caddy", "pyproxy")


def all_servers() -> dict[str, Server]:
    """Every server by the name that the command line knows it by."""
    return {
        "nginx": Nginx(),
        "nginx-buffered": Nginx("nginx, buffered log", "buffer=64k flush=1s"),
        "haproxy": HAProxy(),
        "caddy": Caddy(),
        "pyproxy": PyProxy(),
    }


def other_trees(words: tuple[str, ...]) -> dict[str, Server]:
    """pyproxy from other checkouts; each word is NAME=FOLDER.

    A checkout is run by the interpreter of its own `.venv`, else by this one.
    """
    servers: dict[str, Server] = {}
    for word in words:
        name, folder = split_word(word)
        own = folder.absolute() / ".venv" / "bin" / "python"
        python = str(own) if own.exists() else sys.executable
        servers[name] = PyProxy(f"pyproxy {name}", folder, python)
    return servers


def other_pythons(words: tuple[str, ...]) -> dict[str, Server]:
    """This checkout under other interpreters; each word is NAME=PROGRAM."""
    return {
        name: PyProxy(f"pyproxy {name}", python=str(program.absolute()))
        for name, program in map(split_word, words)
    }


def split_word(word: str) -> tuple[str, Path]:
    """Split NAME=PATH.

    Raises:
        ValueError: there is no name or no path.
    """
    name, equals, path = word.partition("=")
    if not (name and equals and path):
        raise ValueError(f"{word!r} is not NAME=PATH")
    return name, Path(path)
