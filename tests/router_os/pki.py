"""The office's CA and what it issues; every private key is a canary to be searched for."""

from __future__ import annotations

import datetime as dt
from dataclasses import dataclass, field

from tests import pki


@dataclass(frozen=True)
class Identity:
    """A certificate and its key, in PEM."""

    certificate: str
    key: str


@dataclass
class Authority:
    """A CA of its own, and the tls-crypt key of the server that it stands for."""

    holder: pki.Holder = field(default_factory=lambda: pki.issue("office CA", None, authority=True, uses=()))
    tls_crypt: str = field(default_factory=lambda: static_key(7))

    @property
    def certificate(self) -> str:
        """The CA's certificate, in PEM."""
        return self.holder.pem.decode()

    def issue(self, common_name: str, *, days: float = 20, server: bool = False) -> Identity:
        """Issue a certificate for a client or a server; days below 0 have passed."""
        lasts = dt.timedelta(days=days)
        uses = pki.SERVER if server else pki.CLIENT
        holder = pki.issue(common_name, self.holder, uses=uses, lasts=lasts, since=dt.timedelta(days=60))
        return Identity(holder.pem.decode(), holder.key_pem().decode())


def static_key(seed: int = 8) -> str:
    """Make a tls-crypt key; the office's own is that of seed 7."""
    return pki.static_key(seed).decode()
