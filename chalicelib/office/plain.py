"""Judges a plain OpenVPN server: its own configuration and the folder of its clients' files, by the same rules."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from chalicelib.office.case import Case, Config
from chalicelib.office.effective import Effective, File
from chalicelib.office.finding import Judged
from chalicelib.office.judge import judge
from chalicelib.office.language import Line, parse, split
from chalicelib.office.required import dotted, office
from chalicelib.office.vocabulary import DIRECTIVES

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping
    from ipaddress import IPv4Network

    from chalicelib.core.network.topology import Topology
    from chalicelib.office.finding import Finding
    from chalicelib.office.required import Office

_DIRECTIVE = {
    "mode": "server", "dev_mode": "dev-type", "protocol": "proto", "local_port": "port", "tunnel_network": "server",
    "topology": "topology", "data_ciphers": "data-ciphers", "digest": "auth", "remote_cert_tls": "remote-cert-tls",
    "allow_compression": "allow-compression", "keepalive_interval": "keepalive", "keepalive_timeout": "keepalive",
    "ping_action_push": "keepalive", "ping_push": "keepalive", "ping_action": "keepalive", "ping_seconds": "keepalive",
}  # fmt: skip
_ENTRY = {
    "tls": "tls-crypt and the key's file",
    "tls_type": "tls-crypt instead, and the key's file",
    "compression": "remove compress and comp-lzo, or push the same",
    "compression_push": "remove what is pushed of compression, and compress or comp-lzo",
    "duplicate_cn": "remove duplicate-cn",
    "inactive_seconds": "remove inactive",
    "ncp_enable": "remove ncp-disable",
    "push_reset": "remove what takes back pings",
    "block": "remove disable",
    "custom_options": "remove that line",
}


@dataclass(frozen=True, slots=True)
class Paper:
    """The two files; what to enter is a line of OpenVPN's."""

    wanted: Office

    def page(self, element: str, *, override: bool) -> str:  # noqa: ARG002 - as for pages of a GUI
        """Name the file."""
        return (
            f"client-config-dir, file {self.wanted.override_name}"
            if override
            else "the server's configuration"
        )

    def mend(self, element: str, text: str, *, override: bool) -> str:
        """Return the line."""
        if override and element == "tunnel_network":
            return next(line.text for line in self.wanted.override if line.text.startswith("ifconfig-push"))
        if override and element == "remote_network" and text.startswith("add "):
            return "; ".join(f"iroute {dotted(network)}" for network in self.wanted.topology.vpc_networks)
        if not override and element == "local_network":
            return "; ".join(line.text for line in self.wanted.server if line.text.startswith("push"))
        name = _DIRECTIVE.get(element)
        found = [line.text for line in self.wanted.server if name and line.text.split()[0] == name]
        if found and not override:
            return found[0]
        return text or _ENTRY.get(element, "see `mooring office --format openvpn`")

    def routed(self, networks: tuple[IPv4Network, ...]) -> tuple[str, str]:
        """Return the lines that send networks into the tunnel."""
        return "route", "; ".join(f"route {dotted(network)}" for network in networks)


def looks_plain(document: bytes) -> bool:
    """Return whether a document is an OpenVPN configuration: its first word is a directive, or opens a block of one."""
    try:
        text = document.decode()
    except UnicodeDecodeError:
        return False
    if "\0" in text:
        return False
    first = next((words[0] for words, _ in map(split, text.splitlines()) if words), "")
    return first.removeprefix("--").strip("<>") in DIRECTIVES


def check_plain(
    topology: Topology,
    path: str,
    text: str,
    include: Callable[[str], str | None],
    files: Mapping[str, str] | None,
) -> Judged:
    """Find everything in a server's configuration and its clients' files that keeps the tunnel from working.

    Args:
        topology: with a tunnel.
        path: the configuration's.
        text: what is in it.
        include: gives the text of a file that it reads in between, None when it cannot.
        files: the texts of clients' files by name; None when the folder is not here.

    Raises:
        ValueError: the topology has no tunnel.
    """
    wanted = office(topology)
    name, lines = wanted.tunnel.common_name, tuple(Line(one) for one in text.splitlines())
    clients = {one: File(one, tuple(Line(t) for t in own.splitlines())) for one, own in (files or {}).items()}
    written = Effective("the server", File(path, lines), clients)
    mine = written.override(name)
    others = {one: Config.of(file.lines) for one, file in clients.items() if file is not mine}
    server = Config(tuple(parse(lines, include)))
    override = Config.of(mine.lines) if mine else None
    case = Case(topology, wanted.tunnel, "the server", server, override, Paper(wanted), others)
    return Judged.of(written, [*judge(case), *_folder(case, here=files is not None)])


def _folder(case: Case, *, here: bool) -> Iterator[Finding]:
    """Judge whether the router's file is there at all."""
    name, folder = case.tunnel.common_name, case.server.last("client-config-dir")
    if folder is None:
        what = "the server has no folder of clients' files: it does not know which client the VPC is behind"
        yield case.find("missing", what, "client-config-dir", mend="client-config-dir ccd")
    elif not here:
        yield case.find(
            "unclear", "the folder of clients' files is not here", "client-config-dir", mend="--ccd DIR"
        )
    elif case.override is None:
        near = any(other.lower() == name.lower() for other in case.others)
        why = "one differs by capital letters, which count" if near else "without it no packet finds the VPC"
        what = f"there is no file of {name}; {why}"
        mend = "; ".join(line.text for line in office(case.topology).override)
        yield case.find("missing", what, "common_name", override=True, mend=mend)
