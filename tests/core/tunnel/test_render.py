"""The router's files are a pure function of the topology and the candidate, in one canonical form."""

from __future__ import annotations

import base64
import hashlib
import json
import zlib
from dataclasses import replace
from ipaddress import IPv4Address, IPv4Network
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from chalicelib.core.declaration import parse
from chalicelib.core.tunnel.render import SECRETS, Box, render
from tests.builders import topology
from tests.core.documents import tunnelled
from tests.on_router.rendered import BOX, declared, rendered, text_of

ROOT = Path(__file__).parents[3]
GOLDEN = ROOT / "tests" / "golden" / "router"


@pytest.mark.parametrize("name", ["mooring.conf", "rules.v4", "role.json"])
def test_rendered_file_of_the_example_is_the_golden_one(name: str) -> None:
    """Every change of what reaches a router is seen in a review: who means it changes the golden file."""
    example = parse((ROOT / "examples" / "office.toml").read_bytes())
    (path,) = (
        f.path for f in render(example, BOX).files if f.path.endswith(f"/{name}") and ".d/" not in f.path
    )

    assert text_of(render(example, BOX), path) == (GOLDEN / name).read_text()


def test_rules_of_a_followed_table_in_two_ranges_are_the_golden_ones() -> None:
    """Each range of the VPC is treated like the first; whatever is not public leaves under the router's address."""
    text = (ROOT / "examples" / "office.toml").read_text()
    text = text.replace(
        'cidr = "10.0.0.0/16"\n', 'cidr = "10.0.0.0/16"\nsecondary_cidrs = ["100.64.0.0/16"]\n'
    )
    text = text.replace("# follow = true", "follow = true  ", 1)

    rules = text_of(render(parse(text.encode()), BOX), "/rules.v4")

    assert rules == (GOLDEN / "rules-followed.v4").read_text()


def test_bundle_is_the_files_a_router_needs_and_no_secret() -> None:
    """Files are sorted by path; what runs may run; keys are named and not brought."""
    bundle = rendered()

    assert {file.path: oct(file.mode) for file in bundle.files} == {
        "/etc/mooring/role.json": "0o644",
        "/etc/mooring/rules.v4": "0o644",
        "/etc/openvpn/client/mooring.conf": "0o644",
        "/etc/systemd/system/mooring-firewall.service": "0o644",
        "/etc/systemd/system/mooring-role.service": "0o644",
        "/etc/systemd/system/openvpn-client@mooring.service.d/mooring.conf": "0o644",
        "/usr/local/lib/mooring/firewall": "0o755",
        "/usr/local/lib/mooring/role": "0o755",
    }
    assert list(bundle.files) == sorted(bundle.files, key=lambda file: file.path)
    assert all(path in text_of(bundle, "client/mooring.conf") for path in SECRETS.values())
    assert not {file.path for file in bundle.files} & set(SECRETS.values())


def test_canonical_form_is_compact_json_and_its_digest_sha256() -> None:
    """Whoever has the files can check the digest without Mooring."""
    bundle = rendered()

    document = json.loads(bundle.canonical)

    assert bundle.canonical == json.dumps(document, sort_keys=True, separators=(",", ":")).encode()
    assert document["schema"] == 1
    assert document["files"]["/usr/local/lib/mooring/role"]["mode"] == "0755"
    assert bundle.digest == hashlib.sha256(bundle.canonical).hexdigest()


def test_bundle_fits_an_advanced_parameter_when_compressed() -> None:
    """Parameter Store holds 8 KB at most; dozens of office networks must fit as well."""
    many = ", ".join(f'"10.{100 + at}.0.0/24"' for at in range(32))
    bundle = rendered(('"10.100.100.0/24", "10.100.200.0/24", "10.100.30.0/24"', many))

    assert len(base64.b64encode(zlib.compress(bundle.canonical, 9))) <= 8192


def test_topology_without_a_tunnel_renders_nothing() -> None:
    """Then the router's configuration is not Mooring's."""
    with pytest.raises(ValueError, match="office declares no tunnel"):
        render(topology(), BOX)


def test_only_what_differs_between_candidates_differs_between_bundles() -> None:
    """A candidate's bundle names its own address; everything else is the topology's."""
    other = render(declared(), Box(IPv4Address("10.0.10.9"), BOX.elastic_ip))

    changed = [a.path for a, b in zip(rendered().files, other.files, strict=True) if a != b]

    assert changed == ["/etc/mooring/role.json", "/etc/mooring/rules.v4"]


def test_tcp_tunnel_has_no_directive_of_udp() -> None:
    """OpenVPN 2.6 refuses to start with `explicit-exit-notify` on TCP."""
    text = text_of(
        rendered(('address = "192.168.0.254"', 'address = "192.168.0.254"\nprotocol = "tcp4"')),
        "client/mooring.conf",
    )

    assert "proto tcp4-client\n" in text
    assert "explicit-exit-notify" not in text
    assert "fast-io" not in text


def test_no_pushed_option_steers_a_packet() -> None:
    """What a server may push is a list of options that keep the session; the last filter ignores all others."""
    filters = [
        line
        for line in text_of(rendered(), "client/mooring.conf").splitlines()
        if line.startswith("pull-filter")
    ]

    assert filters[-1] == 'pull-filter ignore ""'
    steering = (
        "route",
        "redirect",
        "ifconfig",
        "topology",
        "dhcp-option",
        "dns",
        "block-",
        "client-nat",
        "setenv",
    )
    accepted = [line.split('"')[1] for line in filters[:-1]]
    assert not [
        option
        for option in accepted
        for word in steering
        if word.startswith(option) or option.startswith(word)
    ]


def test_private_subnets_that_are_not_listed_are_all_of_the_vpc_that_is_not_public() -> None:
    """A table selected by tags need not list its subnets; its subnets need a way out all the same."""
    whole = declared(('subnets = { subnet-00000000000000004 = "10.0.2.0/24" }\n', ""))

    for public in whole.public_subnets.values():
        assert not any(private.overlaps(public) for private in whole.private_networks)
    covered = sum(n.num_addresses for n in (*whole.private_networks, *whole.public_subnets.values()))
    assert covered == whole.cidr.num_addresses
    assert whole.vpc_networks == (whole.cidr,)


@given(st.sets(st.integers(0, 255), min_size=1, max_size=20))
def test_everything_but_the_public_subnets_is_private_when_nothing_is_listed(places: set[int]) -> None:
    """However the public subnets lie, the rest is covered once."""
    base = declared()
    public = {f"subnet-{at:017x}": IPv4Network(f"10.0.{at}.0/24") for at in places}
    tables = (replace(base.tables[0], subnets=public), replace(base.tables[1], subnets={}))
    rest = replace(base, tables=tables).private_networks

    covered = sum(network.num_addresses for network in (*rest, *public.values()))
    assert covered == base.cidr.num_addresses
    assert not any(a.overlaps(b) for a in rest for b in public.values())


def test_same_topology_and_candidate_give_the_same_digest() -> None:
    """A digest is compared over weeks: nothing of the day, the machine or an order goes into it."""
    assert render(parse(tunnelled()), BOX).digest == render(parse(tunnelled()), BOX).digest
