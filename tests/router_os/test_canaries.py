"""Secrets are canaries: searched for in all that a push says, writes and starts, outside the key files."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import pytest

from chalicelib.core.tunnel.render import SECRETS
from tests.router_os.router import bundle
from tests.router_os.test_push import WIDER
from tests.stand_ins.pki import static_key

if TYPE_CHECKING:
    from tests.router_os.router import Router

# Looks at every process's words and environment, without a pause; what it looks for comes by a file, not by its own words.
_WATCH = """
import os, pathlib, sys
canaries = pathlib.Path(sys.argv[1]).read_bytes().split()
while True:
    for process in filter(str.isdecimal, os.listdir("/proc")):
        for name in ("cmdline", "environ"):
            try:
                said = pathlib.Path("/proc", process, name).read_bytes()
            except OSError:
                continue
            for canary in canaries:
                if canary in said:
                    print(canary.decode(), name, said[:80], flush=True)
"""
CONTROL = "a-word-that-the-watch-must-see"


def lines(*secrets: str) -> set[str]:
    """Return the lines of secrets that nobody else would write."""
    return {line for secret in secrets for line in secret.split("\n") if len(line) >= 20 and " " not in line}


@pytest.fixture(scope="module")
def said(bare: Router) -> str:
    """Push in each of the ways a push can end, and give all that was said by anybody."""
    router = bare
    other = static_key(8).decode()
    canaries = lines(router.identity.key, router.testbed.authority.tls_crypt, other)
    (router.testbed.scratch / "canaries").write_text("\n".join(canaries))
    (router.testbed.scratch / "watched for").write_text("\n".join([*canaries, CONTROL]))
    words = ("python3", "-c", _WATCH, str(router.testbed.scratch / "watched for"))
    router.testbed.start(*words, log="watched.log")
    pushes = [router.push(bundle()), router.push(bundle()), router.push(WIDER, confirm_within=600)]
    pushes += [router.confirm(WIDER.digest), router.push(bundle(), kill_after=2.5)]
    router.keep_secrets(tls_crypt=other)
    pushes += [router.push(bundle())]
    router.keep_secrets(key="-----BEGIN PRIVATE KEY-----\n" + "\n".join(lines(router.identity.key)) + "\n")
    pushes += [router.push(bundle())]
    router.keep_secrets()
    assert [one.result for one in pushes[:4]] == ["applied", "unchanged", "pending", "applied"]
    assert [one.result for one in pushes[5:]] == ["rolled-back", "refused"]
    router.machine.run("bash", "-c", "sleep 2; true", CONTROL)
    outputs = [one.ended.stdout + one.ended.stderr for one in pushes] + [json.dumps(router.inspect())]
    journal = router.machine.shell("journalctl --no-pager -o export")
    return "\n".join([*outputs, journal, (router.testbed.scratch / "watched.log").read_text()])


def test_no_secret_is_said(bare: Router, said: str) -> None:
    """Neither in an output, nor in the router's journal, nor in a process's words or environment."""
    canaries = (bare.testbed.scratch / "canaries").read_text().split()

    assert len(canaries) > 10
    assert CONTROL in said
    assert [canary for canary in canaries if canary in said] == []


def test_no_secret_is_on_the_disk_outside_the_key_files(bare: Router, said: str) -> None:
    """Neither a copy, nor a draft, nor an old one: four files hold secrets, readable by root alone."""
    del said
    bare.machine.write("/run/canaries", (bare.testbed.scratch / "canaries").read_text())
    found = bare.machine.shell(
        "grep -rlF -f /run/canaries / --exclude-dir=proc --exclude-dir=sys --exclude=canaries; true"
    )
    place = sorted(set(found.split()))

    assert place == sorted((SECRETS["key"], SECRETS["tls-crypt"]))
    assert bare.machine.shell("stat -c %a /etc/openvpn/client/mooring/*").split() == ["600"] * 4
    assert bare.machine.shell("ls -A /etc/openvpn/client/mooring").split() == [
        "ca.crt",
        "router.crt",
        "router.key",
        "tls-crypt.key",
    ]


def test_no_secret_is_in_what_was_asked_of_aws(bare: Router, said: str) -> None:
    """Parameters of commands carry a path, a version and a digest."""
    del said
    canaries = (bare.testbed.scratch / "canaries").read_text().split()
    asked = json.dumps(
        [[call.operation, call.params] for call in bare.world.calls if call.by != "hand"],
        default=str,
    )

    assert "GetParameters" in asked
    assert [canary for canary in canaries if canary in asked] == []
