"""Merges what a topology needs into a backup of pfSense: its server and its override, and not a byte beside them."""

from __future__ import annotations

import base64
from typing import TYPE_CHECKING
from xml.sax.saxutils import escape

from chalicelib.office.backup import number
from chalicelib.office.case import Config
from chalicelib.office.csc import applies
from chalicelib.office.fields import CHOSEN, override_fields, server_fields, unseen
from chalicelib.office.finding import uncovered
from chalicelib.office.findings import dialled
from chalicelib.office.pushed import custom
from chalicelib.office.release import release_of
from chalicelib.office.required import dotted, listed
from chalicelib.office.spans import Edit, Span, edited, spans

if TYPE_CHECKING:
    from collections.abc import Iterator
    from ipaddress import IPv4Network

    from chalicelib.core.network.topology import Topology, Tunnel
    from chalicelib.office.backup import Backup, Entry

_KEPT = (
    "interface", "dh_length", "digest", "sndrcvbuf", "udp_fast_io", "exit_notify", "data_ciphers_fallback", "crypto",
)  # fmt: skip
_ASKS = ("server_user", "server_tls_user")


class NoMerge(Exception):  # noqa: N818 - it names what cannot be had
    """A backup into which nothing can be merged; says why, and what to do."""


def merge(
    document: bytes, topology: Topology, tunnel: Tunnel, backup: Backup, key: bytes | None = None
) -> bytes:
    """Merge the server and the override of a topology into a backup.

    The server the router dials is changed where there is one, and added where not; so is the override. What an engineer has
    beside stays: further networks, custom options, keys.

    Args:
        document: the backup, as it was read into `backup`.
        topology: with the tunnel.
        tunnel: its tunnel.
        backup: of pfSense.
        key: the file of the `tls-crypt` key, for a server that has none.

    Raises:
        NoMerge: it must not be done, or cannot.
    """
    if backup.product != "pfSense" or not backup.whole:
        raise NoMerge("is no whole backup of pfSense")
    if document[:2] in (b"\xff\xfe", b"\xfe\xff"):
        raise NoMerge("is written in UTF-16; pfSense writes UTF-8")
    root = spans(document)
    if len(root.all("openvpn")) > 1:
        raise NoMerge("has more than one OpenVPN section")
    openvpn = root.child("openvpn")
    server = dialled(topology, tunnel, backup)
    if server is not None and server.text("mode") in _ASKS:
        raise NoMerge(
            "has its laptops type passwords at that server; give the router a second one, with a port and a tunnel network of its own"
        )
    vpnid = server.text("vpnid") if server is not None else _next_number(backup)
    wanted_server = _server(topology, tunnel, backup, server, key)
    override = _override_of(tunnel, backup, vpnid)
    wanted_override = _override(topology, tunnel, backup, override, vpnid)
    if openvpn is None or openvpn.inner == openvpn.end:
        blocks = _block("openvpn-server", wanted_server) + _block("openvpn-csc", wanted_override)
        whole = b"\t<openvpn>\n" + blocks + b"\t</openvpn>\n"
        edit = (
            Edit(root.outer, root.outer, whole)
            if openvpn is None
            else Edit(openvpn.begin, openvpn.end, whole.strip())
        )
        return edited(document, [edit])
    edits = [
        *_put(document, openvpn, "openvpn-server", _place(backup.servers, server), wanted_server),
        *_put(document, openvpn, "openvpn-csc", _place(backup.overrides, override), wanted_override),
    ]
    return edited(document, edits)


def _next_number(backup: Backup) -> str:
    """Return the next free number: servers and clients share them."""
    taken = [e.text("vpnid") for e in (*backup.servers, *backup.clients)]
    return str(max((number(n) or 0 for n in taken), default=0) + 1)


def _place(entries: tuple[Entry, ...], entry: Entry | None) -> int | None:
    return next((n for n, one in enumerate(entries) if one is entry), None)


def _override_of(tunnel: Tunnel, backup: Backup, vpnid: str) -> Entry | None:
    """Find the override that is in force for the router, else the last of its name for that server."""
    mine = [o for o in backup.overrides if o.text("common_name") == tunnel.common_name and applies(o, vpnid)]
    return mine[-1] if mine else None


def _server(
    topology: Topology, tunnel: Tunnel, backup: Backup, server: Entry | None, key: bytes | None
) -> dict[str, str | None]:
    """Return the elements that the server must have; None for one that must not be there."""
    release = release_of(backup.version)
    fields = {
        f.element: f.stored for f in server_fields(topology, tunnel, release) if f.element not in CHOSEN
    }
    wanted: dict[str, str | None] = dict(fields)
    wanted |= {"ping_method": "keepalive"}
    good = next((c for c in backup.certificates if c.common_name == tunnel.server_name), None)
    chosen = backup.certificate(server.text("certref")) if server is not None else None
    if good is not None and (chosen is None or chosen.common_name != tunnel.server_name):
        wanted |= {"certref": good.reference, "caref": good.authority}
    if key is not None and (server is None or not server.is_set("tls")):
        wanted["tls"] = base64.b64encode(key).decode()
    if server is None:
        return {"vpnid": _next_number(backup)} | dict(unseen()) | wanted
    wanted["disable"] = None
    for kept in _KEPT:
        if server.text(kept) and not server.text(kept).startswith(
            ("BF", "DES", "CAST")
        ):  # as good as ours, and the office's own
            wanted.pop(kept, None)
    if server.text("mode") == "p2p_tls":
        del wanted["mode"], wanted["custom_options"]
        wanted["remote_network"] = _more(backup, server, "remote_network", topology.vpc_networks)
    else:
        wanted["custom_options"] = _routes(topology, server)
    told = (*topology.office_networks, *topology.vpc_networks)
    wanted["local_network"] = _more(backup, server, "local_network", told)
    return wanted


def _more(backup: Backup, entry: Entry, element: str, networks: tuple[IPv4Network, ...]) -> str:
    """Return a field's networks, and those that it lacks behind them."""
    text = entry.text(element)
    if not release_of(backup.version).resolves:
        text = ",".join(part for part in text.split(",") if backup.alias(part.strip()) is None)
    return ",".join(filter(None, (text, listed(uncovered(networks, backup.networks(text))))))


def _routes(topology: Topology, server: Entry) -> str:
    """Return the custom options, and the routes that they lack behind them."""
    routed = Config.of(custom(server)).networks("route")
    lacking = "".join(f"route {dotted(n)};\n" for n in uncovered(topology.vpc_networks, routed)).rstrip()
    own = server.elements.get("custom_options", "").rstrip()
    joined = "" if not own or not lacking else ("\n" if own.endswith(";") else ";\n")
    return f"{own}{joined}{lacking}"


def _override(
    topology: Topology, tunnel: Tunnel, backup: Backup, override: Entry | None, vpnid: str
) -> dict[str, str | None]:
    """Return the elements that the override must have."""
    release = release_of(backup.version)
    wanted: dict[str, str | None] = {f.element: f.stored for f in override_fields(topology, tunnel, release)}
    if override is None:
        return {"server_list": vpnid} | wanted
    wanted["remote_network"] = _more(backup, override, "remote_network", topology.vpc_networks)
    wanted |= {"disable": None, "block": "" if override.is_set("block") else None}
    if release.present_is_on:
        wanted |= {"push_reset": None, "ping_action": None, "ping_seconds": None, "inactive_seconds": None}
        if override.is_set("remove_options"):
            kept = [o for o in override.text("remove_options").split(",") if "ping" not in o]
            wanted["remove_options"] = ",".join(kept)
    elif override.is_true("push_reset"):
        wanted["push_reset"] = ""
    return wanted


def _block(tag: str, elements: dict[str, str | None]) -> bytes:
    inner = b"".join(
        b"\t\t\t" + _element(name, text) + b"\n" for name, text in elements.items() if text is not None
    )
    return f"\t\t<{tag}>\n".encode() + inner + f"\t\t</{tag}>\n".encode()


def _element(name: str, text: str) -> bytes:
    return f"<{name}>{escape(text)}</{name}>".encode("ascii", "xmlcharrefreplace")


def _put(
    document: bytes, openvpn: Span, tag: str, place: int | None, elements: dict[str, str | None]
) -> Iterator[Edit]:
    """Edit the entry of a list at a place, or add one behind the others."""
    if place is None:
        behind = openvpn.all(tag)
        at = _line_end(document, behind[-1].end) if behind else openvpn.inner
        lead = b"" if behind or document[at - 1 : at] == b"\n" else b"\n"
        yield Edit(at, at, lead + _block(tag, elements))
        return
    entry = openvpn.all(tag)[place]
    for name, text in elements.items():
        yield from _set(document, entry, name, text)


def _set(document: bytes, entry: Span, name: str, text: str | None) -> Iterator[Edit]:
    """Set an element's text, or take it out; what is there already is not touched."""
    found = entry.child(name)
    if text is None:
        yield from (
            Edit(_line_begin(document, s.begin), _line_end(document, s.end), b"") for s in entry.all(name)
        )
    elif found is None:
        at = _line_begin(document, entry.outer)
        yield Edit(at, at, b"\t\t\t" + _element(name, text) + b"\n")
    elif not _holds(document[found.inner : found.outer], text):
        yield Edit(found.begin, found.end, _element(name, text))


def _holds(raw: bytes, text: str) -> bool:
    """Return whether an element's bytes are a text already, plain or as CDATA."""
    plain = escape(text).encode("ascii", "xmlcharrefreplace")
    return raw.strip() in (plain, b"<![CDATA[" + text.encode() + b"]]>")


def _line_begin(document: bytes, at: int) -> int:
    """Return where the line of a place begins, if nothing but blanks is before it there."""
    begin = document.rfind(b"\n", 0, at) + 1
    return begin if not document[begin:at].strip() else at


def _line_end(document: bytes, at: int) -> int:
    """Return where the next line begins, if nothing but blanks is behind a place on its own."""
    end = document.find(b"\n", at) + 1
    return end if end and not document[at:end].strip() else at
