"""Models of `tls` and `acme`: what the handshake offers, and where certificates come from."""

from typing import Annotated, Literal

from pydantic import BeforeValidator, PlainValidator, WithJsonSchema

from proxy.settings import fields
from proxy.settings.fields import Duration, FilePath, Switch, Table, Words
from proxy.settings.forms import BY_FORM, TABLE, WORD
from proxy.settings.nearest import nearest
from proxy.settings.problem import WrongValueError

DEFAULT_CIPHERS = (
    "ECDHE-ECDSA-AES128-GCM-SHA256",
    "ECDHE-RSA-AES128-GCM-SHA256",
    "ECDHE-ECDSA-AES256-GCM-SHA384",
    "ECDHE-RSA-AES256-GCM-SHA384",
    "ECDHE-ECDSA-CHACHA20-POLY1305",
    "ECDHE-RSA-CHACHA20-POLY1305",
)
"""Mozilla's guideline 6.0, "intermediate", in its order. TLS 1.2 only: TLS 1.3 brings its own."""

FURTHER_CIPHERS = (
    "DHE-RSA-AES128-GCM-SHA256",
    "DHE-RSA-AES256-GCM-SHA384",
    "DHE-RSA-CHACHA20-POLY1305",
    "ECDHE-ECDSA-AES128-SHA256",
    "ECDHE-RSA-AES128-SHA256",
    "ECDHE-ECDSA-AES256-SHA384",
    "ECDHE-RSA-AES256-SHA384",
)
"""Others with forward secrecy, for clients that know nothing better."""

CERTIFICATE_WORDS = ("acme", "self_signed", "off")
KEY_TYPES = ("ec256", "ec384", "rsa2048", "rsa4096")
DIRECTORIES = ("letsencrypt", "letsencrypt-staging", "zerossl")


def _cipher(value: object) -> str:
    known = DEFAULT_CIPHERS + FURTHER_CIPHERS
    if not isinstance(value, str):
        raise WrongValueError("expected the OpenSSL name of a cipher")
    if value in known:
        return value
    if value.startswith("TLS_"):
        raise WrongValueError("TLS 1.3 brings its own ciphers; this list is for TLS 1.2")
    if value.startswith(("AES", "CAMELLIA", "DES", "RC4", "NULL", "ADH", "AECDH", "PSK")):
        raise WrongValueError("a cipher without forward secrecy is never offered")
    raise WrongValueError(f"expected one of {', '.join(known)}", nearest(value, known))


def _version(value: object) -> str:
    text = str(value).lower().removeprefix("tlsv").removeprefix("tls").strip()
    if text in {"1.2", "1.3"} and isinstance(value, str):
        return text
    raise WrongValueError('expected "1.2" or "1.3": what is older is broken and never offered')


def _stapling(value: object) -> str:
    if fields.is_off(value):
        return "off"
    if not isinstance(value, str):
        raise WrongValueError("expected auto or off")
    return fields.one_of(value, ("auto", "off"))


def _certificate_word(value: object) -> str:
    if fields.is_off(value):
        return "off"
    if not isinstance(value, str):
        raise WrongValueError("expected acme, self_signed, off, or {cert: cert.pem, key: key.pem}")
    return fields.one_of(value, CERTIFICATE_WORDS)


def _key_type(value: object) -> str:
    if not isinstance(value, str):
        raise WrongValueError(f"expected {' or '.join(KEY_TYPES)}")
    return fields.one_of(value, KEY_TYPES)


def _directory(value: object) -> str:
    if not isinstance(value, str):
        raise WrongValueError(f"expected {' or '.join(DIRECTORIES)}, or an https:// address")
    return value if value.startswith("https://") else fields.one_of(value, DIRECTORIES)


def _email(value: object) -> str:
    local, at, domain = value.partition("@") if isinstance(value, str) else ("", "", "")
    if not (local and at and "." in domain and value == "".join(str(value).split())):
        raise WrongValueError("expected an e-mail address such as ops@example.com")
    return f"{local}@{domain}"


def _renew_before(value: object) -> float | None:
    return None if value == "auto" else fields.span(value)


class CertificateFiles(Table):
    """A certificate that someone else obtained."""

    cert: FilePath
    """PEM file: the certificate and its chain."""
    key: FilePath
    """PEM file of the private key."""


class Tls(Table):
    """What every TLS site offers."""

    min_version: Annotated[str, PlainValidator(_version), fields.words_schema("1.2", "1.3")] = "1.2"
    ciphers: Annotated[
        tuple[Annotated[str, *fields.word(_cipher, "OpenSSL's name of a cipher")], ...],
        BeforeValidator(fields.filled_list),
    ] = DEFAULT_CIPHERS
    """For TLS 1.2, in order of preference."""
    http2: Switch = True
    """Offer HTTP/2 beside HTTP/1.1."""
    ocsp_stapling: Annotated[
        Literal["auto", "off"], PlainValidator(_stapling), fields.words_schema("auto", "off")
    ] = "off"


class EmailAlerts(Table):
    """Alerts by e-mail."""

    smtp: Words
    to: Annotated[str, *fields.word(_email, "an e-mail address")]


class Alerts(Table):
    """Who is told when a renewal fails or a certificate is about to expire."""

    webhook: Words | None = None
    email: EmailAlerts | None = None


class Acme(Table):
    """How certificates are obtained and renewed."""

    email: Annotated[str, *fields.word(_email, "an e-mail address")]
    directory: Annotated[str, *fields.word(_directory, "a name or an https:// address")] = (
        "letsencrypt"
    )
    ca_file: FilePath | None = None
    key_type: Annotated[str, PlainValidator(_key_type), fields.words_schema(*KEY_TYPES)] = "ec256"
    storage: FilePath | None = None
    """certbot's own layout; under `state_dir` when absent."""
    check_interval: Duration = 12 * 3600.0
    renew_before: Annotated[
        float | None,
        PlainValidator(_renew_before),
        WithJsonSchema({"type": ["string", "integer"]}),
    ] = None
    """auto (None here) asks the CA, else a third of the lifetime; or a duration."""
    on_renew: tuple[Words, ...] = ()
    alerts: Alerts = Alerts()


TlsChoice = Annotated[
    Annotated[
        Literal["acme", "self_signed", "off"],
        PlainValidator(_certificate_word),
        WithJsonSchema({"enum": [*CERTIFICATE_WORDS, "no", False, None]}),
        WORD,
    ]
    | Annotated[CertificateFiles, TABLE],
    BY_FORM,
]
