"""Until when each site's certificates are good, for the status."""

import datetime as dt
from collections.abc import Mapping, Sequence

from cryptography import x509


def expiries(
    certificates: Mapping[str, Sequence[tuple[bytes, bytes]]], now: dt.datetime
) -> list[dict[str, object]]:
    """Return a line for each certificate.

    Args:
        certificates: Pairs of chain and key in PEM, by the site's first host.
        now: To count the days that are left.
    """
    return [
        _line(site, chain, now) for site, pairs in certificates.items() for chain, _key in pairs
    ]


def _line(site: str, chain: bytes, now: dt.datetime) -> dict[str, object]:
    try:
        leaf = x509.load_pem_x509_certificates(chain)[0]
    except ValueError as error:
        return {"site": site, "error": str(error)}
    end = leaf.not_valid_after_utc
    return {
        "site": site,
        "issuer": leaf.issuer.rfc4514_string(),
        "not_after": end.isoformat(),
        "days_left": (end - now).days,
    }
