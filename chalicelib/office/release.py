"""The releases of pfSense that differ in what they write, told by the version number of a configuration."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Release:
    """A release, and what its `openvpn.inc` does otherwise than others.

    `negotiates`: writes `data-ciphers` (before: `cipher` and `ncp-ciphers`). `may_not_negotiate`: knows `ncp-disable`.
    `checks_use`: knows key usage validation. `resolves`: aliases in networks. `present_is_on`: an empty `<push_reset>` is on,
    and an override has pings of its own. `modern`: its OpenSSL knows no Blowfish and its OpenVPN no static keys any more.
    """

    name: str
    negotiates: bool = True
    may_not_negotiate: bool = False
    checks_use: bool = True
    resolves: bool = True
    present_is_on: bool = False
    modern: bool = False

    @property
    def old_layout(self) -> bool:
        """Whether its files lie in /var/etc/openvpn beside each other, and its pages are those of 2.4."""
        return not self.negotiates


V24 = Release("2.4.5", negotiates=False, may_not_negotiate=True, checks_use=False, resolves=False)
V25 = Release("2.5.2", may_not_negotiate=True, resolves=False)
V26 = Release("2.6.0", may_not_negotiate=True)
V27 = Release("2.7.2", modern=True)
V28 = Release("2.8", present_is_on=True, modern=True)
RELEASES = (V24, V25, V26, V27, V28)

# The first configuration version of each: 2.4.5 is 19.1, 2.5.2 21.7, 2.6.0 22.2, 2.7.2 23.3; flags are stored anew from 23.4.
_SINCE = (((23, 4), V28), ((22, 5), V27), ((22, 0), V26), ((20, 0), V25))


def release_of(version: tuple[int, int] | None) -> Release:
    """Return the release that wrote a configuration of a version; of an unknown one, 2.7.2."""
    if version is None:
        return V27
    return next((release for since, release in _SINCE if version >= since), V24)
