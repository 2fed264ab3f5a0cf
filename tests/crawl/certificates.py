"""TLS servers on loopback, in order or not, with certificates made for the occasion."""

from __future__ import annotations

import datetime
import socket
import ssl
import warnings
from contextlib import contextmanager
from threading import Thread
from typing import TYPE_CHECKING, Any

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from cryptography.x509.oid import NameOID

from tests.crawl.web import Handler, Server

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from pathlib import Path

    from tests.crawl.web import Web

Key = ec.EllipticCurvePrivateKey | rsa.RSAPrivateKey
DAY = datetime.timedelta(days=1)


class TlsServer(Server):
    """The loopback web behind TLS; the handshake is made in the connection's own thread."""

    def __init__(self, web: Web, context: ssl.SSLContext) -> None:
        super().__init__(("127.0.0.1", 0), Handler)
        self.web = web
        self.context = context

    def get_request(self) -> tuple[Any, Any]:
        connection, address = super().get_request()
        wrapped = self.context.wrap_socket(
            connection, server_side=True, do_handshake_on_connect=False
        )
        return wrapped, address


class ClosingServer(Server):
    """Ends each connection as soon as it is made."""

    def verify_request(self, *_: object) -> bool:
        return False


class Authority:
    """Signs certificates; its own is written to `path`, for the crawler to trust."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.path = folder / "authority.pem"
        self._key = ec.generate_private_key(ec.SECP256R1())
        own = _builder("Test authority", self._key.public_key(), -1, 30)
        own = own.issuer_name(_name("Test authority")).add_extension(
            x509.BasicConstraints(ca=True, path_length=None), critical=True
        )
        signed = own.sign(self._key, hashes.SHA256())
        self.path.write_bytes(signed.public_bytes(serialization.Encoding.PEM))

    def context(self, kind: str, hosts: Sequence[str]) -> ssl.SSLContext:
        """A server's side of TLS for some hosts, faulty as `kind` says."""
        legacy = kind == "tls_legacy_cipher"
        key: Key = (
            rsa.generate_private_key(65_537, 2048)
            if legacy
            else ec.generate_private_key(ec.SECP256R1())
        )
        start, end = {"tls_expired": (-30, -1), "tls_not_yet_valid": (5, 30)}.get(kind, (-1, 30))
        names = ["www.another.example"] if kind == "tls_wrong_host" else hosts
        builder = _builder(hosts[0], key.public_key(), start, end).add_extension(
            x509.SubjectAlternativeName([x509.DNSName(name) for name in names]), critical=False
        )
        issuer, signer = _name("Test authority"), self._key
        if kind == "tls_unknown_authority":
            signer = ec.generate_private_key(ec.SECP256R1())
        if kind == "tls_self_signed":
            issuer, signer = _name(hosts[0]), key  # type: ignore[assignment]  # no RSA key here
        signed = builder.issuer_name(issuer).sign(signer, hashes.SHA256())
        path = self.folder / f"{kind}.pem"
        path.write_bytes(signed.public_bytes(serialization.Encoding.PEM) + _written(key))
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(path)
        if legacy:
            context.maximum_version = ssl.TLSVersion.TLSv1_2
            context.set_ciphers("NULL-SHA256@SECLEVEL=0")
        if kind == "tls_old_protocol":
            context.set_ciphers("ALL@SECLEVEL=0")
            with warnings.catch_warnings():  # Python warns of it, rightly
                warnings.simplefilter("ignore", DeprecationWarning)
                context.minimum_version = ssl.TLSVersion.TLSv1
                context.maximum_version = ssl.TLSVersion.TLSv1_1
        return context


def _name(text: str) -> x509.Name:
    return x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, text)])


def _builder(subject: str, key: Any, start: int, end: int) -> x509.CertificateBuilder:
    now = datetime.datetime.now(datetime.UTC)
    return (
        x509.CertificateBuilder()
        .subject_name(_name(subject))
        .public_key(key)
        .serial_number(x509.random_serial_number())
        .not_valid_before(now + start * DAY)
        .not_valid_after(now + end * DAY)
    )


def _written(key: Key) -> bytes:
    return key.private_bytes(
        serialization.Encoding.PEM,
        serialization.PrivateFormat.PKCS8,
        serialization.NoEncryption(),
    )


@contextmanager
def serving(web: Web, kind: str, hosts: Sequence[str], authority: Authority) -> Iterator[int]:
    """A server that speaks TLS in its own way for some hosts; its port."""
    if kind == "tls_black_hole":  # the system accepts, and nobody answers
        with socket.create_server(("127.0.0.1", 0), backlog=500) as silent:
            yield silent.getsockname()[1]
        return
    if kind == "tls_closed_at_once":
        server: Server = ClosingServer(("127.0.0.1", 0), Handler)
    elif kind == "tls_not_spoken":
        server = Server(("127.0.0.1", 0), Handler)
        server.web = web
    else:
        server = TlsServer(web, authority.context(kind, hosts))
    thread = Thread(target=server.serve_forever, args=(0.02,))
    thread.start()
    try:
        yield server.server_address[1]
    finally:
        server.shutdown()
        server.server_close()
        thread.join()
