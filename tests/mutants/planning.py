"""What is to be changed, and what may be: plan, guards, and what they are told of the network."""

from __future__ import annotations

from tests.mutants.mutant import Mutant

PLANNING = (
    Mutant(
        "core/plan.py",
        "forgets the Elastic IP",
        "        *address,\n",
        "",
    ),
    Mutant(
        "core/plan.py",
        "writes the main table",
        "if not t.main and claims[t.id] == 1",
        "if claims[t.id] == 1",
    ),
    Mutant(
        "core/plan.py",
        "writes a table that two declarations claim",
        "if not t.main and claims[t.id] == 1",
        "if not t.main",
    ),
    Mutant(
        "core/plan.py",
        "takes the Elastic IP's interface for the whole of where it is",
        "if (elastic_ip.interface_id, elastic_ip.private_address) == (seat.id, address):",
        "if elastic_ip.interface_id == seat.id:",
    ),
    Mutant(
        "core/plan.py",
        "throws a squatting Elastic IP off",
        "    if squatter_on(\n",
        "    if not address and squatter_on(\n",
    ),
    Mutant(
        "core/plan.py",
        "revokes ssh from wherever it is allowed",
        'if (rule.protocol, rule.from_port, rule.to_port, rule.source) == ("tcp", 22, 22, "0.0.0.0/0"):',
        'if (rule.protocol, rule.from_port, rule.to_port) == ("tcp", 22, 22):',
    ),
    Mutant(
        "core/plan.py",
        "switches the check of stopped standbys off",
        "or interface is None or ineligible(topology, observation, standby):",
        "or interface is None:",
    ),
    Mutant(
        "core/plan.py",
        "associates a subnet without replacing the association it has",
        "association = current.associations.get(subnet_id) if current else None",
        "association = None",
    ),
    Mutant(
        "core/plan.py",
        "takes a security group that is not there for a closed one",
        "if not observation.group_seen:",
        "if observation.group_seen is None:",
    ),
    Mutant(
        "core/plan.py",
        "moves routes off a NAT gateway before the Elastic IP has come",
        "            if pins.arrives is not True and _carries(pins, present):",
        "            if pins.arrives is False and _carries(pins, present):",
    ),
    Mutant(
        "core/plan.py",
        "moves routes off a NAT gateway though the Elastic IP can not come",
        "                if not pins.arrives:",
        "                if pins.arrives is True:",
    ),
    Mutant(
        "core/plan.py",
        "moves pins back while a sighting is open",
        "    seat = None if election.sighting or not election.interface else election.interface",
        "    seat = election.interface",
    ),
    Mutant(
        "core/plan.py",
        "has a dead router's interface wait for the Elastic IP",
        'return not present.target.startswith("eni-")',
        "return True",
    ),
    Mutant(
        "core/plan.py",
        "has a blackhole wait for the Elastic IP",
        '    if present.state == "blackhole":\n        return False\n',
        "",
    ),
    Mutant(
        "core/plan.py",
        "has the routes of another candidate wait for the Elastic IP",
        "return pins.topology.preference(owner.tags) is None",
        "return True",
    ),
    Mutant(
        "core/plan.py",
        "moves a subnet without waiting for the default route",
        "waits_for = subject(default) if default and not carries else None",
        "waits_for = None",
    ),
    Mutant(
        "core/plan.py",
        "has a subnet wait though its table keeps a way out",
        "waits_for = subject(default) if default and not carries else None",
        "waits_for = subject(default) if default else None",
    ),
    Mutant(
        "core/plan.py",
        "associates DHCP options anew that could not be read",
        "!= observation.dhcp_options and not unread:",
        "!= observation.dhcp_options:",
    ),
    Mutant(
        "core/plan.py",
        "takes a security group that could not be read for one that is not there",
        "or topology.security_group is None or unread:",
        "or topology.security_group is None:",
    ),
    Mutant(
        "core/guard.py",
        "ignores the declared pause",
        "    if topology.paused:",
        "    if not topology.name:",
    ),
    Mutant(
        "core/guard.py",
        "ignores an operator's pause",
        "if pause := history.paused(at):",
        "if (pause := history.pause) and pause.until:",
    ),
    Mutant(
        "core/guard.py",
        "lets --force overrule a pause",
        "    if pause := paused(topology, history, observation.taken_at):",
        "    if not force and (pause := paused(topology, history, observation.taken_at)):",
    ),
    Mutant(
        "core/guard.py",
        "is off by one in the hold-down",
        "if len(recent) < limit:",
        "if len(recent) <= limit:",
    ),
    Mutant(
        "core/guard.py",
        "is off by one in the blast radius",
        "if count > limit:",
        "if count >= limit:",
    ),
    Mutant(
        "core/guard.py",
        "lets undeclared destinations through",
        "return ours and IPv4Network(change.destination) in declared",
        "return ours",
    ),
    Mutant(
        "core/guard.py",
        "refuses to mend what was decided for",
        "    if history.kept == scope(topology, observation):",
        "    if history.kept == topology.name:",
    ),
    Mutant(
        "core/guard.py",
        "refuses with what takes over what only mends",
        'return {subject(change): Refusal("blast-radius", reason, way_out) for change in taken}',
        'return {subject(change): Refusal("blast-radius", reason, way_out) for change in changes}',
    ),
    Mutant(
        "core/guard.py",
        "holds on to an unfit router by the hold-down",
        '    if election.cause == "unwanted":',
        '    if election.cause in ("unwanted", "unfit"):',
    ),
    Mutant(
        "core/guard.py",
        "never slows down the leaving of unfit routers",
        'return _flapping(history, election, at) if election.cause == "unfit" else None',
        "return None",
    ),
    Mutant(
        "core/topology.py",
        "forgets the VPN clients' network",
        "return (*self.office_networks, self.vpn_clients)",
        "return self.office_networks",
    ),
    Mutant(
        "core/observation.py",
        "takes a propagated route for a declared one",
        'if r.destination == destination and r.origin == "CreateRoute")',
        "if r.destination == destination)",
    ),
    Mutant(
        "core/observation.py",
        "lists tables in AWS's order of the day",
        "return sorted((t for t in self.tables if selector.match(t.tags)), key=lambda table: table.id)",
        "return [t for t in self.tables if selector.match(t.tags)]",
    ),
    Mutant(
        "core/problems.py",
        "takes subnets that were not understood for gone",
        " | {s.id for s in observation.skipped}",
        "",
    ),
    Mutant(
        "core/problems.py",
        "finds a standby with somebody else's Elastic IP fit",
        "if here and other.allocation_id != topology.elastic_ip:",
        "if here and other.allocation_id == topology.elastic_ip:",
    ),
    Mutant(
        "core/advice.py",
        "says nothing of a prefix list that leads elsewhere",
        'if route.destination.startswith("pl-") and elsewhere:',
        'if route.destination.startswith("pl-") and not elsewhere:',
    ),
    Mutant(
        "core/riders.py",
        "says nothing of a subnet that the router refuses",
        "if not _within(rider.cidr, carried)",
        "if _within(rider.cidr, carried)",
    ),
)
