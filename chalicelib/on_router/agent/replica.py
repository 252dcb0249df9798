"""Copies this router's packet filters, everybody's, into an empty namespace: nftables, iptables of either backend, ipset.

What a copy cannot have is somebody in user space who judges packets: a queue lets them pass in it.
"""

from __future__ import annotations

import re
import shutil
from pathlib import Path
from typing import Any

from .shell import NOT_INSTALLED, Broken, last_words, run

Copy = dict[str, Any]
"""JSON: `ipset` and `nft` are texts, `iptables` maps a restore program to its text, `interfaces` are names."""

_BACKENDS = ("iptables-nft", "iptables-legacy")
_FAMILIES = ("ip", "inet", "netdev")
_MOST_INTERFACES = 256

# What nft shows of xtables' matches that it has no words for, read back, would be another rule, or none.
_UNREADABLE = re.compile(r"# xt_|\bxt (?:match|target) ")
_TABLE = re.compile(r"^table (?P<name>\w+ \S+) \{.*?^\}$", re.MULTILINE | re.DOTALL)
# Words that are another process's, or a network card's; a table whose owner has gone would vanish with our own `nft`.
_OWNERS = re.compile(r"^\tflags (?P<flags>[a-z, ]+?);?$", re.MULTILINE)
_OFFLOADED = re.compile(r"\bflags offload;?")
_NFT_QUEUE = re.compile(r"\bqueue\b(?: flags [a-z,]+)? (?:to|num) .*$", re.MULTILINE)
_IPTABLES_QUEUE = re.compile(r"-j NFQUEUE .*$", re.MULTILINE)


def take() -> Copy:
    """Read all rules that are in force here.

    Raises:
        Broken: a tool that is here does not answer.
    """
    iptables, owned = {}, set()
    for name, nft in _backends():
        saved = _read(f"{name}-save")
        iptables[f"{name}-restore"] = _IPTABLES_QUEUE.sub("-j ACCEPT", saved)
        owned |= {f"ip {line[1:]}" for line in saved.splitlines() if nft and line.startswith("*")}
    return {
        "ipset": _read("ipset", "save"),
        "nft": "\n".join(_portable(name, text) for name, text in _tables() if name not in owned),
        "iptables": iptables,
        "interfaces": sorted(path.name for path in Path("/sys/class/net").iterdir())[:_MOST_INTERFACES],
    }


def put(copy: Copy) -> None:
    """Load a copy; the interfaces that its rules name must be there.

    Raises:
        Broken: what is in force on the router cannot be loaded here.
    """
    _write(copy["ipset"], "ipset", "restore")
    _write(copy["nft"], "nft", "-f", "-")
    for program, text in copy["iptables"].items():
        _write(text, program)


def counted() -> list[tuple[str, str]]:
    """Return iptables' rules and policies with their counters, each with its backend's table: for who compares two times."""
    lines = []
    for name, nft in _backends():
        table = ""
        for line in _read(f"{name}-save", "-c").splitlines():
            if line.startswith("*"):
                table = f"table ip {line[1:]}" if nft else f"{name} table {line[1:]}"
            elif line.startswith(("[", ":")):
                lines.append((table, line))
    return lines


def _backends() -> list[tuple[str, bool]]:
    """Return iptables' programs here, and whether their rules are nftables' own."""
    named = [(name, name == "iptables-nft") for name in _BACKENDS if shutil.which(f"{name}-save")]
    return named or [("iptables", "nf_tables" in run("iptables", "-V").stdout)]


def _tables() -> list[tuple[str, str]]:
    """Return nftables' tables that IPv4 packets meet, by family and name, as `nft` lists them."""
    tables = _TABLE.finditer(_read("nft", "list", "ruleset"))
    return [(one["name"], one[0]) for one in tables if one["name"].split()[0] in _FAMILIES]


def _portable(name: str, table: str) -> str:
    """Write a table so that it can be loaded by another than its owner.

    Raises:
        Broken: nft cannot write down all of it.
    """
    if _UNREADABLE.search(table):
        raise Broken(f"table {name} holds rules of xtables that nft does not write down")

    def kept(match: re.Match[str]) -> str:
        flags = [one for one in re.split(r"[, ]+", match["flags"]) if one not in ("owner", "persist")]
        return f"\tflags {', '.join(flags)}" if flags else ""

    table = _OWNERS.sub(kept, table, count=1)
    return _NFT_QUEUE.sub("accept", _OFFLOADED.sub("", table))


def _read(*command: str) -> str:
    """Run what reads rules; who is not installed has none."""
    ended = run(*command)
    if ended.returncode == NOT_INSTALLED:
        return ""
    if ended.returncode:
        raise Broken(f"{command[0]}: {last_words(ended)}")
    return ended.stdout


def _write(text: str, *command: str) -> None:
    """Run what loads rules, if there are any."""
    if text.strip():
        ended = run(*command, text=text)
        if ended.returncode:
            raise Broken(f"{command[0]}: {last_words(ended)}")
