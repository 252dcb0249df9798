"""Whether the router gets in: mode, port and protocol, who proves what to whom, ciphers and framing that both ends share."""

from __future__ import annotations

from typing import TYPE_CHECKING

from chalicelib.office.backup import number
from chalicelib.office.pushes import told
from chalicelib.office.required import CIPHERS
from chalicelib.office.starting import serves

if TYPE_CHECKING:
    from collections.abc import Iterator

    from chalicelib.office.case import Case
    from chalicelib.office.finding import Finding, Kind
    from chalicelib.office.language import Directive
    from chalicelib.office.pushes import Told

_OLD_FRAMES = ("", "stub", "lzo", "lz4", "no", "yes", "adaptive")
"""Compression that puts a byte before every packet, used or not; the second versions and `migrate` do not."""

_OLD = ("BF-", "DES", "CAST", "RC2", "IDEA", "SEED", "NONE")
_CBC = ("-CBC", "-CFB", "-OFB")


def session(case: Case) -> Iterator[Finding]:
    """Judge everything up to the moment when the tunnel is up, and packets are understood."""
    yield from _mode(case)
    yield from _link(case)
    yield from _passwords(case)
    yield from _key(case)
    yield from _negotiated(case)
    yield from _verified(case)
    yield from _framing(case)


def _mode(case: Case) -> Iterator[Finding]:
    server, name = case.server, case.name
    static = server.last("secret")
    if static:
        yield case.find(
            "wrong",
            f"{name} uses a static key: it has no TLS, and the router cannot connect",
            "mode",
            line=static,
        )
    elif not serves(case):
        yield case.find(
            "wrong", f"{name} is point to point: it answers no client that asks for its options", "mode"
        )
    kind = server.last("dev-type") or server.last("dev")
    if kind and kind.value.startswith("tap"):
        yield case.find("wrong", f"{name} bridges (tap)", "dev_mode", line=kind)


def _link(case: Case) -> Iterator[Finding]:
    server, tunnel, name = case.server, case.tunnel, case.name
    proto = server.last("proto")
    spoken = proto.value if proto else "udp"
    if not spoken.startswith(tunnel.protocol[:3]):
        what = f"{name} does not speak {tunnel.protocol}"
        yield case.find(
            "wrong", what, "protocol", line=proto, mend=f"{tunnel.protocol.upper()[:3]} on IPv4 only"
        )
    elif ":" in server.value("local"):
        yield case.find(
            "wrong", f"{name} listens on an IPv6 address alone", "protocol", line=server.last("local")
        )
    port = server.last("lport", "port")
    listens = number(port.value) if port else 1194
    if listens not in (None, tunnel.port):
        what = f"{name} listens on port {listens}, the router dials {tunnel.port}"
        yield case.find("wrong", what, "local_port", line=port, mend=str(tunnel.port))


def _passwords(case: Case) -> Iterator[Finding]:
    """Judge the check of a password, which the router has none of."""
    asks = case.server.last("auth-user-pass-verify", "plugin", "management-client-auth")
    if asks is None or case.server.last("auth-user-pass-optional"):
        return
    if asks.name == "plugin" and "auth" not in asks.value:
        yield case.find(
            "unclear", f"{case.name} runs a plugin, which may refuse the router", "custom_options", line=asks
        )
        return
    yield case.find(
        "wrong", f"{case.name} asks for a user's password, and the router has none", "mode", line=asks
    )


def _key(case: Case) -> Iterator[Finding]:
    """Judge the key over TLS: who lacks the other's kind hears nothing at all."""
    server, name = case.server, case.name
    if server.last("secret") or server.last("tls-crypt"):
        return
    other = server.last("tls-auth", "tls-crypt-v2")
    if other:
        what = f"{name} speaks {other.name}, the router tls-crypt: neither hears the other"
        yield case.find("wrong", what, "tls_type", line=other)
    else:
        yield case.find("missing", f"{name} has no TLS key; the router speaks tls-crypt", "tls")


def offered(case: Case) -> tuple[list[str], Directive | None]:
    """List what the server offers for data, the router's among them, and the line that says so."""
    server = case.server
    listed = server.last("data-ciphers", "ncp-ciphers")
    if server.last("ncp-disable"):
        only = server.last("cipher")
        return [only.value.upper()] if only else [], only
    if listed is None:
        return list(CIPHERS), None
    ciphers = [c.upper().removeprefix("?") for c in listed.value.split(":")]
    # Of 2.4 the cipher counts as well: it is what a client without negotiation speaks.
    legacy = server.last("cipher")
    return [*ciphers, *([legacy.value.upper()] if legacy else [])], listed


def _negotiated(case: Case) -> Iterator[Finding]:
    name, (ciphers, line) = case.name, offered(case)
    element = line.line.element if line and line.line.element else "data_ciphers"
    common = [cipher for cipher in ciphers if cipher in CIPHERS]
    if not common and not case.server.last("secret"):
        yield case.find("wrong", f"{name} offers no cipher that the router accepts", element, line=line)
        return
    if off := case.server.last("ncp-disable"):
        what = f"{name} does not negotiate, which OpenVPN 2.6 no longer starts with"
        yield case.find("weak", what, "ncp_enable", line=off)
    fallback = case.server.value("data-ciphers-fallback").upper()
    old = [c for c in (*ciphers, fallback) if any(mark in c for mark in _OLD)]
    slow = [c for c in ciphers if c not in (fallback, *old) and any(mark in c for mark in _CBC)]
    # pfSense 2.4 always names a cipher for clients that do not negotiate; OpenSSL 3 does not start with an old one at all.
    if (old and not case.modern) or (slow and not case.server.last("cipher")):
        listed = case.server.last("data-ciphers", "ncp-ciphers", "cipher")
        yield case.find("weak", f"{name} offers old ciphers", "data_ciphers", line=listed)


def _verified(case: Case) -> Iterator[Finding]:
    """Judge what the server asks of the router's certificate, and of its TLS."""
    server, name, own = case.server, case.name, case.tunnel.common_name
    wanted = server.last("verify-x509-name")
    if wanted:
        how = wanted.words[2] if len(wanted.words) > 2 else "subject"
        fits = {"name": own == wanted.value, "name-prefix": own.startswith(wanted.value)}.get(how)
        if fits is not True:
            kind: Kind = "unclear" if fits is None else "wrong"
            yield case.find(
                kind, f"{name} takes certificates of another name than {own}", "custom_options", line=wanted
            )
    field = server.last("x509-username-field")
    if field and field.value.upper() not in ("CN", "COMMONNAME"):
        what = f"{name} names clients by another field of their certificate than the common name"
        yield case.find("wrong", what, "custom_options", line=field)
    highest = server.last("tls-version-max")
    if highest and highest.value in ("1.0", "1.1"):
        yield case.find(
            "wrong",
            f"{name} speaks TLS below 1.2 alone, the router none of it",
            "custom_options",
            line=highest,
        )
    strict = server.last("opt-verify")
    if strict:
        yield case.find(
            "wrong",
            f"{name} throws out clients whose options differ from its own",
            "custom_options",
            line=strict,
        )
    few = server.last("max-clients")
    if few and (number(few.value) or 0) < 2:
        yield case.find("wrong", f"{name} has no room for the router beside a laptop", "maxclients", line=few)
    eku = server.last("remote-cert-tls")
    if eku and eku.value == "server":
        yield case.find("wrong", f"{name} takes servers' certificates alone", "remote_cert_tls", line=eku)
    elif not eku and not server.last("remote-cert-eku") and serves(case):
        yield case.find("weak", f"{name} takes a server's certificate for a client's", "remote_cert_tls")
    if twice := server.last("duplicate-cn"):
        what = f"{name} lets two clients of one name stay: two routers would share the VPC's packets"
        yield case.find("weak", what, "duplicate_cn", line=twice)


def _framing(case: Case) -> Iterator[Finding]:
    """Judge what is put before each packet: an end that does not expect it drops every one in silence."""
    server, name = case.server, case.name
    mine = server.last("compress", "comp-lzo")
    framed = _frames(mine.name, mine.value) if mine else False
    pushed = next((one for one in reversed(told(case)) if one.words[0] in ("compress", "comp-lzo")), None)
    if pushed is None:
        if framed:
            what = f"{name} frames packets for compression, and does not tell the router: no packet is understood"
            yield case.find("wrong", what, "compression", line=mine)
    else:
        yield from _pushed_framing(case, pushed, framed=framed)
    allowed = server.last("allow-compression")
    if allowed and allowed.value in ("yes", "asym") and not framed and pushed is None:
        yield case.find("weak", f"{name} allows compression", "allow_compression", line=allowed)
    unnumbered = server.last("no-replay") or server.last("replay-window")
    if unnumbered and (unnumbered.name == "no-replay" or unnumbered.value == "0"):
        what = f"{name} does not number packets as the router does: no packet is understood"
        yield case.find("wrong", what, "custom_options", line=unnumbered)
    if cut := server.last("fragment"):
        what = f"{name} cuts packets into fragments, and the router does not: no packet is understood"
        yield case.find("wrong", what, "custom_options", line=cut)


def _pushed_framing(case: Case, pushed: Told, *, framed: bool) -> Iterator[Finding]:
    name, words, line = case.name, pushed.words, pushed.line
    kind = words[1] if len(words) > 1 else ("adaptive" if words[0] == "comp-lzo" else "")
    really = (
        kind not in ("", "stub", "stub-v2", "migrate")
        if words[0] == "compress"
        else kind in ("yes", "adaptive")
    )
    if really:
        what, element = f"{name} has clients compress: the router refuses that", "compression_push"
        yield case.find("wrong", what, element, line=line, override=pushed.override)
    elif framed != _frames(words[0], kind):
        what = f"{name} has clients frame packets otherwise than itself: no packet is understood"
        yield case.find("wrong", what, "compression_push", line=line, override=pushed.override)
    else:
        yield case.find("weak", f"{name} frames packets for compression", "compression", line=line)


def _frames(directive: str, kind: str) -> bool:
    return kind in _OLD_FRAMES if directive == "compress" else True
