"""Writes what pfSense would write of a backup: a server's configuration and its clients' files, as the backup's release does.

The facts are those of pfSense's `openvpn.inc` (`openvpn_reconfigure`, `openvpn_resync_csc`), in its order.
"""

from __future__ import annotations

import base64
from ipaddress import IPv4Address, IPv4Interface
from typing import TYPE_CHECKING
from urllib.parse import quote_plus

from chalicelib.office.backup import Entry, number
from chalicelib.office.csc import TLS_MODES, overrides
from chalicelib.office.effective import Effective, File
from chalicelib.office.language import Line
from chalicelib.office.pushed import client_options, custom, routes
from chalicelib.office.release import V25, Release, release_of

if TYPE_CHECKING:
    from collections.abc import Iterator

    from chalicelib.office.backup import Backup

LAPTOPS_MODES = TLS_MODES[1:]
UNKNOWN_ADDRESS = "(the interface's address)"
"""Written for an address that only the running firewall knows."""


def effective(backup: Backup, server: Entry) -> Effective:
    """Write what pfSense would write for a server, and for its clients."""
    release = release_of(backup.version)
    number = server.text("vpnid")
    path = f"/var/etc/openvpn/server{number}{'.conf' if release.old_layout else '/config.ovpn'}"
    lines = tuple(_Server(backup, server, release).lines())
    return Effective(f"server {number}", File(path, lines), overrides(backup, server, release))


class _Server:
    """One server of one release, written part by part."""

    def __init__(self, backup: Backup, server: Entry, release: Release) -> None:
        self.backup, self.server, self.release = backup, server, release
        self.number, self.mode = server.text("vpnid"), server.text("mode")
        self.device = server.text("dev_mode") or "tun"
        self.protocol = server.text("protocol")
        self.network = _tunnel_network(backup, server.text("tunnel_network"), release)
        self.small = self.network is not None and self.network.network.prefixlen >= 30

    @property
    def _recent(self) -> bool:
        """Whether it is of 2.6 or later."""
        return not self.release.old_layout and self.release is not V25

    def _file(self, name: str) -> str:
        return f"/var/etc/openvpn/server{self.number}{'.' if self.release.old_layout else '/'}{name}"

    def _option(self, directive: str, element: str, *, when: bool = True) -> Iterator[Line]:
        if when and self.server.is_true(element):
            yield Line(directive.format(self.server.text(element)), element)

    def lines(self) -> Iterator[Line]:
        """Write the whole file."""
        yield from self._device()
        yield from self._pings()
        yield from self._transport()
        yield from self._addresses()
        yield from self._users()
        yield from self._clients()
        yield from self._remote_networks()
        yield from self._keys()
        yield from self._ciphers()
        yield from self._compression()
        yield from self._rest()
        yield from custom(self.server)

    def _device(self) -> Iterator[Line]:
        yield Line(f"dev ovpns{self.number}", "vpnid")
        if self.server.is_set("verbosity_level"):
            yield Line(f"verb {self.server.text('verbosity_level')}", "verbosity_level")
        yield Line(f"dev-type {self.device}", "dev_mode")
        yield Line(f"dev-node /dev/{self.device}{self.number}", "dev_mode")
        yield Line(f"writepid /var/run/openvpn_server{self.number}.pid")
        yield Line("#user nobody")
        yield Line("#group nobody")
        yield Line("script-security 3")
        yield Line("daemon")
        if self.release.old_layout:
            yield from self._option("inactive {}", "inactive_seconds")

    def _pings(self) -> Iterator[Line]:
        server = self.server
        if server.text("ping_method") == "ping":
            yield Line(f"ping {server.text('ping_seconds')}", "ping_seconds")
            if server.is_true("ping_push"):
                yield Line(f'push "ping {server.text("ping_seconds")}"', "ping_push")
            action = f"{server.text('ping_action').replace('_', '-')} {server.text('ping_action_seconds')}"
            yield Line(action, "ping_action")
            if server.is_true("ping_action_push"):
                yield Line(f'push "{action}"', "ping_action_push")
        else:
            interval = server.text("keepalive_interval") if server.is_true("keepalive_interval") else "10"
            timeout = server.text("keepalive_timeout") if server.is_true("keepalive_timeout") else "60"
            yield Line(f"keepalive {interval} {timeout}", "keepalive_timeout")
        yield Line("ping-timer-rem")
        yield Line("persist-tun")
        yield Line("persist-key")

    def _transport(self) -> Iterator[Line]:
        server = self.server
        proto = self.protocol.lower() + ("-server" if self.protocol.startswith("TCP") else "")
        yield Line(f"proto {proto}", "protocol")
        if self.release.old_layout:
            yield Line(f"cipher {server.text('crypto')}", "crypto")
        yield Line(f"auth {server.text('digest') or 'SHA1'}", "digest")
        names = server.is_true("dns_add") and self._recent
        yield Line(f"up /usr/local/sbin/{'ovpn-dnslinkup' if names else 'ovpn-linkup'}")
        yield Line("down /usr/local/sbin/ovpn-linkdown")
        if self.mode in (LAPTOPS_MODES if self._recent else LAPTOPS_MODES[1:]):
            yield Line("client-connect /usr/local/sbin/openvpn.attributes.sh")
            yield Line("client-disconnect /usr/local/sbin/openvpn.attributes.sh")
        yield from self._names()
        yield from self._local()
        if server.text("engine") not in ("", "none") and not self.release.present_is_on:
            yield Line(f"engine {server.text('engine')}", "engine")

    def _names(self) -> Iterator[Line]:
        """Have the resolver learn clients' names, where it is asked to."""
        resolver = next(iter(self.backup.of("unbound")), Entry({}))
        if self.device == "tun" and resolver.is_set("enable") and resolver.is_set("regovpnclients"):
            system = next(iter(self.backup.of("system")), Entry({}))
            named = self.server.text("username_as_common_name") == "enabled" and not self.release.old_layout
            if self.mode in ("server_tls", "server_tls_user") or (self.mode == "server_user" and named):
                domain = self.server.text("dns_domain") or system.text("domain")
                yield Line(f'learn-address "/usr/local/sbin/openvpn.learn-address.sh {domain}"')

    def _local(self) -> Iterator[Line]:
        everywhere = self.server.text("interface") == "any"
        if self.protocol in ("UDP", "TCP"):
            yield Line("multihome", "protocol")
        elif self.protocol.endswith(("4", "6")):
            address = local_address(self.backup, self.server)
            if address:
                yield Line(f"local {address}", "interface")
            if everywhere:
                yield Line("multihome", "interface")

    def _addresses(self) -> Iterator[Line]:
        if self.mode in TLS_MODES:
            yield Line("tls-server", "mode")
        network = self.network
        folder = f"/var/etc/openvpn-csc/server{self.number}" if self.release.old_layout else self._file("csc")
        directory = Line(f"client-config-dir {folder}", "mode")
        v6 = self.server.text("tunnel_networkv6")
        if self.mode in ("p2p_tls", *LAPTOPS_MODES):
            served = network is not None and (self.mode != "p2p_tls" or not self.small)
            if served and network is not None:
                yield Line(f"server {network.ip} {network.netmask}", "tunnel_network")
            if v6 and (served or not self.release.old_layout):
                yield Line(f"server-ipv6 {v6}", "tunnel_networkv6")
            if served or v6:
                yield directory
        if self.mode in ("p2p_tls", "p2p_shared_key") and network is not None:
            first = network.network.network_address + (0 if network.network.prefixlen == 31 else 1)
            other = str(first + 1) if self.device == "tun" else str(network.netmask)
            yield Line(f"ifconfig {first} {other}", "tunnel_network")

    def _users(self) -> Iterator[Line]:
        server = self.server
        if self.mode == "server_user":
            yield Line("verify-client-cert none", "mode")
        if self.mode in ("server_user", "server_tls_user"):
            if self.release.old_layout or server.text("username_as_common_name") != "disabled":
                yield Line("username-as-common-name", "username_as_common_name")
            if server.text("authmode"):
                strict = "true" if server.is_true("strictusercn") else "false"
                plugin = "/usr/local/lib/openvpn/plugins/openvpn-plugin-auth-script.so"
                asks = "/usr/local/sbin/ovpn_auth_verify_async user"
                where = f"server{self.number} {server.text('local_port')}"
                yield Line(
                    f"plugin {plugin} {asks} {_base64(server.text('authmode'))} {strict} {where}", "mode"
                )
        depth = (
            server.text("cert_depth") if server.is_set("cert_depth") else ("1" if "tls" in self.mode else "")
        )
        if number(depth) is not None:
            certificate = self.backup.certificate(server.text("certref"))
            name = quote_plus(certificate.common_name) if certificate else ""
            yield Line(f"tls-verify \"/usr/local/sbin/ovpn_auth_verify tls '{name}' {depth}\"", "cert_depth")

    def _clients(self) -> Iterator[Line]:
        server, push = self.server, self.release.resolves
        yield Line(f"lport {server.text('local_port')}", "local_port")
        socket = self._file("sock")
        yield Line(f"management {socket} unix")
        yield from self._option("max-clients {}", "maxclients")
        if not server.is_true("gwredir"):
            yield from routes(self.backup, server, "local_network", 'push "route {} {}"', resolves=push)
        if not server.is_true("gwredir6"):
            yield from routes(
                self.backup, server, "local_networkv6", 'push "route-ipv6 {}/{}"', resolves=push
            )
        if self.mode in (TLS_MODES if self.release.present_is_on else LAPTOPS_MODES):
            yield from client_options(server)
            yield from self._option("client-to-client", "client2client")
        if self.mode != "p2p_shared_key":
            if server.is_set("duplicate_cn"):
                yield Line("duplicate-cn", "duplicate_cn")
            if server.is_set("remote_cert_tls") and self.release.checks_use:
                yield Line("remote-cert-tls client", "remote_cert_tls")

    def _remote_networks(self) -> Iterator[Line]:
        if self.mode.startswith("p2p"):
            resolves = self.release.resolves
            yield from routes(
                self.backup, self.server, "remote_network", "route {} {}", resolves=resolves, strict=True
            )
            yield from routes(
                self.backup,
                self.server,
                "remote_networkv6",
                "route-ipv6 {}/{}",
                resolves=resolves,
                strict=True,
            )

    def _keys(self) -> Iterator[Line]:
        server, old = self.server, self.release.old_layout
        if self.mode == "p2p_shared_key":
            yield Line(f"secret {self._file('secret')} ", "shared_key")
        if self.mode not in TLS_MODES:
            return
        yield Line(f"ca {self._file('ca')} " if old else f"capath {self._file('ca')}", "caref")
        if server.text("certref"):
            yield Line(f"cert {self._file('cert')} ", "certref")
            yield Line(f"key {self._file('key')} ", "certref")
        length = server.text("dh_length")
        yield Line(
            f"dh {f'/etc/dh-parameters.{length}' if number(length) is not None else length}", "dh_length"
        )
        if server.text("ecdh_curve") not in ("", "none"):
            yield Line(f"ecdh-curve {server.text('ecdh_curve')}", "ecdh_curve")
        if old and server.text("crlref"):
            yield Line(f"crl-verify {self._file('crl-verify')} ", "crlref")
        if server.is_set("tls"):
            kind = "tls-crypt" if server.text("tls_type") == "crypt" else "tls-auth"
            direction = (
                {"1": "1", "2": ""}.get(server.text("tlsauth_keydir"), "0") if kind == "tls-auth" else ""
            )
            yield Line(f"{kind} {self._file(kind)} {direction}", "tls_type")

    def _ciphers(self) -> Iterator[Line]:
        server, release = self.server, self.release
        off = server.text("ncp_enable") == "disabled" and release.may_not_negotiate
        if release.old_layout:
            if self.mode in TLS_MODES and off:
                yield Line("ncp-disable", "ncp_enable")
            elif self.mode in TLS_MODES and server.text("ncp-ciphers"):
                yield Line(f"ncp-ciphers {server.text('ncp-ciphers').replace(',', ':')}", "ncp-ciphers")
            return
        fallback = server.text("data_ciphers_fallback")
        if self.mode == "p2p_shared_key" or off:
            if off and (self.mode != "p2p_shared_key" or release is V25):
                yield Line("ncp-disable", "ncp_enable")
            yield Line(f"cipher {fallback}", "data_ciphers_fallback")
            return
        listed = server.elements.get("data_ciphers", "") or fallback
        if fallback not in listed.split(","):
            listed += f",{fallback}"
        yield Line(f"data-ciphers {listed.replace(',', ':')}", "data_ciphers")
        yield Line(f"data-ciphers-fallback {fallback}", "data_ciphers_fallback")

    def _compression(self) -> Iterator[Line]:
        server, kind = self.server, self.server.text("compression")
        if not self.release.old_layout and server.is_true("allow_compression"):
            yield Line(f"allow-compression {server.text('allow_compression')}", "allow_compression")
        written = ""
        if kind in ("none", "lz4", "lz4-v2", "lzo", "stub", "stub-v2"):
            written = f"compress {'' if kind == 'none' else kind}"
        elif kind == "noadapt":
            written = "comp-noadapt"
        elif kind in ("adaptive", "yes", "no"):
            written = f"comp-lzo {kind}"
        if written and (self.release.old_layout or server.text("allow_compression") != "no"):
            yield Line(written, "compression")
            if server.is_true("compression_push"):
                yield Line(f'push "{written}"', "compression_push")

    def _rest(self) -> Iterator[Line]:
        server, udp = self.server, self.protocol.upper().startswith("UDP")
        many = self.network is not None and not self.small
        yield from self._option("passtos", "passtos")
        if server.is_true("dynamic_ip"):
            yield Line("persist-remote-ip", "dynamic_ip")
            yield Line("float", "dynamic_ip")
        if self.mode in TLS_MODES and many and self.device != "tap":
            yield Line(f"topology {server.text('topology') or 'subnet'}", "topology")
        yield from self._option("fast-io", "udp_fast_io", when=udp)
        notify = server.text("exit_notify")
        if number(notify) and udp and self.mode != "p2p_shared_key" and many and not self.release.old_layout:
            yield Line(f"explicit-exit-notify {notify}", "exit_notify")
        if not self.release.old_layout and self.mode != "p2p_shared_key" and many:
            yield from self._option("inactive {}", "inactive_seconds")
        buffer = server.text("sndrcvbuf")
        if 0 < (number(buffer) or 0) <= 2097152:
            yield Line(f"sndbuf {buffer}", "sndrcvbuf")
            yield Line(f"rcvbuf {buffer}", "sndrcvbuf")


def local_address(backup: Backup, server: Entry) -> str:
    """Return the address that a server binds to; nothing for any, a word in parentheses where only the firewall knows it."""
    family = server.text("protocol")[-1:]
    own = server.text("ipaddr")
    if own and (":" in own) == (family == "6"):
        return own
    place = server.text("interface")
    if place in ("", "any"):
        return ""
    vip = next(
        (v for v in backup.of("virtualip/vip") if place in (f"_vip{v.text('uniqid')}", v.text("uniqid"))),
        None,
    )
    if vip is not None:
        address = vip.text("subnet")
        return address if (":" in address) == (family == "6") else ""
    if place == "lo0":
        return "127.0.0.1" if family != "6" else "::1"
    interface = backup.interfaces.get(place)
    text = interface.text("ipaddrv6" if family == "6" else "ipaddr") if interface else ""
    if family == "6":
        return text if ":" in text else ""
    try:
        return str(IPv4Address(text))
    except ValueError:
        return UNKNOWN_ADDRESS if backup.whole and (text or interface is None) else ""


def _tunnel_network(backup: Backup, text: str, release: Release) -> IPv4Interface | None:
    """Read a tunnel network; an alias stands for its network, where the release knows that."""
    if backup.alias(text) is not None and not release.resolves:
        return None
    found = backup.interface(text)
    if found is not None and backup.alias(text) is not None:
        return IPv4Interface(found.network)
    return found if found is None or "/" in text else None


def _base64(text: str) -> str:
    return base64.b64encode(text.encode()).decode()
