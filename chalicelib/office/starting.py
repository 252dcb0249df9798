"""Why a server would not start at all: OpenVPN refuses a whole configuration for one line."""

from __future__ import annotations

from itertools import pairwise
from typing import TYPE_CHECKING

from chalicelib.office.backup import number
from chalicelib.office.language import known

if TYPE_CHECKING:
    from collections.abc import Iterator

    from chalicelib.office.case import Case
    from chalicelib.office.finding import Finding
    from chalicelib.office.language import Directive

_WORDS = {
    "data-ciphers": (2, 2), "data-ciphers-fallback": (2, 2), "cipher": (2, 2), "ncp-ciphers": (2, 2), "auth": (2, 2),
    "keepalive": (3, 3), "topology": (2, 2), "server": (3, 4), "proto": (2, 2), "port": (2, 2), "lport": (2, 2),
    "ping": (2, 2), "ping-restart": (2, 2), "ping-exit": (2, 2), "inactive": (2, 3), "dh": (2, 2), "route": (2, 5),
    "push": (2, 2), "tls-crypt": (2, 2), "tls-auth": (2, 3), "ca": (2, 2), "cert": (2, 2), "key": (2, 2), "verb": (2, 2),
    "client-config-dir": (2, 2), "explicit-exit-notify": (1, 2), "allow-compression": (2, 2), "compress": (1, 2),
    "comp-lzo": (1, 2), "max-clients": (2, 2), "verify-client-cert": (1, 2), "remote-cert-tls": (2, 2), "fragment": (2, 3),
}  # fmt: skip
"""Least and most words, the directive's own among them."""

_OF_CLIENTS = ("iroute", "iroute-ipv6", "ifconfig-push", "ifconfig-ipv6-push", "disable")
"""Known in a client's file alone."""

_NUMBERS = ("keepalive", "ping", "ping-restart", "ping-exit", "lport", "port")
_NO_STUB = ("lzo", "lz4", "adaptive", "yes")
_OLD_CIPHERS = ("BF-", "DES", "CAST", "RC2", "IDEA", "SEED", "RC5")
_MODERN = ("AES-128-", "AES-192-", "AES-256-", "CHACHA20-POLY1305", "CAMELLIA-", "ARIA-", "SM4-")


def starting(case: Case) -> Iterator[Finding]:
    """Find why the server does not start."""
    server = case.server
    ignored = {word for d in server.all("ignore-unknown-option") for word in d.words[1:]}
    for directive in server.directives:
        why = _refused(directive, case.old | ignored)
        if why:
            yield _refusal(case, f"does not start: OpenVPN {why}", directive)
    yield from _ciphers(case)
    asks = server.last("auth-user-pass-verify", "plugin", "management-client-auth")
    for name in ("username-as-common-name", "verify-client-cert"):
        alone = server.last(name)
        if alone and not asks and alone.value != "require":
            yield _refusal(case, f"does not start: {name} without a check of passwords is refused", alone)
    compresses = server.last("compress", "comp-lzo")
    if (
        server.value("allow-compression") == "no"
        and compresses
        and compresses.name in ("compress", "comp-lzo")
    ):
        kind = compresses.value or ("adaptive" if compresses.name == "comp-lzo" else "")
        if kind.startswith(_NO_STUB):
            yield _refusal(case, "does not start: it compresses, and allows no compression", compresses)
    notify = server.last("explicit-exit-notify")
    if notify and server.value("proto", "udp").startswith("tcp"):
        yield _refusal(case, "does not start: explicit-exit-notify is for UDP alone", notify)
    if server.last("port-share") and not server.value("proto", "udp").startswith("tcp"):
        yield _refusal(case, "does not start: port-share is for TCP alone", server.all("port-share")[-1])
    yield from _together(case)
    exclusive = server.last("client-config-dir", "ccd-exclusive")
    if exclusive and not serves(case):
        yield _refusal(case, "does not start: it has files for clients, and serves none", exclusive)


def _together(case: Case) -> Iterator[Finding]:
    """Find what OpenVPN takes each by itself, and not with the other."""
    server = case.server
    if server.last("server"):
        for line in server.all("client", "tls-client", "pull", "remote"):
            yield _refusal(case, f"does not start: {line.name} is a client's, and this is a server", line)
        pool, network = server.last("ifconfig-pool"), server.all("server")[-1]
        if pool and "nopool" not in network.words:
            yield _refusal(
                case, "does not start: it has a pool of its own beside that of its tunnel network", pool
            )
    unbound = server.last("nobind")
    if unbound and server.last("lport", "local"):
        yield _refusal(case, "does not start: it is to listen, and not to bind", unbound)
    allowed = server.all("allow-compression")
    if any(one.value == "no" and other.value in ("yes", "asym") for one, other in pairwise(allowed)):
        yield _refusal(case, "does not start: it allows no compression first, and then some", allowed[-1])


def serves(case: Case) -> bool:
    """Return whether a server takes many clients: point to point it answers none that pulls."""
    return bool(case.server.last("server", "server-bridge")) or case.server.value("mode") == "server"


def _refusal(case: Case, why: str, line: Directive) -> Finding:
    return case.find("wrong", f"{case.name} {why}", line.line.element or "custom_options", line=line)


def _refused(directive: Directive, also: frozenset[str] | set[str]) -> str:
    """Return why OpenVPN refuses a line; nothing when it does not."""
    name, words = directive.name, directive.words
    if directive.fault:
        return f"refuses a line that {directive.fault}"
    if (name == "setenv" and words[1:2] == ("opt",)) or name in also:
        return ""
    if not known(name):
        return "knows no option of that name"
    if name in _OF_CLIENTS:
        return f"knows {name} in a client's file alone"
    least, most = _WORDS.get(name, (1, 16))
    if not least <= len(words) <= most:
        return (
            f"takes {name} with {least - 1} to {most - 1} words"
            if least != most
            else f"takes {name} with {least - 1} words"
        )
    if name in _NUMBERS and not all(number(word) is not None for word in words[1:]):
        return f"takes {name} with numbers"
    if name == "keepalive" and int(words[2]) < 2 * int(words[1]):
        return "takes a keepalive whose timeout is at least twice its interval"
    return ""


def _ciphers(case: Case) -> Iterator[Finding]:
    """Find ciphers that the firewall's own OpenSSL does not know: one is enough."""
    for name in ("data-ciphers", "data-ciphers-fallback", "cipher", "ncp-ciphers"):
        found = case.server.last(name)
        if found is None or found.fault or len(found.words) != 2:
            continue
        offered = [cipher.upper().removeprefix("?") for cipher in found.value.split(":")]
        optional = [c.startswith("?") for c in found.value.split(":")]
        for cipher, may_lack in zip(offered, optional, strict=True):
            old = cipher.startswith(_OLD_CIPHERS)
            if cipher == "NONE" or may_lack or cipher.startswith(_MODERN) or (old and not case.modern):
                continue
            why = "one of its old ciphers is unknown to OpenSSL 3" if old else "one of its ciphers is unknown"
            yield case.find("wrong", f"{case.name} does not start: {why}", found.line.element, line=found)
            return
