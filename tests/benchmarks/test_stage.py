import ssl
import stat
from pathlib import Path

from benchmarks import stage
from benchmarks.stage import Cores, Options, Policies


def test_the_certificate_fits_its_key_and_the_key_is_private(tmp_path: Path) -> None:
    certificate, key = stage.make_certificate(tmp_path)
    ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER).load_cert_chain(certificate, key)
    assert stat.S_IMODE(key.stat().st_mode) == 0o600


def test_all_cores_are_everybodys_when_workers_share() -> None:
    assert Cores(frozenset({0}), frozenset({1, 2})).everything == {0, 1, 2}


def test_the_generation_is_sent_only_when_there_is_one() -> None:
    assert stage.response_headers(Options()) == stage.SECURITY_HEADERS
    assert stage.response_headers(Options(generation=3))["X-Generation"] == "3"


def test_without_policies_there_are_no_headers() -> None:
    assert stage.response_headers(Options(policies=Policies.NONE)) == {}
