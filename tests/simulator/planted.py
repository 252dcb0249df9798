"""Bugs to plant: the faults that the loop once had, each as it was, and others that only a schedule can show."""

from __future__ import annotations

from tests.mutants import MUTANTS, Mutant

ELECTION, HISTORY, GUARD, PLAN = (
    "core/network/election.py",
    "core/network/history.py",
    "core/network/guard.py",
    "core/network/plan.py",
)
CANDIDATES, WORKER = "core/network/candidates.py", "controller/worker.py"
OUTCOME = "controller/outcome.py"

ONCE_SO = (
    Mutant(
        ELECTION,
        "believes one look, however soon after a decision, that the network was moved whole",
        "        if observation.taken_at - decided <= READ_LAG:\n            return stays\n",
        "        if followed.id != router.id:\n            return Election(followed, router_interface(topology, followed), '', router.id, 'adopted')\n",
    ),
    Mutant(
        ELECTION,
        "believes that a router fails its checks, though that may be from before it was the router",
        "        if settled or _dated(history, router):\n",
        "        if settled or router:\n",
    ),
    Mutant(
        HISTORY,
        "believes what was shown of a router from before its last launch",
        "        return instance.launched_at < self.launched_at\n",
        "        return False\n",
    ),
    Mutant(
        ELECTION,
        "believes one reading that a router is stopping, though the other lists it as running",
        'if router.state in ("stopping", "stopped", "pending") and router.listed:',
        'if router.state == "never":',
    ),
    Mutant(
        ELECTION,
        "leaves a router for what may be wrong with it from before it was the router",
        "    if why and settled:\n",
        "    if why:\n",
    ),
    Mutant(
        "controller/assessment.py",
        "takes a router that a listing leaves out for a terminated one",
        "    if recorded.router is None or observation.instance(recorded.router):\n        return observation\n",
        "    if recorded is not None:\n        return observation\n",
    ),
    Mutant(
        "controller/assessment.py",
        "takes a router that EC2 does not know yet for a terminated one",
        "    if found is None and not recorded.settled(observation.taken_at):\n",
        "    if found is None and recorded.router is None:\n",
    ),
    Mutant(
        HISTORY,
        "takes a rebalance recommendation for the end",
        'NOTICED = {"interruption": timedelta(minutes=15), ',
        'NOTICED = {"rebalance": timedelta(days=7), "interruption": timedelta(minutes=15), ',
    ),
    Mutant(
        HISTORY,
        "lets a notice outlive the launch that it was about",
        "                or launched > notice.at\n",
        "",
    ),
    Mutant(
        HISTORY,
        "lets a notice hold for ever",
        'NOTICED = {"interruption": timedelta(minutes=15), "termination": timedelta(hours=2)}',
        'NOTICED = {"interruption": timedelta(days=999), "termination": timedelta(days=999)}',
    ),
    Mutant(
        ELECTION,
        "lets nobody overrule a notice",
        "if why and (chosen is None or not force or unable(topology, observation, chosen)):",
        "if why and (chosen is None or not force or why):",
    ),
    Mutant(
        GUARD,
        "holds every move down",
        '    if election.cause == "unwanted":\n',
        '    if election.cause not in ("operator", "none"):\n',
        Mutant(
            HISTORY,
            "counts an operator's moves",
            'recent, at if cause == "unwanted" else None)',
            'recent, at if cause != "none" else None)',
        ),
    ),
    Mutant(
        GUARD,
        "holds an unfit router for an hour once one was left",
        "until = recent[-1] + PAUSES[min(len(recent), len(PAUSES) - 1)] if recent else at",
        "until = recent[-1] + HOLD_DOWN if recent else at",
    ),
    Mutant(
        GUARD,
        "refuses everything where one change is refused",
        "        return resource_key(change) not in self.refused\n",
        "        return not self.refused\n",
    ),
    Mutant(
        GUARD,
        "counts what a failover moves as blast",
        "            return change.was not in before\n",
        "            return True\n",
    ),
    Mutant(
        GUARD,
        "counts what only drifted as blast",
        "    if history.kept == scope(topology, observation):\n        return {}\n",
        "",
    ),
    Mutant(
        PLAN,
        "keeps nothing where nobody may be the router",
        '        if entry.kind == "public" and not defaults:\n',
        '        if entry.kind == "public" and pins.seat and not defaults:\n',
    ),
    Mutant(
        ELECTION,
        "lets a running router go unrepaired where nobody is better",
        '    in_place = hold(topology, observation, history, f"{why}, and no candidate is better")\n',
        "    in_place = None\n",
    ),
    Mutant(
        CANDIDATES,
        "elects one that holds somebody's Elastic IP",
        "    if squatter := squatter_on(topology, observation, interface):\n",
        "    if (squatter := squatter_on(topology, observation, interface)) and not squatter:\n",
    ),
    Mutant(
        CANDIDATES,
        "elects one without an IPv4 address",
        "    if not interface.addresses:\n",
        "    if interface is None:\n",
    ),
    Mutant(
        PLAN,
        "takes routes from a NAT gateway though the Elastic IP cannot come",
        "            if pins.arrives is not True and _carries(pins, destination, present):\n",
        "            if pins.arrives is None and _carries(pins, destination, present):\n",
    ),
    Mutant(
        "controller/assessment.py",
        "is blind where a reading fails that no move needs",
        "    return Sight(_with_router(",
        "    if observation.unread:\n"
        "        raise ObservationError(str(observation.unread))\n"
        "    return Sight(_with_router(",
    ),
    Mutant(
        "controller/reconcile.py",
        "has the network wait for machines",
        "        at_once = task.topology.tunnel is None or task.request.for_machines\n",
        "        at_once = True\n",
    ),
    Mutant(
        "../.chalice/resources.yaml",
        "hides a message for twelve minutes from all other runs",
        "      VisibilityTimeout: 65\n",
        "      VisibilityTimeout: 720\n",
    ),
    Mutant(
        "controller/assessment.py",
        "knows no deadline",
        "        return max(0.0, (self.deadline - clock.now()).total_seconds())\n",
        "        return 120.0 if clock else 0.0\n",
    ),
    Mutant(
        "controller/ingest.py",
        "looks for the first alone of what an event names",
        "ports.network.locate(lookup) if lookup else {}",
        "ports.network.locate(sorted(lookup)[:1]) if lookup else {}",
        Mutant(
            "core/messages/concern.py",
            "lets what cannot be found wake nobody",
            "    if not missing and trigger.ids:\n",
            "    if trigger.ids:\n",
        ),
    ),
    Mutant(
        "controller/worker.py",
        "carries out what was asked hours ago",
        "            if message.request_id is not None:\n                _check",
        "            if message.request_id is None:\n                _check",
    ),
    Mutant(
        "controller/worker.py",
        "forgets what was declared where it cannot be read",
        "            known = before or self._kept(name)\n",
        "            known = None\n",
    ),
)
"""Faults that were landed once (what each came to: docs/how-it-is-tested.md)."""

BESIDE = (
    Mutant(
        CANDIDATES,
        "elects an instance that is stopping",
        'if instance.state != "running":',
        'if instance.state not in ("running", "stopping"):',
    ),
    Mutant(
        CANDIDATES,
        "elects an instance that fails its checks",
        'if instance.checks == "impaired":',
        'if instance.checks == "failed":',
    ),
    Mutant(
        CANDIDATES,
        "lets a router sit in any subnet",
        "if interface.subnet_id not in topology.public_subnets:",
        "if not interface.subnet_id:",
    ),
    Mutant(
        ELECTION,
        "moves off a fit router for a better candidate",
        '    if cause == "none":\n        return _stay(',
        '    if cause == "none" and eligible[:1] and eligible[0].id == history.router:\n        return _stay(',
    ),
    Mutant(
        ELECTION,
        "never leaves an impaired router",
        '    if router.checks == "impaired":\n',
        '    if router.checks == "failed":\n',
    ),
    Mutant(
        ELECTION,
        "never leaves a stopped router",
        '    if router.state != "running":\n        return "dead"',
        '    if router.state == "never":\n        return "dead"',
    ),
    Mutant(
        ELECTION,
        "never leaves a router with a notice",
        "    if said := noticed(router):\n",
        "    if (said := noticed(router)) and not said:\n",
    ),
    Mutant(
        GUARD,
        "ignores the declared pause",
        "    if topology.paused:\n",
        "    if topology.paused and not topology.paused:\n",
    ),
    Mutant(
        GUARD,
        "ignores an operator's pause",
        "    if pause := history.paused(at):\n",
        "    if (pause := history.paused(at)) and not pause:\n",
    ),
    Mutant(
        PLAN,
        "writes the main table",
        "if not t.main and claims[t.id] == 1",
        "if claims[t.id] == 1",
    ),
    Mutant(PLAN, "forgets the Elastic IP", "        *address,\n", ""),
    Mutant(
        PLAN,
        "revokes ssh from wherever it is allowed",
        "if found := sorted(rule.id for rule in observation.ingress if rule.bootstrap):",
        "if found := sorted(rule.id for rule in observation.ingress if rule.from_port == 22):",
    ),
    Mutant(
        PLAN,
        "replaces no association",
        "association = current.associations.get(subnet_id) if current else None",
        "association = None",
    ),
    Mutant(
        "core/network/topology.py",
        "forgets the VPN clients' network",
        "return (*self.office_networks, self.vpn_clients)",
        "return self.office_networks",
    ),
    Mutant(
        "controller/run.py",
        "writes before the decision is on record",
        "        if self.error:\n            return\n        for stage in _stages",
        "        for stage in _stages",
    ),
    Mutant(
        "controller/run.py",
        "lets one failed write stop what needs none of it",
        "for dependency in depends_on(c) if self.attempted.get(dependency)])",
        "for dependency in (*depends_on(c), *self.attempted) if self.attempted.get(dependency)])",
    ),
    Mutant(
        "controller/run.py",
        "points routes at an interface whose check could not be switched off",
        "for dependency in depends_on(c) if self.attempted.get(dependency)])",
        "for dependency in depends_on(c) if dependency in ()])",
    ),
    Mutant(
        OUTCOME,
        "calls what failed repaired",
        "            drifting=bool(wanted or problems or (error and router)),\n",
        "            drifting=bool(problems),\n",
    ),
)
"""Others that touch the loop."""

MACHINES = tuple(
    mutant
    for mutant in MUTANTS
    if mutant.bug
    in (
        "pushes again while an answer is awaited",
        "pushes again what only an operator may",
        "pushes to a machine that nobody has asked",
        "takes no notice of drift on a machine",
        "lists tables in AWS's order of the day",
        "takes a propagated route for a declared one",
    )
)
"""Those of the mutants (tests/mutants) that a schedule may meet."""
