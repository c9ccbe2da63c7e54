from pathlib import Path

import pytest
import yaml
from jsonschema import Draft202012Validator

from proxy.settings.schema import json_schema, schema_text

CONFIG = Path(__file__).parents[2] / "config"
VALIDATOR = Draft202012Validator(json_schema())


def test_the_file_in_config_is_current() -> None:
    kept = (CONFIG / "proxy.schema.json").read_text()
    assert kept == schema_text(), "write proxy.settings.schema.schema_text() to config/"


def test_it_is_a_schema() -> None:
    Draft202012Validator.check_schema(json_schema())


@pytest.mark.parametrize("path", sorted(CONFIG.glob("*.yaml")), ids=lambda path: path.name)
def test_every_example_passes(path: Path) -> None:
    assert [
        error.message for error in VALIDATOR.iter_errors(yaml.safe_load(path.read_text()))
    ] == []


@pytest.mark.parametrize(
    "text",
    [
        "{}",
        "sites: []\nworker: 3",
        "sites: [{hosts: [a], routes: [{path: /, porxy: x}]}]",
        "sites: [{hosts: [a], tls: sometimes, routes: [{path: /, proxy: x}]}]",
        "sites: [{hosts: [a], routes: [{path: /, proxy: x}]}]\ntimeouts: {keep_alive: [1]}",
        "headers: {preset: stricter}\nsites: []",
        "sites: [{hosts: [a], maintenance: {page: a.html}, routes: []}]",
        "sites: [{hosts: [a], basic_auth: on, routes: []}]",
    ],
)
def test_mistakes_do_not_pass(text: str) -> None:
    assert not VALIDATOR.is_valid(yaml.safe_load(text))


@pytest.mark.parametrize(
    "text",
    [
        "sites: [{hosts: a, routes: [{path: /, redirect: /b}]}]",
        "sites: [{hosts: [a], tls: off, routes: [{path: /, methods: GET, respond: 204}]}]",
        "listen: {http: 80, https: null}\ntrusted_proxies: off\nsites: [{hosts: [a], routes: []}]",
        "upstreams: {a: {servers: http://a, health_check: off, buffering: on}}\nsites: []",
        "sites: [{hosts: a, compress: off, rate_limit: [a], routes: [{files: /a, cache: 1y}]}]",
        "sites: [{hosts: a, maintenance: on, allow: 10.0.0.0/8, basic_auth: off, routes: []}]",
        "headers: {preset: strict, X-A: null}\nerror_pages: {5xx: a.html}\nsites: []",
    ],
)
def test_short_forms_pass(text: str) -> None:
    assert VALIDATOR.is_valid(yaml.safe_load(text))


@pytest.mark.parametrize("word", ["off", "no", False])  # as YAML 1.2 and 1.1 read it
def test_what_can_be_switched_off_takes_any_word_for_it(word: object) -> None:
    keys = ("tls", "redirect_http", "compress", "maintenance", "rate_limit", "allow",
            "basic_auth", "forward_auth", "intercept_errors")  # fmt: skip
    site = {"hosts": "a", "routes": [], **dict.fromkeys(keys, word)}
    upstream = {"servers": "http://a", "health_check": word, "keep_alive": word}
    whole = {"proxy_protocol": word, "upstreams": {"a": upstream}, "sites": [site]}
    assert [error.message for error in VALIDATOR.iter_errors(whole)] == []


@pytest.mark.parametrize("word", ["on", "yes", True])
def test_checks_of_health_take_their_defaults_by_a_word(word: object) -> None:
    upstreams = {"a": {"servers": "http://a", "health_check": word}}
    assert VALIDATOR.is_valid({"upstreams": upstreams, "sites": []})


def test_defaults_are_spelt_as_in_the_file() -> None:
    definitions = json_schema()["$defs"]
    assert definitions["Timeouts"]["properties"]["keep_alive"]["default"] == "75s"
    assert definitions["Limits"]["properties"]["body"]["default"] == "100MB"
    assert definitions["Listen"]["properties"]["http"]["default"] == [":80"]


def test_what_is_not_built_says_so() -> None:
    found = json_schema()
    assert found["properties"]["acme"]["deprecated"]
    assert found["properties"]["acme"]["description"] == "Not built yet: refused."
    assert "deprecated" not in found["$defs"]["Route"]["properties"]["files"]
