"""Short ways from YAML to settings or to the problems in it."""

from textwrap import dedent

from proxy.settings.load import load_text
from proxy.settings.models import Settings
from proxy.settings.problem import Problem, SettingsError

ENVIRON = {"PORT": "8443", "TOKEN": "hunter2-the-secret", "EMPTY": ""}

SITE = """\
sites:
  - hosts: [localhost]
    routes:
      - {path: /, proxy: "http://app:8000"}
"""


def settings(text: str, folder: str = "/srv") -> Settings:
    return load_text(dedent(text), "proxy.yaml", ENVIRON, folder)


def problems(text: str, folder: str = "/srv") -> tuple[Problem, ...]:
    try:
        settings(text, folder)
    except SettingsError as error:
        return error.problems
    return ()


def lines(text: str) -> list[str]:
    """What is wrong, a `line:col: path: message` each."""
    return [f"{one.line}:{one.col}: {one.path}: {one.message}" for one in problems(text)]


def only(text: str) -> str:
    (line,) = lines(text)
    return line


def route(text: str) -> str:
    """A file whose one route is given as a flow mapping."""
    return (
        "upstreams: {app: {servers: [http://app:8000]}}\n"
        f"sites:\n  - hosts: [localhost]\n    routes: [{text}]\n"
    )
