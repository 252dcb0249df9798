"""What is read from outside: declarations, certificates, events."""

from __future__ import annotations

from tests.mutants.mutant import Mutant

READING = (
    Mutant(
        "core/toml_reader.py",
        "accepts octet 256",
        "int(octet) > 255",
        "int(octet) > 256",
    ),
    Mutant(
        "core/toml_reader.py",
        "accepts host bits",
        "if str(network.network_address) != address:",
        "if network.prefixlen > 32:",
    ),
    Mutant(
        "core/toml_reader.py",
        "accepts true for a number",
        "isinstance(value, int) and not isinstance(value, bool)",
        "isinstance(value, int)",
    ),
    Mutant(
        "core/declaration.py",
        "accepts office networks that overlap the VPC",
        "_overlaps([*draft.vpc, *draft.remote])",
        "_overlaps(draft.remote)",
    ),
    Mutant(
        "core/network/limits.py",
        "accepts limits that refuse a failover",
        '"changes": 2 + sum(',
        '"changes": 0 * sum(',
    ),
    Mutant(
        "core/network/limits.py",
        "counts one table for each declaration",
        "len(_tables(observation, entry)) if observation else 1)",
        "1)",
    ),
    Mutant(
        "core/machines/certificate.py",
        "forgets that the CA ends too",
        "return min(self.expires, self.ca_expires)",
        "return self.expires",
    ),
    Mutant(
        "core/machines/certificate.py",
        "speaks of renewal when it is too late",
        "return self.ends - now <= RENEW_WITHIN",
        "return self.ends <= now",
    ),
    Mutant(
        "core/tunnel_section.py",
        "accepts a blank in a name",
        "[A-Za-z0-9._-]{0,63}",
        "[A-Za-z0-9. _-]{0,63}",
    ),
    Mutant(
        "core/tunnel_section.py",
        "gives the router the server's address",
        "clients.network_address + 1: ",
        "clients.network_address + 9999: ",
    ),
    Mutant(
        "core/messages/concern.py",
        "lets what cannot be found wake nobody",
        "    if not missing and trigger.ids:\n",
        "    if trigger.ids:\n",
    ),
    Mutant(
        "core/messages/concern.py",
        "takes an address for a thing of the VPC that its interface is in",
        'anywhere = not vpcs or not missing.isdisjoint({"address", "eipassoc"})',
        "anywhere = not vpcs",
    ),
    Mutant(
        "core/messages/concern.py",
        "judges an instance that lost its tag by the tags it has left",
        "if found.vpc_id is not None and (edit or found.tags is None):",
        "if found.vpc_id is not None and found.tags is None:",
    ),
    Mutant(
        "core/messages/event.py",
        "reads the first thing of a list alone",
        'rest += [(name, item) for item in cast("list[object]", inner)]',
        'rest += [(name, item) for item in cast("list[object]", inner)[:1]]',
    ),
    Mutant(
        "core/messages/event.py",
        "takes what is launched into a warm pool for in service",
        'if kind == "EC2 Instance Launch Successful" and detail.get("Destination") in _IN_SERVICE:',
        'if kind == "EC2 Instance Launch Successful":',
    ),
)
