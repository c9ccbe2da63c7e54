import datetime as dt

import trustme

from proxy.run.expiry import expiries

END = dt.datetime(2030, 1, 31, tzinfo=dt.UTC)


def test_each_certificate_has_a_line_with_the_days_that_are_left() -> None:
    authority = trustme.CA(organization_name="Our own CA")
    leaf = authority.issue_cert("a.example", not_after=END)
    chain = b"".join(blob.bytes() for blob in leaf.cert_chain_pems)
    lines = expiries(
        {"a.example": ((chain, b"key"),), "b.example": ((b"nonsense", b"key"),)},
        END - dt.timedelta(days=30, hours=1),
    )
    assert lines[0]["site"] == "a.example"
    assert lines[0]["days_left"] == 30
    assert lines[0]["not_after"] == "2030-01-31T00:00:00+00:00"
    assert "Our own CA" in str(lines[0]["issuer"])
    assert lines[1]["site"] == "b.example"
    assert "error" in lines[1]
    assert "key" not in str(lines)
