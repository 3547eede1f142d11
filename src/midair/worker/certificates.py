"""A certificate off the disk: read, understood, and put to use; or why it cannot be.

What is loaded is a context of its own each time, and the one before is not touched: OpenSSL would keep half of a pair that does
not match (tried: a context that was given another certificate has lost its key). Knows nothing of connections, so that the
command line and the supervisor's children can look at the files as a worker would.
"""

from __future__ import annotations

import os
import ssl
from datetime import datetime

from msgspec import Struct

from midair.errors import ConfigError
from midair.worker.settings import TlsSettings

FILE_MAX_BYTES = 1024 * 1024
"""A chain has a few KiB, a bundle of authorities some hundreds."""
SECRET = "file:"
_VERSIONS = {"1.2": ssl.TLSVersion.TLSv1_2, "1.3": ssl.TLSVersion.TLSv1_3}
_ASKED = {"none": ssl.CERT_NONE, "optional": ssl.CERT_OPTIONAL, "required": ssl.CERT_REQUIRED}
_BEGIN, _END = "-----BEGIN CERTIFICATE-----", "-----END CERTIFICATE-----"

Stamp = tuple[tuple[int, ...] | None, ...]
"""How the files looked: another one means that they may hold something else."""


class CertificateUnusable(ConfigError):
    """A file of ``[tls]`` cannot be read, is not what it should be, or does not fit the others."""

    code = "tls"


class Certificate(Struct, frozen=True):
    """A pair in use."""

    context: ssl.SSLContext
    pem: str
    """The certificate that is shown, without the chain behind it."""
    not_after: datetime
    stamp: Stamp
    ciphers: dict[str, int]
    """The numbers of the cipher suites, by name."""


def load(settings: TlsSettings) -> Certificate:
    """Read all files of ``settings``, whose paths are absolute. Blocks. Raises CertificateUnusable."""
    seen = stamp(settings)  # Before the files are read: what changes meanwhile is seen the next time.
    pem = first_certificate(_read("certfile", settings.certfile), settings.certfile)
    if settings.keyfile:
        _read("keyfile", settings.keyfile)
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.minimum_version = _VERSIONS[settings.min_version]
    context.set_alpn_protocols(["http/1.1"])
    _choose_ciphers(context, settings.ciphers)
    _load_pair(context, settings)
    _ask_clients(context, settings)
    not_after = expiry(ssl.PEM_cert_to_DER_cert(pem), settings.certfile)
    ciphers = {str(each["name"]): int(each["id"]) & 0xFFFF for each in context.get_ciphers()}
    return Certificate(context, pem, not_after, seen, ciphers)


def stamp(settings: TlsSettings) -> Stamp:
    """How the files look now. Links are followed: a renewal swaps them."""
    secret = settings.keyfile_password
    paths = [settings.certfile, settings.keyfile, settings.ca_certs]
    return tuple(_looks(path) for path in (*paths, secret.removeprefix(SECRET) if secret.startswith(SECRET) else ""))


def _looks(path: str) -> tuple[int, ...] | None:
    if not path:
        return None
    try:
        found = os.stat(path)
    except OSError:
        return None
    return found.st_dev, found.st_ino, found.st_size, found.st_mtime_ns, found.st_ctime_ns


def _read(key: str, path: str) -> str:
    try:
        with open(path, "rb") as file:
            data = file.read(FILE_MAX_BYTES + 1)
    except OSError as exc:
        hint = {
            FileNotFoundError: "a path is relative to the service's folder",
            PermissionError: f"it must be readable by the user that midair runs as (uid {os.geteuid()})",
        }.get(type(exc), "")
        raise CertificateUnusable(f"tls.{key}: {path} cannot be read: {exc.strerror}", hint=hint) from exc
    if len(data) > FILE_MAX_BYTES:
        raise CertificateUnusable(f"tls.{key}: {path} is larger than {FILE_MAX_BYTES} bytes")
    return data.decode("latin-1")


def first_certificate(text: str, path: str) -> str:
    """The first certificate of a PEM file, in PEM. Raises CertificateUnusable."""
    _, begin, rest = text.partition(_BEGIN)
    body, end, _ = rest.partition(_END)
    if not (begin and end):
        hint = "PEM is wanted: it begins with -----BEGIN CERTIFICATE-----"
        if text[:1] == "\x30":
            hint = f"it looks like DER: openssl x509 -inform der -in {path} -out {path}.pem"
        raise CertificateUnusable(f"tls.certfile: there is no certificate in {path}", hint=hint)
    return f"{begin}{body}{end}\n"


def _choose_ciphers(context: ssl.SSLContext, ciphers: str) -> None:
    if not ciphers:
        return
    try:
        context.set_ciphers(ciphers)
    except ssl.SSLError as exc:
        raise CertificateUnusable(
            f"tls.ciphers: OpenSSL knows no suite {ciphers!r}", hint="see `openssl ciphers -s -tls1_2`"
        ) from exc


def _load_pair(context: ssl.SSLContext, settings: TlsSettings) -> None:
    keyfile = settings.keyfile or settings.certfile
    password = _Password(settings.keyfile_password)
    try:
        context.load_cert_chain(settings.certfile, keyfile, password=password)
    except (OSError, ValueError) as exc:  # ValueError: a password that is longer than OpenSSL takes
        raise _pair_refused(exc, settings, keyfile, password) from exc


class _Password:
    """Asked for by OpenSSL if the key is encrypted. Without one it would ask at the terminal, and wait."""

    def __init__(self, written: str) -> None:
        self.written = written
        self.was_asked = False

    def __call__(self) -> bytes:
        self.was_asked = True
        if not self.written.startswith(SECRET):
            return self.written.encode()
        # One line end at the end belongs to the file, not to the secret.
        text = _read("keyfile_password", self.written.removeprefix(SECRET))
        return text.encode("latin-1").removesuffix(b"\n").removesuffix(b"\r")


def _pair_refused(exc: Exception, settings: TlsSettings, keyfile: str, password: _Password) -> CertificateUnusable:
    # The cause is looked for in what OpenSSL says; its own words are no help to anybody.
    reason = getattr(exc, "reason", "") or ""
    if reason == "KEY_VALUES_MISMATCH":
        hint = "compare `openssl x509 -noout -pubkey` of the one with `openssl pkey -pubout` of the other"
        return CertificateUnusable(
            f"tls: the key in {keyfile} is not that of the certificate in {settings.certfile}", hint=hint
        )
    if password.was_asked and not password.written:
        hint = 'write keyfile_password = "file:PATH", or take the encryption off with `openssl pkey`'
        return CertificateUnusable(f"tls: the key in {keyfile} is encrypted, and there is no password", hint=hint)
    if password.was_asked:
        return CertificateUnusable(
            f"tls: the password does not open the key in {keyfile}", hint="see tls.keyfile_password"
        )
    if not settings.keyfile:
        hint = "write keyfile, if the key stands in a file of its own"
        return CertificateUnusable(f"tls: there is no key beside the certificate in {settings.certfile}", hint=hint)
    hint = "PEM is wanted: it begins with -----BEGIN PRIVATE KEY----- (or RSA, EC, ENCRYPTED)"
    what = f"{settings.certfile} and {keyfile} cannot be used" + (
        f" ({reason.lower().replace('_', ' ')})" if reason else ""
    )
    return CertificateUnusable(f"tls: {what}", hint=hint)


def _ask_clients(context: ssl.SSLContext, settings: TlsSettings) -> None:
    context.verify_mode = _ASKED[settings.cert_reqs]
    if not settings.ca_certs:
        return
    _read("ca_certs", settings.ca_certs)
    try:
        context.load_verify_locations(settings.ca_certs)
    except (OSError, ValueError) as exc:
        hint = "PEM is wanted: it begins with -----BEGIN CERTIFICATE-----"
        raise CertificateUnusable(f"tls.ca_certs: there is no certificate in {settings.ca_certs}", hint=hint) from exc


# --- when it ends ---------------------------------------------------------------------------------------------------


def expiry(der: bytes, path: str = "") -> datetime:
    """Until when a certificate holds (RFC 5280, 4.1.2.5): the one thing that the ssl module does not tell of its own certificate.

    Raises CertificateUnusable.
    """
    try:
        fields = _Der(_Der(_Der(der).next(0x30)).next(0x30))
        if fields.tag == 0xA0:
            fields.next(0xA0)  # version
        for tag in (0x02, 0x30, 0x30):  # serial number, signature, issuer
            fields.next(tag)
        validity = _Der(fields.next(0x30))
        validity.next(validity.tag)
        return _time(validity.tag, validity.next(validity.tag).decode("ascii"))
    except (IndexError, ValueError) as exc:
        raise CertificateUnusable(f"tls.certfile: the certificate in {path} is damaged") from exc


class _Der:
    """Reads one element after the other."""

    def __init__(self, data: bytes) -> None:
        self._data = data
        self._at = 0

    @property
    def tag(self) -> int:
        return self._data[self._at]

    def next(self, tag: int) -> bytes:
        """The content of the next element. Raises ValueError, IndexError."""
        if self.tag != tag:
            raise ValueError(f"tag {self.tag:#x} where {tag:#x} was due")
        length, at = self._data[self._at + 1], self._at + 2
        if length & 0x80:
            size = length & 0x7F
            length, at = int.from_bytes(self._data[at : at + size]), at + size
        self._at = at + length
        if self._at > len(self._data):
            raise IndexError("an element is longer than what holds it")
        return self._data[at : self._at]


def _time(tag: int, text: str) -> datetime:
    if tag == 0x17:
        # Two digits of the year: 1950 to 2049 (RFC 5280), which is not where strptime draws the line.
        text = ("20" if text < "50" else "19") + text
    elif tag != 0x18:
        raise ValueError(f"tag {tag:#x} is no time")
    return datetime.strptime(text, "%Y%m%d%H%M%S%z")  # its end is a Z, which %z reads
