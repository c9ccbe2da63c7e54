"""Certificates of authorities, read from a PEM file for whoever may not read it later."""

import re
from pathlib import Path

from proxy.certificates.pair import CertificateError, read_pem

_CERTIFICATE = re.compile(rb"-----BEGIN CERTIFICATE-----[\x20-\x7e\s]+?-----END CERTIFICATE-----")


def load_authorities(path: Path) -> str:
    """Return the certificates in a file as PEM, and nothing else of it: no comment, no key.

    Raises:
        CertificateError: The file cannot be read, or has no certificate.
    """
    content, _ = read_pem(path)
    found = _CERTIFICATE.findall(content)
    if not found:
        raise CertificateError(f"{path}: no certificates in PEM")
    return "".join(f"{each.decode('ascii')}\n" for each in found)
