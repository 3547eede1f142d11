"""An authority of the test's own, and certificates of it: made by the ``openssl`` command, in files as they are in real life."""

from __future__ import annotations

import shutil
import ssl
import subprocess
from dataclasses import dataclass
from pathlib import Path

from tests.support.installed import needs

_KEY = ("-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256")
# Python 3.13 checks strictly (RFC 5280): an authority says what its key is for, and who is signed names the key.
_SIGNS = ("-addext", "keyUsage=critical,keyCertSign,cRLSign")
_NAMES = "subjectAltName=DNS:{host},IP:127.0.0.1\nbasicConstraints=CA:FALSE\nauthorityKeyIdentifier=keyid\n"


@dataclass(frozen=True, slots=True)
class Pair:
    """A certificate and its key, in PEM files."""

    certfile: Path
    keyfile: Path

    def install(self, folder: Path, *, only: str = "both") -> None:
        """Rename copies into place as ``cert.pem`` and ``key.pem``. only: ``cert``, ``key``: half of a renewal."""
        for source, name in ((self.certfile, "cert.pem"), (self.keyfile, "key.pem")):
            if only == "both" or name.startswith(only):
                copy = folder / f"{name}.new"
                shutil.copy(source, copy)
                copy.replace(folder / name)


class Authority:
    """Signs, and is believed by ``client()``."""

    def __init__(self, folder: Path) -> None:
        needs("openssl")
        self.folder = folder
        folder.mkdir(exist_ok=True)
        self.ca_certs = folder / "ca.pem"
        self._count = 0
        subject = f"/CN=authority of {folder.name}"
        self._openssl("req", "-x509", *_KEY, *_SIGNS, "-nodes", "-keyout", "ca.key", "-out", "ca.pem", "-subj", subject)

    def issue(self, name: str = "localhost", *, days: int = 90, password: str = "") -> Pair:
        """A certificate that ends in ``days``; 0: it has ended. It is for localhost, or for ``name`` if that has a dot.

        password: its key is encrypted.
        """
        self._count += 1
        stem = f"{self._count}"
        lock = ("-passout", f"pass:{password}") if password else ("-nodes",)
        self._openssl(
            "req", *_KEY, *lock, "-keyout", f"{stem}.key", "-out", f"{stem}.csr", "-subj", f"/O=test/CN={name}"
        )
        (self.folder / "names").write_text(_NAMES.format(host=name if "." in name else "localhost"))
        signed_by = ("-CA", "ca.pem", "-CAkey", "ca.key", "-CAcreateserial", "-extfile", "names")
        self._openssl("x509", "-req", "-in", f"{stem}.csr", *signed_by, "-days", str(days), "-out", f"{stem}.pem")
        return Pair(self.folder / f"{stem}.pem", self.folder / f"{stem}.key")

    def client(self, shown: Pair | None = None) -> ssl.SSLContext:
        """What a client believes, and the certificate that it shows."""
        context = ssl.create_default_context(cafile=str(self.ca_certs))
        context.set_alpn_protocols(["http/1.1"])
        if shown:
            context.load_cert_chain(shown.certfile, shown.keyfile)
        return context

    def _openssl(self, *words: str) -> None:
        done = subprocess.run(["openssl", *words], cwd=self.folder, capture_output=True, text=True, check=False)
        assert done.returncode == 0, f"openssl {' '.join(words)}\n{done.stderr}"
