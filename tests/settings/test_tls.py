import pytest

from proxy.settings.models import CertificateFiles
from proxy.settings.tls import DEFAULT_CIPHERS, Acme, Tls
from tests.settings.loading import SITE, only, settings


def test_defaults() -> None:
    found = settings(SITE).tls
    assert found.min_version == "1.2"
    assert found.ciphers == DEFAULT_CIPHERS
    assert found.ocsp_stapling == "off"
    assert ":".join(DEFAULT_CIPHERS) == (
        "ECDHE-ECDSA-AES128-GCM-SHA256:ECDHE-RSA-AES128-GCM-SHA256:"
        "ECDHE-ECDSA-AES256-GCM-SHA384:ECDHE-RSA-AES256-GCM-SHA384:"
        "ECDHE-ECDSA-CHACHA20-POLY1305:ECDHE-RSA-CHACHA20-POLY1305"
    )


@pytest.mark.parametrize("version", ["1.3", '"1.3"', "TLSv1.3", "tls1.3"])
def test_versions(version: str) -> None:
    assert settings(f"tls: {{min_version: {version}}}\n{SITE}").tls.min_version == "1.3"


@pytest.mark.parametrize(
    ("text", "part"),
    [
        ("min_version: 1.1", 'expected "1.2" or "1.3"'),
        ("min_version: 1", 'expected "1.2" or "1.3"'),
        ("ciphers: []", "the list is empty"),
        ("ciphers: [TLS_AES_128_GCM_SHA256]", "TLS 1.3 brings its own"),
        ("ciphers: [AES128-GCM-SHA256]", "without forward secrecy"),
        ("ciphers: [ECDHE-RSA-AES128-GCM-SHA265]", 'did you mean "ECDHE-RSA-AES128-GCM-SHA256"?'),
        ("ciphers: [HIGH]", "expected one of"),
        ("ciphers: [3]", "OpenSSL name"),
        ("ocsp_stapling: sometimes", "`ocsp_stapling`: not built yet"),
        ("ocsp_stapling: auto", "`ocsp_stapling`: not built yet"),
    ],
)
def test_mistakes(text: str, part: str) -> None:
    assert part in only(f"tls: {{{text}}}\n{SITE}")


def test_stapling_is_modelled() -> None:
    assert Tls.model_validate({"ocsp_stapling": "auto"}).ocsp_stapling == "auto"
    assert Tls.model_validate({"ocsp_stapling": False}).ocsp_stapling == "off"
    for wrong in ("sometimes", 3):
        with pytest.raises(ValueError, match="auto"):
            Tls.model_validate({"ocsp_stapling": wrong})


def test_one_cipher_alone() -> None:
    assert settings(f"tls: {{ciphers: ECDHE-RSA-AES128-GCM-SHA256}}\n{SITE}").tls.ciphers == (
        "ECDHE-RSA-AES128-GCM-SHA256",
    )


def test_certificate_files_are_absolute() -> None:
    found = settings(
        """
        sites:
          - hosts: [moviediary.live]
            tls: {cert: cert.pem, key: /keys/key.pem}
            routes: [{path: /, respond: 204}]
        """
    )
    assert found.sites[0].tls == CertificateFiles(cert="/srv/cert.pem", key="/keys/key.pem")


def test_acme_is_modelled() -> None:
    found = Acme.model_validate(
        {
            "email": "ops@example.com", "directory": "letsencrypt-staging", "key_type": "ec384",
            "storage": "le", "renew_before": "30d", "check_interval": "6h",
            "on_renew": ["./notify.sh"], "alerts": {"email": {"smtp": "x", "to": "a@b.c"}},
        },
        context={"folder": "/srv"},
    )  # fmt: skip
    assert (found.storage, found.renew_before) == ("/srv/le", 30 * 86400)
    assert Acme.model_validate({"email": "a@b.c", "renew_before": "auto"}).renew_before is None


@pytest.mark.parametrize(
    "given",
    [
        {"email": "nobody"}, {"email": "a@b.c", "directory": "letsencrypted"},
        {"email": "a@b.c", "directory": "http://ca"}, {"email": "a@b.c", "key_type": "dsa"},
        {"email": "a@b.c", "renew_before": "soon"}, {},
        {"email": "a@b.c", "key_type": 3}, {"email": "a@b.c", "directory": 3},
    ],
)  # fmt: skip
def test_acme_is_checked(given: dict[str, object]) -> None:
    with pytest.raises(ValueError, match="1 validation error"):
        Acme.model_validate(given)
