"""Certificates for a test, made on the fly: an authority, the office's server, the router, a laptop."""

from __future__ import annotations

from typing import TYPE_CHECKING

from tests.packets import net

if TYPE_CHECKING:
    from pathlib import Path

_KEY = ("-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes")
_USES = {
    "server": ("serverAuth", "digitalSignature,keyEncipherment"),
    "client": ("clientAuth", "digitalSignature"),
}


def authority(folder: Path) -> None:
    """Make an authority and the shared key of `tls-crypt`."""
    folder.mkdir(parents=True)
    _openssl("req", "-x509", *_KEY, "-days", "2", "-subj", "/CN=lab", "-keyout", f"{folder}/ca.key",
             "-out", f"{folder}/ca.crt", "-addext", "keyUsage=critical,keyCertSign,cRLSign")  # fmt: skip
    net.run("openvpn", "--genkey", "secret", f"{folder}/tls-crypt.key")


def issue(folder: Path, name: str, kind: str) -> None:
    """Issue `name.crt` and `name.key`; the kind is `server` or `client`."""
    extended, usage = _USES[kind]
    stem = f"{folder}/{name}"
    (folder / f"{name}.ext").write_text(
        f"basicConstraints=CA:FALSE\nkeyUsage=critical,{usage}\nextendedKeyUsage={extended}\n"
    )
    _openssl("req", *_KEY, "-subj", f"/CN={name}", "-keyout", f"{stem}.key", "-out", f"{stem}.csr")
    _openssl("x509", "-req", "-in", f"{stem}.csr", "-CA", f"{folder}/ca.crt", "-CAkey", f"{folder}/ca.key",
             "-CAcreateserial", "-days", "2", "-out", f"{stem}.crt", "-extfile", f"{stem}.ext")  # fmt: skip


def _openssl(*arguments: str) -> None:
    net.run("openssl", *arguments)
