"""Reads and clears Mooring's own chains, the jumps into them, and its unreachable routes; everybody else's stay."""

from __future__ import annotations

import re
from collections import Counter

from .shell import Broken, last_words, run

_CHAIN = re.compile(r":(MOORING-[\w-]+) ")
_RULE = re.compile(r"-A (\S+) ")
_JUMP = re.compile(r" -[jg] MOORING-[\w-]+")


def ours() -> list[str]:
    """Return our chains, their rules and the jumps into them as `table line`, in the kernel's order.

    Raises:
        Broken: iptables does not answer.
    """
    saved = run("iptables-save")
    if saved.returncode:
        raise Broken(f"iptables-save: {last_words(saved)}")
    table, lines = "", []
    for line in saved.stdout.splitlines():
        if line.startswith("*"):
            table = line[1:]
        elif chain := _CHAIN.match(line):
            lines.append(f"{table} :{chain[1]}")
        elif (rule := _RULE.match(line)) and (rule[1].startswith("MOORING-") or _JUMP.search(line)):
            lines.append(f"{table} {line}")
    return lines


def listed(loader: str, name: str) -> list[str]:
    """Return the networks that a loader's text lists under a name."""
    found = re.search(rf"^{name}=\((.*)\)$", loader, re.MULTILINE)
    return found[1].split() if found else []


def differences(meant: list[str], seen: list[str]) -> list[str]:
    """Describe in one line each what is missing, what is there besides, and whether the order is another."""
    missing = [f"rule missing: {line}" for line in (Counter(meant) - Counter(seen))]
    besides = [f"rule added: {line}" for line in (Counter(seen) - Counter(meant))]
    found = missing + besides
    return found or ([] if meant == seen else ["our rules are in another order than rules.v4 has them"])


def clear(keep: list[str]) -> None:
    """Remove every chain, rule and jump of ours that is not in `keep`, each table in one transaction.

    Raises:
        Broken: iptables does not let us.
    """
    gone = [line.split(" ", 1) for line in (Counter(ours()) - Counter(keep)).elements()]
    for table in sorted({table for table, _ in gone}):
        of_table = [line for name, line in gone if name == table]
        chains = [line[1:] for line in of_table if line.startswith(":")]
        rules = [line for line in of_table if line.startswith("-A ") and line.split(" ")[1] not in chains]
        # a rule goes by its own words; every chain is emptied before any is removed, since they jump to each other
        orders = [line.replace("-A ", "-D ", 1) for line in rules]
        orders += [f"-F {chain}" for chain in chains] + [f"-X {chain}" for chain in chains]
        ended = run(
            "iptables-restore", "--noflush", "-w", "10", text="\n".join([f"*{table}", *orders, "COMMIT", ""])
        )
        if ended.returncode:
            raise Broken(f"clearing table {table}: {last_words(ended)}")


def unreachable_routes() -> list[str]:
    """Return the unreachable routes of the main table, as `ip route` says them."""
    lines = run("ip", "-4", "route", "show", "type", "unreachable").stdout.splitlines()
    return sorted(" ".join(line.split()) for line in lines if line.strip())


def keep_routes(before: list[str]) -> None:
    """Make the unreachable routes what they were before."""
    now = unreachable_routes()
    for line in now:
        if line not in before:
            run("ip", "-4", "route", "del", *line.split())
    for line in before:
        if line not in now:
            run("ip", "-4", "route", "add", *line.split())
