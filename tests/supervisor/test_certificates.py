"""Certificates are made once, kept, and made anew when they no longer fit."""

from __future__ import annotations

import datetime
import re
import ssl
from pathlib import Path

import pytest
from apiserver_supervisor import certificates
from apiserver_supervisor.certificates import ADMIN, CertificateError, Pki, serving_subject
from cryptography import x509

SERVING = serving_subject("192.0.2.10", "10.0.0.1", "0.0.0.0", "api.example")


def serial(path: Path) -> int:
    return x509.load_pem_x509_certificate(path.read_bytes()).serial_number


def test_the_serving_certificate_names_the_service_and_this_machine(tmp_path: Path) -> None:
    pki = Pki(tmp_path / "pki")
    pair = pki.leaf("apiserver", pki.authority("ca"), SERVING)
    certificate = x509.load_pem_x509_certificate(pair.certificate.read_bytes())
    names = certificate.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
    assert {"kubernetes", "kubernetes.default.svc", "localhost", "api.example"} <= set(
        names.get_values_for_type(x509.DNSName)
    )
    addresses = {str(address) for address in names.get_values_for_type(x509.IPAddress)}
    assert {"192.0.2.10", "10.0.0.1", "127.0.0.1"} <= addresses and "0.0.0.0" not in addresses


def test_the_administrator_is_in_system_masters(tmp_path: Path) -> None:
    pki = Pki(tmp_path / "pki")
    pair = pki.leaf("admin", pki.authority("client-ca"), ADMIN)
    subject = x509.load_pem_x509_certificate(pair.certificate.read_bytes()).subject.rfc4514_string()
    assert subject == "CN=kubernetes-admin,O=system:masters"


def test_keys_are_private_and_everything_is_kept(tmp_path: Path) -> None:
    serials = []
    for _ in range(2):
        pki = Pki(tmp_path / "pki")
        pair = pki.leaf("apiserver", pki.authority("ca"), SERVING)
        key = pki.service_account_key()
        serials.append((serial(pair.certificate), key.read_bytes()))
        assert pair.key.stat().st_mode & 0o777 == key.stat().st_mode & 0o777 == 0o600
    assert serials[0] == serials[1]
    assert (tmp_path / "pki").stat().st_mode & 0o777 == 0o700
    ssl.create_default_context().load_cert_chain(pair.certificate, pair.key)


def test_other_names_make_another_certificate_of_the_same_authority(tmp_path: Path) -> None:
    pki = Pki(tmp_path / "pki")
    authority = pki.authority("ca")
    before, root = serial(pki.leaf("apiserver", authority, SERVING).certificate), serial(authority.certificate)
    moved = serving_subject("192.0.2.11", "10.0.0.1", "0.0.0.0", "api.example")
    assert serial(pki.leaf("apiserver", pki.authority("ca"), moved).certificate) != before
    assert serial(authority.certificate) == root


def test_a_certificate_about_to_expire_is_made_anew(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(certificates, "LEAF_LIFE", datetime.timedelta(days=29))
    pki = Pki(tmp_path / "pki")
    authority = pki.authority("ca")
    before = serial(pki.leaf("apiserver", authority, SERVING).certificate)
    monkeypatch.undo()
    assert serial(pki.leaf("apiserver", authority, SERVING).certificate) != before


def test_a_lost_certificate_of_an_authority_is_made_anew_with_its_key(tmp_path: Path) -> None:
    pki = Pki(tmp_path / "pki")
    authority = pki.authority("ca")
    before, key = serial(pki.leaf("apiserver", authority, SERVING).certificate), authority.key.read_bytes()
    authority.certificate.unlink()
    assert serial(pki.leaf("apiserver", pki.authority("ca"), SERVING).certificate) == before
    assert authority.key.read_bytes() == key


DAMAGES = {"empty": b"", "text": b"damaged", "half": None}


@pytest.mark.parametrize("damage", DAMAGES)
@pytest.mark.parametrize("name", ["ca.crt", "ca.key", "apiserver.crt", "apiserver.key", "sa.key"])
def test_what_cannot_be_read_is_named_and_never_replaced(tmp_path: Path, name: str, damage: str) -> None:
    pki = Pki(tmp_path / "pki")

    def all_of_them() -> None:
        pki.leaf("apiserver", pki.authority("ca"), SERVING)
        pki.service_account_key()

    all_of_them()
    path = pki.folder / name
    content = DAMAGES[damage]
    path.write_bytes(path.read_bytes()[:80] if content is None else content)
    held = {one.name: one.read_bytes() for one in pki.folder.iterdir()}
    with pytest.raises(CertificateError, match=re.escape(str(path))):
        all_of_them()
    assert {one.name: one.read_bytes() for one in pki.folder.iterdir()} == held


@pytest.mark.parametrize(("name", "other"), [("ca.key", "apiserver.key"), ("ca.crt", "apiserver.crt")])
def test_halves_of_different_pairs_are_refused(tmp_path: Path, name: str, other: str) -> None:
    pki = Pki(tmp_path / "pki")
    pki.leaf("apiserver", pki.authority("ca"), SERVING)
    (pki.folder / name).write_bytes((pki.folder / other).read_bytes())
    with pytest.raises(CertificateError, match="not the key of"):
        pki.authority("ca")


def test_an_authority_without_its_key_is_refused(tmp_path: Path) -> None:
    pki = Pki(tmp_path / "pki")
    pki.authority("ca").key.unlink()
    with pytest.raises(CertificateError, match=r"ca\.key: missing"):
        pki.authority("ca")
