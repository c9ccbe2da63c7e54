"""Short ways from YAML to a program, and from a program to what it does with a request."""

from collections.abc import Mapping
from textwrap import dedent

from proxy.compiler.program import compile_program
from proxy.compiler.sources import Pairs, Sources
from proxy.exchange.answer import Answer
from proxy.message.head import RequestHead
from proxy.message.target import normalise_path
from proxy.routing.program import Program
from proxy.routing.route import Route
from proxy.settings.load import load_text
from proxy.settings.models import Settings
from tests.policy.asking import asking

CERTIFICATES = {"site.example": ((b"chain", b"key"),), "localhost": ((b"chain2", b"key2"),)}


def settings(text: str) -> Settings:
    return load_text(dedent(text), "proxy.yaml", {}, "/srv")


def program(text: str, certificates: Mapping[str, Pairs] = CERTIFICATES) -> Program:
    return compile_program(settings(text), Sources(certificates))


def site_of(routes: str, more: str = "") -> Program:
    """A program with one site, its routes given as the items of a flow list."""
    return program(
        "upstreams: {app: {servers: [http://app:8000]}}\n"
        f"sites:\n  - hosts: [localhost]\n    routes: [{routes}]\n{dedent(more)}"
    )


def route(
    where: Program, target: str, method: str = "GET", block: bytes = b"", host: str = "localhost"
) -> Route | None:
    head = RequestHead(method, target, "HTTP/1.1")
    head.path = normalise_path(target)
    head.block = block
    site = where.sites.find(host)
    assert site is not None
    return site.routes.find(head)


def found(
    where: Program, target: str, method: str = "GET", block: bytes = b"", host: str = "localhost"
) -> Route:
    one = route(where, target, method, block, host)
    assert one is not None
    return one


def answer_of(one: Route, target: str = "/", method: str = "GET") -> Answer:
    for gate in one.gates:
        answer = gate(asking(target, "localhost", method))
        if isinstance(answer, Answer):
            return answer
    raise AssertionError("no gate answered")
