"""Files of ``[tls]`` are understood, and what is wrong with them is said so that whoever reads it can mend it."""

from __future__ import annotations

import os
import shutil
import ssl
import subprocess
import time
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from midair.worker import certificates
from midair.worker.certificates import CertificateUnusable, expiry, load
from midair.worker.settings import TlsSettings
from tests.support.authority import Authority, Pair


def settings(pair: Pair, **more: str) -> TlsSettings:
    chosen = {"certfile": str(pair.certfile), "keyfile": str(pair.keyfile)} | more
    return TlsSettings(**chosen)  # type: ignore[arg-type]  # each is a string, and some are of a closed set


def refusal(chosen: TlsSettings) -> CertificateUnusable:
    with pytest.raises(CertificateUnusable) as caught:
        load(chosen)
    assert caught.value.code == "tls"
    return caught.value


def test_a_pair_is_loaded_and_its_end_is_known(pair: Pair) -> None:
    loaded = load(settings(pair))
    assert abs(loaded.not_after - datetime.now(UTC) - timedelta(days=90)) < timedelta(minutes=5)
    assert loaded.pem in pair.certfile.read_text()
    assert loaded.context.minimum_version is ssl.TLSVersion.TLSv1_2
    assert loaded.ciphers["TLS_AES_256_GCM_SHA384"] == 0x1302


def test_the_key_may_stand_behind_the_certificate(pair: Pair, tmp_path: Path) -> None:
    both = tmp_path / "both.pem"
    both.write_text(pair.certfile.read_text() + pair.keyfile.read_text())
    load(TlsSettings(certfile=str(both)))


def test_an_encrypted_key_is_opened_by_its_password(authority: Authority, tmp_path: Path) -> None:
    locked = authority.issue(password="hunter2")
    (tmp_path / "password").write_text("hunter2\n")
    load(settings(locked, keyfile_password="hunter2"))
    load(settings(locked, keyfile_password=f"file:{tmp_path / 'password'}"))
    wrong = refusal(settings(locked, keyfile_password="hunter3"))
    assert "the password does not open the key" in str(wrong)
    assert "hunter" not in str(wrong.fault())
    assert "encrypted, and there is no password" in str(refusal(settings(locked)))  # and nobody is asked at a terminal
    missing = refusal(settings(locked, keyfile_password="file:/nowhere"))
    assert str(missing) == "tls.keyfile_password: /nowhere cannot be read: No such file or directory"


def test_what_is_wrong_is_named(authority: Authority, pair: Pair, tmp_path: Path) -> None:
    empty, der, other = tmp_path / "empty", tmp_path / "der", authority.issue()
    empty.write_text("")
    der.write_bytes(ssl.PEM_cert_to_DER_cert(pair.certfile.read_text()))
    assert "/nowhere cannot be read: No such file" in str(refusal(settings(pair, certfile="/nowhere")))
    assert "/nowhere cannot be read: No such file" in str(refusal(settings(pair, keyfile="/nowhere")))
    assert "there is no certificate in" in str(refusal(settings(pair, certfile=str(empty))))
    assert "openssl x509 -inform der" in refusal(settings(pair, certfile=str(der))).hint
    assert "is not that of the certificate" in str(refusal(settings(pair, keyfile=str(other.keyfile))))
    assert "cannot be used" in str(refusal(settings(pair, keyfile=str(empty))))
    assert "there is no key beside the certificate" in str(refusal(settings(pair, keyfile="")))
    assert "OpenSSL knows no suite 'NONE-SUCH'" in str(refusal(settings(pair, ciphers="NONE-SUCH")))
    assert "tls.ca_certs: there is no certificate in" in str(
        refusal(settings(pair, ca_certs=str(empty), cert_reqs="required"))
    )


@pytest.mark.root
@pytest.mark.skipif(os.geteuid() != 0, reason="needs uid 0")
def test_a_key_that_this_user_may_not_read_is_said_with_the_user(pair: Pair, tmp_path: Path) -> None:
    pair.install(tmp_path)
    (tmp_path / "key.pem").chmod(0o600)
    os.chmod(tmp_path, 0o755)
    read, write = os.pipe()
    child = os.fork()
    if child == 0:
        os.setuid(65534)
        try:
            load(TlsSettings(certfile=str(tmp_path / "cert.pem"), keyfile=str(tmp_path / "key.pem")))
        except CertificateUnusable as error:
            os.write(write, f"{error} | {error.hint}".encode())
        os._exit(0)
    os.close(write)
    said = os.read(read, 1000).decode()
    os.close(read)
    os.waitpid(child, 0)
    assert "cannot be read: Permission denied" in said
    assert "uid 65534" in said


def test_files_that_were_renewed_look_different(pair: Pair, authority: Authority, tmp_path: Path) -> None:
    pair.install(tmp_path)
    chosen = TlsSettings(certfile="cert.pem", keyfile="key.pem").within(str(tmp_path))
    before = certificates.stamp(chosen)
    assert certificates.stamp(chosen) == before
    authority.issue().install(tmp_path, only="key")
    assert certificates.stamp(chosen) != before
    shutil.rmtree(tmp_path)
    assert certificates.stamp(chosen) == (None, None, None, None)


@pytest.mark.parametrize("days", [0, 1, 30000])
def test_the_end_of_a_certificate_is_what_openssl_says(authority: Authority, days: int) -> None:
    pem = authority.issue(days=days).certfile
    said = subprocess.run(
        ["openssl", "x509", "-noout", "-enddate", "-in", str(pem)], capture_output=True, text=True, check=True
    ).stdout
    seconds = ssl.cert_time_to_seconds(said.strip().removeprefix("notAfter="))
    assert expiry(ssl.PEM_cert_to_DER_cert(pem.read_text())).timestamp() == seconds
    assert seconds - time.time() > (days - 1) * 86400


@given(st.binary(max_size=200))
def test_bytes_that_are_no_certificate_are_refused(data: bytes) -> None:
    with pytest.raises(CertificateUnusable):
        expiry(data)


def test_paths_start_from_the_folder_as_typed() -> None:
    typed = TlsSettings(certfile="live/cert.pem", keyfile="/etc/key.pem", keyfile_password="file:secret")
    whole = typed.within("/srv/shop")
    assert (whole.certfile, whole.keyfile) == ("/srv/shop/live/cert.pem", "/etc/key.pem")
    assert whole.keyfile_password == "file:/srv/shop/secret"
    assert TlsSettings(keyfile_password="secret").within("/srv").keyfile_password == "secret"
    assert TlsSettings().within("/srv") == TlsSettings()
