"""Writes what OPNsense would write of a backup: its instances, and its servers of before, both with their overrides.

The facts are those of OPNsense's `OpenVPN.php` (generateInstanceConfig, getOverwrite) and `plugins.inc.d/openvpn.inc`. Fields
go by pfSense's names, so that everything else is judged alike.
"""

from __future__ import annotations

from dataclasses import replace
from ipaddress import IPv4Interface
from typing import TYPE_CHECKING

from chalicelib.office.backup import Entry
from chalicelib.office.csc import applies
from chalicelib.office.effective import Effective, File
from chalicelib.office.language import Line
from chalicelib.office.pfsense import local_address
from chalicelib.office.pushed import client_options, custom, routes

if TYPE_CHECKING:
    from collections.abc import Iterator

    from chalicelib.office.backup import Backup

_PLUGIN = "/usr/local/etc/inc/plugins.inc.d/openvpn"
_EVENTS = "/usr/local/opnsense/scripts/openvpn/ovpn_event.py"
_NAMES = {
    "port": "local_port", "server": "tunnel_network", "route": "remote_network", "push_route": "local_network", "cert": "certref",
    "ca": "caref", "crl": "crlref", "local": "ipaddr", "data-ciphers": "data_ciphers", "auth": "digest",
    "data-ciphers-fallback": "data_ciphers_fallback", "dev_type": "dev_mode", "redirect_gateway": "gwredir",
}  # fmt: skip


def normal(backup: Backup) -> Backup:
    """Return a backup whose servers and overrides are those of before and the instances, by pfSense's names."""
    instances = [
        e for e in backup.of("OPNsense/OpenVPN/Instances/Instance") if e.text("role") in ("server", "")
    ]
    modern = backup.of("OPNsense/OpenVPN/Overwrites/Overwrite")
    numbers = {e.text("uuid"): e.text("vpnid") for e in instances}
    return replace(
        backup,
        servers=(*backup.servers, *(_instance(backup, e) for e in instances)),
        overrides=(*backup.overrides, *(_overwrite(e, numbers) for e in modern)),
    )


def _instance(backup: Backup, entry: Entry) -> Entry:
    kept = {_NAMES.get(name, name): text for name, text in entry.elements.items()}
    kept["protocol"] = entry.text("proto").upper() or "UDP"
    kept["mode"] = "server_tls_user" if entry.text("authmode") else "server_tls"
    kept["interface"] = f"@{entry.text('local')}" if entry.text("local") else "any"
    key = next(
        (
            k
            for k in backup.of("OPNsense/OpenVPN/StaticKeys/StaticKey")
            if k.text("uuid") == entry.text("tls_key")
        ),
        None,
    )
    if key is not None and entry.text("tls_key"):
        kept |= {"tls": "", "tls_type": key.text("mode") or "crypt"}
    if entry.text("enabled") == "0":
        kept["disable"] = ""
    if not entry.is_true("remote_cert_tls"):
        kept.pop("remote_cert_tls", None)
    certificate = backup.certificate(entry.text("cert"))
    if certificate is not None and not entry.text("ca"):
        kept["caref"] = certificate.authority
    return Entry(kept)


def _overwrite(entry: Entry, numbers: dict[str, str]) -> Entry:
    kept = {"common_name": entry.text("common_name"), "tunnel_network": entry.text("tunnel_network")}
    kept["server_list"] = ",".join(
        numbers.get(s.strip(), s.strip()) for s in entry.text("servers").split(",") if s.strip()
    )
    for mine, theirs in (("remote_network", "remote_networks"), ("local_network", "local_networks")):
        kept[mine] = ",".join(n for n in entry.text(theirs).split(",") if ":" not in n)
    kept |= {name: entry.text(name) for name in ("block", "push_reset")}
    if entry.text("enabled") == "0":
        kept["disable"] = ""
    return Entry(kept)


def effective(backup: Backup, server: Entry) -> Effective:
    """Write what OPNsense would write for a server of a normal backup."""
    number = server.text("vpnid")
    if server.is_set("role"):
        lines, path = _written(backup, server), f"/var/etc/openvpn/instance-{server.text('uuid')}.conf"
    else:
        lines, path = _legacy(backup, server), f"/var/etc/openvpn/server{number}.conf"
    return Effective(f"server {number}", File(path, tuple(lines)), _overrides(backup, server))


def _written(backup: Backup, server: Entry) -> Iterator[Line]:
    """Write an instance, in the order of its options."""
    number, uuid = server.text("vpnid"), server.text("uuid")
    yield Line(f"dev ovpns{number}", "vpnid")
    yield Line("ping-timer-rem")
    yield Line(f"topology {server.text('topology') or 'subnet'}", "topology")
    yield Line(f"dh {_PLUGIN}/dh.rfc7919")
    if server.text("crlref") and server.text("certref"):
        yield Line(f"crl-verify /var/etc/openvpn/server-{uuid}.crl-verify", "crlref")
    yield Line(f"verify-client-cert {server.text('verify_client_cert') or 'require'}", "mode")
    if server.is_set("remote_cert_tls"):
        yield Line("remote-cert-tls client", "remote_cert_tls")
    network = backup.interface(server.text("tunnel_network"))
    if network is not None and server.text("dev_mode") != "tap":
        pool = " nopool" if server.text("nopool") == "1" else ""
        yield Line(f"server {network.ip} {network.netmask}{pool}", "tunnel_network")
    yield from _clients(server, number, uuid)
    yield from _transport(server, number, uuid)
    yield from routes(backup, server, "local_network", 'push "route {} {}"', resolves=True)
    yield from routes(backup, server, "remote_network", "route {} {}", resolves=True)
    yield from _inline(server)


def _clients(server: Entry, number: str, uuid: str) -> Iterator[Line]:
    """Write who may come in, and what they are told."""
    if server.is_true("username_as_common_name"):
        yield Line("username-as-common-name", "mode")
    yield Line(f"client-config-dir /var/etc/openvpn-csc/{number}")
    if server.text("authmode"):
        yield Line(f"auth-user-pass-verify \"{_EVENTS} --defer '{uuid}'\" via-env", "mode")
        yield Line(f"learn-address \"{_EVENTS} '{number}'\"")
    else:
        yield Line(f"client-connect \"{_EVENTS} '{uuid}'\"")
    yield Line(f"client-disconnect \"{_EVENTS} '{uuid}'\"")
    yield Line(f"tls-verify \"{_EVENTS} '{uuid}'\"")
    if server.is_true("maxclients"):
        yield Line(f"max-clients {server.text('maxclients')}", "maxclients")
    if not server.text("ipaddr") and server.text("protocol").startswith("UDP"):
        yield Line("multihome", "ipaddr")
    if server.text("gwredir"):
        yield Line(f'push "redirect-gateway {server.text("gwredir").replace(",", " ")}"', "gwredir")
    if server.is_true("push_inactive"):
        yield Line(f'push "inactive {server.text("push_inactive")}"', "push_inactive")
    if server.is_true("compress_migrate"):
        yield Line("compress migrate", "compression")


def _inline(server: Entry) -> Iterator[Line]:
    """Write the blocks within the file; what is in them is not kept."""
    blocks = [(f"tls-{server.text('tls_type')}", "tls_type")] if server.is_set("tls") else []
    if server.text("certref"):
        blocks += [("ca", "caref"), ("key", "certref"), ("cert", "certref")]
    for name, element in blocks:
        yield Line(f"<{name}>", element)
        yield Line(f"</{name}>", element)


def _transport(server: Entry, number: str, uuid: str) -> Iterator[Line]:
    yield Line("persist-tun")
    yield Line("persist-key")
    if server.is_true("keepalive_interval") and server.is_true("keepalive_timeout"):
        yield Line(
            f"keepalive {server.text('keepalive_interval')} {server.text('keepalive_timeout')}",
            "keepalive_timeout",
        )
    kind = server.text("dev_mode") or "tun"
    yield Line(f"dev-type {'tun' if kind == 'ovpn' else kind}", "dev_mode")
    yield Line(f"dev-node /dev/{kind}{number}", "dev_mode")
    yield Line("script-security 3")
    yield Line(f"writepid /var/run/ovpn-instance-{uuid}.pid")
    yield Line(f"daemon openvpn_server{number}")
    yield Line(f"management /var/etc/openvpn/instance-{uuid}.sock unix")
    protocol = server.text("protocol").lower()
    yield Line(f"proto {protocol}{'-server' if protocol.startswith('tcp') else ''}", "protocol")
    yield Line(f"verb {server.text('verb') or '3'}", "verb")
    if kind != "ovpn":
        yield Line("disable-dco")
    yield Line(f"up {_PLUGIN}/ovpn-linkup")
    yield Line(f"down {_PLUGIN}/ovpn-linkdown")
    for directive, element in (
        ("reneg-sec", "reneg-sec"), ("port", "local_port"), ("local", "ipaddr"), ("data-ciphers", "data_ciphers"),
        ("data-ciphers-fallback", "data_ciphers_fallback"), ("auth", "digest"),
    ):  # fmt: skip
        if server.text(element):
            yield Line(f"{directive} {server.text(element).replace(',', ':')}", element)
    for flag in filter(None, server.text("various_flags").split(",")):
        yield Line(flag, "duplicate_cn" if flag == "duplicate-cn" else "various_flags")
    for flag in filter(None, server.text("various_push_flags").split(",")):
        yield Line(f'push "{flag}"', "various_push_flags")
    if server.is_true("tun_mtu"):
        yield Line(f"tun-mtu {server.text('tun_mtu')}", "tun_mtu")
    if server.text("fragment"):
        yield Line(f"fragment {server.text('fragment')}", "fragment")
    if server.is_true("mssfix"):
        yield Line("mssfix", "mssfix")


def _legacy(backup: Backup, server: Entry) -> Iterator[Line]:
    """Write a server of before."""
    number, device, protocol = server.text("vpnid"), server.text("dev_mode") or "tun", server.text("protocol")
    yield Line(f"dev ovpns{number}", "vpnid")
    yield Line(f"dev-type {device}", "dev_mode")
    yield Line(f"dev-node /dev/{device}{number}", "dev_mode")
    yield Line("script-security 3")
    yield Line("daemon")
    yield Line("keepalive 10 60")
    yield Line("ping-timer-rem")
    yield Line("persist-tun")
    yield Line("persist-key")
    yield Line(f"proto {protocol.lower()}{'-server' if protocol.startswith('TCP') else ''}", "protocol")
    yield Line(f"cipher {server.text('crypto')}", "crypto")
    yield Line(f"auth {server.text('digest') or 'SHA1'}", "digest")
    address = local_address(backup, server)
    if address:
        yield Line(f"local {address}", "interface")
    yield from _legacy_mode(backup, server, number)
    yield Line(f"lport {server.text('local_port')}", "local_port")
    yield from routes(backup, server, "local_network", 'push "route {} {}"', resolves=False)
    yield from client_options(server)
    if server.is_true("client2client"):
        yield Line("client-to-client", "client2client")
    if server.is_set("duplicate_cn"):
        yield Line("duplicate-cn", "duplicate_cn")
    yield from routes(backup, server, "remote_network", "route {} {}", resolves=False, strict=True)
    yield from _legacy_keys(server, number, device)
    yield from custom(server)


def _legacy_mode(backup: Backup, server: Entry, number: str) -> Iterator[Line]:
    mode, network = server.text("mode"), backup.interface(server.text("tunnel_network"))
    if mode != "p2p_shared_key":
        yield Line("tls-server", "mode")
        if network is not None:
            yield Line(f"server {network.ip} {network.netmask}", "tunnel_network")
        yield Line(f"client-config-dir /var/etc/openvpn-csc/{number}")
    if mode == "server_user":
        yield Line("verify-client-cert none", "mode")
    if mode in ("server_user", "server_tls_user"):
        yield Line("username-as-common-name", "mode")
        yield Line(f'auth-user-pass-verify "{_PLUGIN}/ovpn_auth_verify user" via-env', "mode")


def _legacy_keys(server: Entry, number: str, device: str) -> Iterator[Line]:
    if server.text("mode") == "p2p_shared_key":
        yield Line(f"secret /var/etc/openvpn/server{number}.secret", "shared_key")
    else:
        for name, element in (("ca", "caref"), ("cert", "certref"), ("key", "certref")):
            yield Line(f"{name} /var/etc/openvpn/server{number}.{name} ", element)
        yield Line(f"dh {_PLUGIN}/dh.rfc7919")
    if server.is_set("tls"):
        kind = "tls-crypt" if server.text("tlsmode") == "crypt" else "tls-auth"
        yield Line(
            f"{kind} /var/etc/openvpn/server{number}.{kind} {'0' if kind == 'tls-auth' else ''}", "tls_type"
        )
    kind = server.text("compression")
    if kind:
        new = kind.startswith(("lz4", "lzo", "pfc"))
        yield Line(
            f"compress{'' if kind == 'pfc' else f' {kind}'}" if new else f"comp-lzo {kind}", "compression"
        )
    if server.is_true("topology_subnet") and device == "tun":
        yield Line("topology subnet", "topology")


def _overrides(backup: Backup, server: Entry) -> dict[str, File]:
    """Write the overrides; of several of a name later fields overrule earlier ones, and networks add up."""
    files: dict[str, File] = {}
    merged: dict[str, dict[str, str]] = {}
    for override in backup.overrides:
        if override.is_set("disable") or not applies(override, server.text("vpnid")):
            continue
        kept = merged.setdefault(override.text("common_name"), {})
        for name, text in override.elements.items():
            adds = name in ("remote_network", "local_network") and kept.get(name)
            kept[name] = f"{kept[name]},{text}" if adds and text else text or kept.get(name, "")
    for name, elements in merged.items():
        path = f"/var/etc/openvpn-csc/{server.text('vpnid')}/{name}"
        files[name] = File(path, tuple(_csc(backup, server, Entry(elements))))
    return files


def _csc(backup: Backup, server: Entry, override: Entry) -> Iterator[Line]:
    if override.is_true("block"):
        yield Line("disable", "block")
    if override.is_true("push_reset"):
        yield Line("push-reset", "push_reset")
    own = backup.interface(override.text("tunnel_network"))
    subnet = (
        server.text("topology") == "subnet"
        or server.is_true("topology_subnet")
        or server.text("dev_mode") == "tap"
    )
    if own is not None and override.text("tunnel_network"):
        pair = IPv4Interface(own.network)
        text = f"{own.ip} {own.netmask}" if subnet else f"{pair.ip + 2} {pair.ip + 1}"
        yield Line(f"ifconfig-push {text}", "tunnel_network")
    yield from routes(backup, override, "local_network", 'push "route {} {}"', resolves=True)
    yield from routes(backup, override, "remote_network", "iroute {} {}", resolves=True)
    yield from client_options(override)
    yield from custom(override)
