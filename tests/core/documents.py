"""A valid topology as an operator writes it, and a way to break it in one place."""

from __future__ import annotations

DOCUMENT = """\
name = "office"

[vpc]
id = "vpc-00000000000000001"
cidr = "10.0.0.0/16"
internet_gateway = "igw-00000000000000001"

[office]
networks = ["10.100.100.0/24", "10.100.200.0/24", "10.100.30.0/24"]
vpn_clients = "192.168.0.0/24"

[router]
candidates = { "mooring:router" = "office" }
elastic_ip = "eipalloc-00000000000000001"
security_group = "sg-00000000000000001"
ssh = "closed"

[[public]]
table = "rtb-00000000000000001"
subnets = { subnet-00000000000000001 = "10.0.0.0/24", subnet-00000000000000002 = "10.0.10.0/24" }

[[private]]
table = "rtb-00000000000000002"
subnets = { subnet-00000000000000003 = "10.0.1.0/24" }

[[private]]
table = { "mooring:role" = "private" }
subnets = { subnet-00000000000000004 = "10.0.2.0/24" }
office_routes = true
"""

TUNNEL = """\

[tunnel]
server = "vpn.example.com"
common_name = "aws-router"
server_name = "office-vpn"
address = "192.168.0.254"
"""


def written(*changes: tuple[str, str]) -> bytes:
    """Return the document with some of its text exchanged; each text must occur exactly once."""
    return _exchanged(DOCUMENT, changes)


def tunnelled(*changes: tuple[str, str]) -> bytes:
    """Return the document with a tunnel declared as well, and some of its text exchanged."""
    return _exchanged(DOCUMENT + TUNNEL, changes)


def _exchanged(text: str, changes: tuple[tuple[str, str], ...]) -> bytes:
    for old, new in changes:
        assert text.count(old) == 1, f"{old!r} occurs {text.count(old)} times"
        text = text.replace(old, new)
    return text.encode()
