from pathlib import Path

import pytest
from hypothesis import given, strategies as st

from proxy.settings.load import load, load_text
from proxy.settings.models import CertificateFiles, Settings
from proxy.settings.problem import SettingsError
from tests.settings.loading import SITE

CONFIG = Path(__file__).parents[2] / "config"
EXAMPLES = sorted(CONFIG.glob("*.yaml"))


@pytest.mark.parametrize("path", EXAMPLES, ids=lambda path: path.name)
def test_every_example_loads(path: Path) -> None:
    assert load(str(path), {}).sites


def example(number: int) -> Settings:
    return load(str(CONFIG / f"deployment-{number}.yaml"), {})


SECURITY = {
    "Strict-Transport-Security": "max-age=63072000",
    "X-Content-Type-Options": "nosniff",
    "X-Frame-Options": "SAMEORIGIN",
    "Referrer-Policy": "no-referrer-when-downgrade",
}
XSS = {"X-XSS-Protection": "1; mode=block"}


def test_the_headers_of_the_deployments_to_the_letter() -> None:
    headers = [example(number).headers_of(example(number).sites[0]) for number in range(5)]
    assert headers[0] == {
        **SECURITY,
        **XSS,
        "Content-Security-Policy": "default-src 'self'",
        "Permissions-Policy": "geolocation=()",
    }
    without = {key: value for key, value in SECURITY.items() if not key.startswith("Strict")}
    assert headers[1] == {**without, **XSS}
    assert headers[2] == {
        **without, **XSS, "X-Frame-Options": "DENY", "Referrer-Policy": "no-referrer",
    }  # fmt: skip
    assert headers[3] == SECURITY
    assert headers[4] == {**SECURITY, **XSS, "Strict-Transport-Security": "max-age=31536000"}


def test_the_upstreams_of_the_deployments() -> None:
    found = {
        str(server.url)
        for number in range(5)
        for upstream in example(number).upstreams.values()
        for server in upstream.servers
    }
    assert found == {
        "http://django:8000", "http://react:80", "http://web:8000", "http://app1:8000",
        "http://127.0.0.1:5000", "http://pdezzy_web:8006",
    }  # fmt: skip


def test_paths_start_at_the_folder_of_the_file(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    text = SITE.replace("    routes:", "    tls: {cert: c.pem, key: k.pem}\n    routes:")
    (tmp_path / "proxy.yaml").write_text(text)
    monkeypatch.chdir(tmp_path)
    found = load("proxy.yaml", {})
    assert found.state_dir == str(tmp_path / "certs")
    assert found.sites[0].tls == CertificateFiles(
        cert=str(tmp_path / "c.pem"), key=str(tmp_path / "k.pem")
    )


def test_files_that_cannot_be_read(tmp_path: Path) -> None:
    (tmp_path / "bytes").write_bytes(b"workers: 1\n# \xff\n")
    (tmp_path / "large").write_bytes(b"#" * (2 << 20))
    for name, part in (
        ("gone", "gone: cannot read the configuration: No such file"),
        (".", "Is a directory"),
        ("bytes", "bytes:2:3: not UTF-8 text"),
        ("large", "larger than 1 MB"),
        ("nul\0", "no such path"),
    ):
        with pytest.raises(SettingsError, match=part):
            load(str(tmp_path / name), {})


def test_a_byte_order_mark_is_no_matter(tmp_path: Path) -> None:
    (tmp_path / "p").write_bytes(b"\xef\xbb\xbf" + SITE.encode())
    assert load(str(tmp_path / "p"), {}).sites


def test_the_report() -> None:
    with pytest.raises(SettingsError) as caught:
        load_text("worker: 2\n" + SITE.replace("routes", "rotes"), "proxy.yaml", {}, "/")
    assert str(caught.value) == (
        "proxy.yaml:1:1: worker: unknown key; did you mean `workers`?\n"
        "    worker: 2\n"
        "    ^\n"
        "proxy.yaml:4:5: sites[0].rotes: unknown key; did you mean `routes`?\n"
        "        rotes:\n"
        "        ^\n"
        "2 mistakes in the configuration"
    )


def test_equal_text_gives_equal_settings() -> None:
    assert load_text(SITE, "p", {}, "/") == load_text(SITE, "p", {}, "/")


FRAGMENTS = st.sampled_from(
    ["sites", "hosts", "routes", "path", "proxy", "tls", ":", ": ", "\n", "\n  ", "\n    ", "- ",
     "{", "}", "[", "]", ",", "'", '"', "*", "&a ", "*a", "!", "|", ">", "#", "%", "@", "`", "\t",
     "${A}", "${", "$$", "localhost", "/", "http://a:1", "80:30", "null", "~", "<<", "?", "---",
     "\ufeff", "\x85", "\u2028", "\0", "é", "0"]
)  # fmt: skip


def report(text: str) -> str:
    """What is said about a text: "" for a right one. Nothing but SettingsError may get out."""
    try:
        load_text(text, "p.yaml", {"A": "x"}, "/nowhere")
    except SettingsError as error:
        return str(error)
    return ""


@given(st.one_of(st.text(), st.lists(FRAGMENTS).map("".join), FRAGMENTS.map(lambda one: one * 200)))
def test_any_text_is_settings_or_a_settings_error(text: str) -> None:
    said = report(text)
    assert said.startswith("p.yaml")
    assert said.endswith("in the configuration")


@given(st.integers(0, len(EXAMPLES) - 1), st.data())
def test_a_damaged_example_is_settings_or_a_settings_error(
    number: int, data: st.DataObject
) -> None:
    text = EXAMPLES[number].read_text()
    at = data.draw(st.integers(0, len(text)))
    cut = data.draw(st.integers(0, 20))
    put = data.draw(FRAGMENTS)
    said = report(text[:at] + put + text[at + cut :])
    assert said == "" or said.endswith("in the configuration")
