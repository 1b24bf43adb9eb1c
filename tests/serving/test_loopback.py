"""The health check of the certificate that is in no file."""

from apiserver_supervisor import certificates
from apiserver_workers.aggregator.app import loopback_check


def test_it_fails_once_the_certificate_has_expired(monkeypatch) -> None:
    check = loopback_check(certificates.loopback_pair()[0])
    assert check() == ""
    monkeypatch.setattr("apiserver_workers.aggregator.app.time.time", lambda: 1e12)
    assert check() == "loopback serving certificate is expired"
