"""Plants known bugs one at a time: each must turn the fast tests red, else a guard is only believed to work.

`make mutants`. A mutant whose old text is no longer there exactly once counts as one that survived: move it along.
"""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
import tempfile
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).parents[1]
AT_ONCE = 2
SECONDS = 300
"""How long a mutant may make the tests take; one that hangs them is found out, too."""


@dataclass(frozen=True, slots=True)
class Mutant:
    """One bug: in a file below `chalicelib`, the old text becomes the new one."""

    file: str
    bug: str
    old: str
    new: str


MUTANTS = (
    Mutant(
        "core/plan.py",
        "forgets the Elastic IP",
        "        *_elastic_ip(topology, observation, election),\n",
        "",
    ),
    Mutant(
        "core/plan.py", "writes the main table", "if not t.main and claims[t.id] == 1", "if claims[t.id] == 1"
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
        "if (elastic_ip.interface_id, elastic_ip.private_address) == (interface.id, address):",
        "if elastic_ip.interface_id == interface.id:",
    ),
    Mutant(
        "core/plan.py",
        "throws a squatting Elastic IP off",
        "    if squatter:",
        "    if squatter and not squatter:",
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
        "or interface is None or ineligible(topology, standby):",
        "or interface is None:",
    ),
    Mutant(
        "core/plan.py",
        "associates a subnet without replacing the association it has",
        "association = current.associations.get(subnet_id) if current else None",
        "association = None",
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
        "core/observation.py",
        "forgets the moves it made",
        "*([at] if counted else [])",
        "*([] if counted else [])",
    ),
    Mutant("core/observation.py", "never ends a pause", "at < self.pause.until", "at"),
    Mutant(
        "core/election.py",
        "elects an instance that is stopping",
        'if instance.state != "running":',
        'if instance.state not in ("running", "stopping"):',
    ),
    Mutant(
        "core/election.py",
        "elects an instance that fails its checks",
        'if instance.checks == "impaired":',
        'if instance.checks == "failed":',
    ),
    Mutant(
        "core/election.py",
        "moves off a healthy incumbent for a better candidate",
        "elif incumbent in {c.id for c in eligible}:",
        "elif incumbent in {c.id for c in eligible[:1]}:",
    ),
    Mutant(
        "core/election.py",
        "forgets whom the journal remembers",
        "if history.router is not None and held.get(history.router):",
        "if history.router is not None and not held:",
    ),
    Mutant(
        "core/election.py",
        "counts every attempt as a move",
        "chosen.id not in (incumbent, history.router)",
        "chosen.id != incumbent",
    ),
    Mutant("core/election.py", "breaks ties by AWS's order of the day", "rank[:-1]", "rank[:-2]"),
    Mutant(
        "core/election.py",
        "lets a router sit in any subnet",
        "if interface.subnet_id not in topology.public_subnets:",
        "if not interface.subnet_id:",
    ),
    Mutant(
        "core/guard.py", "ignores the declared pause", "    if topology.paused:", "    if not topology.name:"
    ),
    Mutant(
        "core/guard.py",
        "ignores an operator's pause",
        "if pause := history.paused(observation.taken_at):",
        "if (pause := history.pause) and pause.until:",
    ),
    Mutant("core/guard.py", "lets --force overrule a pause", "not (force and r.forceable)", "not force"),
    Mutant(
        "core/guard.py",
        "is off by one in the hold-down",
        "if len(recent) < limit:",
        "if len(recent) <= limit:",
    ),
    Mutant("core/guard.py", "is off by one in the blast radius", "if count > limit:", "if count >= limit:"),
    Mutant(
        "core/guard.py",
        "lets undeclared destinations through",
        "return ours and IPv4Network(change.destination) in declared",
        "return ours",
    ),
    Mutant(
        "controller.py",
        "calls a change verified without looking",
        'return "verified" if wanted is False else "unseen"',
        'return "verified"',
    ),
    Mutant(
        "controller.py",
        "takes the first look after writing for the last word",
        "if isinstance(again, Look) and not done & _subjects(again.network):",
        "if isinstance(again, Look):",
    ),
    Mutant(
        "controller.py",
        "calls a run repaired though a fresh look wants more",
        'verdict="drifting" if wanted or problems else "pending" if draft.waiting else "repaired"',
        'verdict="pending" if draft.waiting else "repaired"',
    ),
    Mutant(
        "controller.py",
        "writes before the decision is on record",
        "        ports.journal.decide(topology.name, seen.recorded, after, draft)\n",
        "        pass\n",
    ),
    Mutant(
        "controller.py",
        "carries out a plan that a guard refused",
        "if seen.refusal or not (",
        "if not (",
    ),
    Mutant(
        "controller.py",
        "points routes at an interface whose check could not be switched off",
        "for c in stage if (on := leans_on(c)) and results.get(on)}",
        "for c in stage if (on := leans_on(c)) and results.get(on) and False}",
    ),
    Mutant(
        "controller.py",
        "switches the check off beside the routes that lean on it",
        "isinstance(c, DisableSourceDestCheck) and subject(c) in needed\n",
        "isinstance(c, DisableSourceDestCheck) and subject(c) not in needed\n",
    ),
    Mutant(
        "controller.py",
        "lets one failed write stop all others",
        "[change for change in stage if subject(change) not in held]",
        "[change for change in stage if subject(change) not in held and not any(results.values())]",
    ),
    Mutant(
        "controller.py",
        "moves a subnet beside the default route that its table still lacks",
        "isinstance(c, AssociateRouteTable) and leans_on(c) in touched\n",
        "isinstance(c, AssociateRouteTable) and leans_on(c) not in touched\n",
    ),
    Mutant(
        "core/plan.py",
        "takes a security group that is not there for a closed one",
        "if not observation.group_seen:",
        "if observation.group_seen is None:",
    ),
    Mutant(
        "controller.py",
        "applies another plan than the one agreed to",
        "request.agreed != digest(network.changes):",
        "request.agreed == digest(network.changes):",
    ),
    Mutant("core/reading.py", "accepts octet 256", "int(octet) > 255", "int(octet) > 256"),
    Mutant(
        "core/reading.py",
        "accepts host bits",
        "if str(network.network_address) != address:",
        "if network.prefixlen > 32:",
    ),
    Mutant(
        "core/declaration.py",
        "accepts office networks that overlap the VPC",
        "_overlaps([*draft.vpc, *draft.remote])",
        "_overlaps(draft.remote)",
    ),
    Mutant(
        "core/reading.py",
        "accepts true for a number",
        "isinstance(value, int) and not isinstance(value, bool)",
        "isinstance(value, int)",
    ),
    Mutant(
        "core/reach.py",
        "accepts limits that refuse a failover",
        '"changes": 2 + sum(',
        '"changes": 0 * sum(',
    ),
    Mutant(
        "core/certificate.py",
        "forgets that the CA ends too",
        "return min(self.expires, self.ca_expires)",
        "return self.expires",
    ),
    Mutant(
        "core/certificate.py",
        "speaks of renewal when it is too late",
        "return self.ends - now <= RENEW_WITHIN",
        "return self.ends <= now",
    ),
    Mutant("core/tunnel.py", "accepts a blank in a name", "[A-Za-z0-9._-]{0,63}", "[A-Za-z0-9. _-]{0,63}"),
    Mutant(
        "core/tunnel.py",
        "gives the router the server's address",
        "clients.network_address + 1: ",
        "clients.network_address + 9999: ",
    ),
    Mutant(
        "core/router.py",
        "lets the server steer packets",
        "'pull-filter ignore \"\"',",
        "'pull-filter ignore \"route\"',",
    ),
    Mutant(
        "core/router.py",
        "sends office traffic out translated",
        '*(f"{nat} {some} -j ACCEPT" for some in _between(vpc, remote)),',
        "",
    ),
    Mutant(
        "core/router.py",
        "takes a secondary range of the VPC for a stranger's",
        "vpc, private, remote = topology.cidrs,",
        "vpc, private, remote = (topology.cidr,),",
    ),
    Mutant(
        "core/reach.py",
        "counts one table for each declaration",
        "len(_tables(observation, entry)) if observation else 1)",
        "1)",
    ),
    Mutant(
        "core/riders.py",
        "says nothing of a subnet that the router refuses",
        "if not _within(rider.cidr, carried)",
        "if _within(rider.cidr, carried)",
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
        "core/router.py",
        "digests a bundle without its modes",
        '{"mode": f"{f.mode:04o}", "text": f.text}',
        '{"text": f.text}',
    ),
    Mutant(
        "core/push.py",
        "pushes the router outside of its change window",
        "and declared_anew and not window.contains(now):",
        "and declared_anew and not window:",
    ),
    Mutant(
        "core/push.py",
        "lets a standby wait for the change window",
        "if seat.current and window and",
        "if window and",
    ),
    Mutant(
        "core/push.py",
        "lets what nobody declared wait for the change window",
        "declared_anew = word.digest is not None and not word.drift",
        "declared_anew = True",
    ),
    Mutant(
        "core/push.py",
        "leans on a stale word",
        "elif machine.fresh(now) is None:",
        "elif machine.fresh(word.at) is None:",
    ),
    Mutant(
        "core/push.py",
        "pushes to a machine that nobody has asked",
        'yield _mute(machine, now) or _Waiting(f"{seat.instance.id} has yet to say how it stands")',
        'yield _push(seat, word, "nobody knows")',
    ),
    Mutant(
        "core/push.py",
        "waits for ever for a machine that does not say how it stands",
        "if machine.silence is None or now - machine.silence.since <= SETTLES:",
        "if machine.silence is None or now:",
    ),
    Mutant(
        "core/push.py",
        "takes a word from before the instance was started",
        "return None if word is None or word.at < instance.launched_at else word",
        "return word",
    ),
    Mutant(
        "core/push.py",
        "remembers a failed push of what nobody declares any more",
        "if box and machine.setback and machine.setback.digest != render(topology, box).digest:",
        "if box and not box:",
    ),
    Mutant(
        "core/push.py",
        "pushes without its condition what was confirmed too late",
        "setback.secrets in (None, stored)",
        "setback.secrets == stored",
    ),
    Mutant(
        "core/push.py",
        "pushes over what is on trial",
        "    elif machine.trial and now < machine.trial.until + INSPECTED:",
        "    elif machine.trial and machine.setback:",
    ),
    Mutant(
        "core/push.py",
        "has a trial hide that a machine fell silent",
        "    elif machine.trial and now < machine.trial.until + INSPECTED:",
        "    elif machine.trial:",
    ),
    Mutant(
        "core/push.py",
        "pushes again at once what a machine did not take",
        "(setback.again_at is None or now < setback.again_at)",
        "setback.again_at is None",
    ),
    Mutant(
        "core/push.py",
        "pushes again what only an operator may",
        "(setback.again_at is None or now < setback.again_at)",
        "(setback.again_at and now < setback.again_at)",
    ),
    Mutant(
        "core/push.py",
        "takes no notice of drift on a machine",
        "    if word.drift:\n",
        "    if word.drift and not word.digest:\n",
    ),
    Mutant(
        "core/push.py",
        "pushes again while an answer is awaited",
        'if machine.command and machine.command.kind == "push":',
        'if machine.command and machine.command.kind == "confirm":',
    ),
    Mutant(
        "core/push.py",
        "confirms where nothing is on trial",
        'if order.kind == "confirm" and not on_trial(history, order):',
        'if order.kind == "confirm" and order.to and not on_trial(history, order):',
    ),
    Mutant(
        "core/machine.py",
        "forgets what other people's rules stop once a push was refused",
        "            word = replace(word, hooks=before.hooks)\n",
        "            pass\n",
    ),
    Mutant(
        "core/machine.py",
        "takes no word from a script whose output somebody held",
        '_SPOKEN = frozenset({"Success", "Failed", "ExecutionTimedOut", "TimedOut"})',
        '_SPOKEN = frozenset({"Success", "Failed"})',
    ),
    Mutant(
        "core/push.py",
        "does not tell of a rule that stops what a router is there for",
        "    for stopping in word.hooks if word else ():",
        "    for stopping in ():",
    ),
    Mutant(
        "core/machine.py",
        "takes a push that was refused for one that was applied",
        "        if result not in _TAKEN:",
        "        if result is None:",
    ),
    Mutant(
        "core/machine.py",
        "never sees that a trial was given up",
        "if trial and word.digest != trial.digest:",
        "if trial and word.digest is None:",
    ),
    Mutant(
        "core/machine.py",
        "keeps a setback though the machine has what it did not take",
        "if setback and word.digest == setback.digest and not word.drift:",
        "if setback and not setback:",
    ),
    Mutant(
        "core/machine.py",
        "pushes secrets that a machine went back from for ever",
        "if setback.secrets in (None, self.secrets):",
        "if setback:",
    ),
    Mutant(
        "core/machine.py",
        "takes a machine that was busy for a bare one",
        'if "digest" not in said:',
        'if "digests" in said:',
    ),
    Mutant(
        "core/machine.py",
        "forgets drift that no push has mended",
        'if before and not (command.kind == "push" and result in _TAKEN):',
        "if before and not before:",
    ),
    Mutant(
        "controller.py",
        "writes over what another run learned of machines",
        "lambda latest: latest.learned(anew, gone)",
        "lambda latest: replace(latest, machines=machines)",
    ),
    Mutant(
        "core/machine.py",
        "forgets the condition of a push whose answer was lost",
        "final=command.confirm_within is not None",
        "final=False",
    ),
    Mutant(
        "core/machine.py",
        "forgets what is on trial when something else is pushed",
        "waits = self.trial if self.trial and self.trial.digest == word.digest else None",
        "waits = None",
    ),
    Mutant(
        "core/configuration.py",
        "calls a machine ready that somebody changed",
        "word.digest == bundle.digest and not word.drift)",
        "word.digest == bundle.digest)",
    ),
    Mutant(
        "core/configuration.py",
        "calls a machine ready that has another configuration",
        "word.digest == bundle.digest and not word.drift)",
        "word.digest and not word.drift)",
    ),
    Mutant(
        "core/election.py",
        "ignores who is configured",
        "key=lambda c: (_preference(topology, c) or 0, unready(c))",
        "key=lambda c: _preference(topology, c) or 0",
    ),
    Mutant(
        "core/election.py",
        "keeps a router that does not forward",
        "for c, word in said.items() if word is False}",
        "for c, word in said.items() if word is None and False}",
    ),
    Mutant(
        "core/election.py",
        "leaves a router that does not forward for nobody who does",
        "    if True not in said.values():",
        "    if not said:",
    ),
    Mutant(
        "core/window.py",
        "closes a window at midnight",
        "or (yesterday in self.days and now < self.closes)",
        "or (today in self.days and now < self.closes)",
    ),
    Mutant(
        "controller.py",
        "calls a network converged whose push has only been sent",
        'verdict = "drifting" if any(failures) else "pending"',
        'verdict = "drifting" if any(failures) else verdict',
    ),
    Mutant(
        "core/concern.py",
        "lets what cannot be found wake nobody",
        "    if not missing and sign.ids:\n",
        "    if sign.ids:\n",
    ),
    Mutant(
        "core/concern.py",
        "takes an address for a thing of the VPC that its interface is in",
        'anywhere = not vpcs or not missing.isdisjoint({"address", "eipassoc"})',
        "anywhere = not vpcs",
    ),
    Mutant(
        "core/concern.py",
        "judges an instance that lost its tag by the tags it has left",
        "if found.vpc_id is not None and (edit or found.tags is None):",
        "if found.vpc_id is not None and found.tags is None:",
    ),
    Mutant(
        "core/event.py",
        "reads the first thing of a list alone",
        'rest += [(name, item) for item in cast("list[object]", inner)]',
        'rest += [(name, item) for item in cast("list[object]", inner)[:1]]',
    ),
    Mutant(
        "core/event.py",
        "takes what is launched into a warm pool for in service",
        'if kind == "EC2 Instance Launch Successful" and detail.get("Destination") in _IN_SERVICE:',
        'if kind == "EC2 Instance Launch Successful":',
    ),
)


def main() -> int:
    """Plant each bug, run the tests, and say which bugs nobody noticed."""
    with ThreadPoolExecutor(AT_ONCE) as pool:
        answers = list(pool.map(_try, (None, *MUTANTS)))
    survived = sum(not fine for fine in answers)
    _say(f"{len(MUTANTS) - survived} of {len(MUTANTS)} planted bugs caught")
    return 1 if survived else 0


def _try(mutant: Mutant | None) -> bool:
    """Run the tests on a copy with the bug, or with none: those must pass, or else nothing is proved."""
    with tempfile.TemporaryDirectory(prefix="mooring-mutant-") as folder:
        copy = Path(folder)
        _copy_to(copy)
        if mutant is None:
            failed = _first_failure(copy)
            if failed:
                _say(f"BROKEN    without any bug planted: {failed}")
            return not failed
        path = copy / "chalicelib" / mutant.file
        text = path.read_text()
        if text.count(mutant.old) != 1:
            _say(
                f"MISSING   {mutant.file}: {mutant.bug}: its old text is there {text.count(mutant.old)} times"
            )
            return False
        path.write_text(text.replace(mutant.old, mutant.new))
        failed = _first_failure(copy)
    _say(
        f"{'caught  ' if failed else 'SURVIVED'}  {mutant.file}: {mutant.bug}"
        + (f"  [{failed}]" if failed else "")
    )
    return bool(failed)


def _copy_to(folder: Path) -> None:
    """Copy what the fast tests need; the embedded AWS is none of it."""
    for part in ("chalicelib", "tests"):
        shutil.copytree(
            ROOT / part, folder / part, ignore=shutil.ignore_patterns("__pycache__", "world", "aws", "bench")
        )
    shutil.copytree(ROOT / "examples", folder / "examples")
    shutil.copy(ROOT / "pyproject.toml", folder)


def _first_failure(folder: Path) -> str:
    """Run the fast tests and name the first that fails; empty when all pass."""
    files = sorted(
        (
            *folder.glob("tests/core/test_*.py"),
            *folder.glob("tests/test_push.py"),
            *folder.glob("tests/test_controller*.py"),
        ),
        key=_patience,
    )
    tests = [str(path.relative_to(folder)) for path in files]
    command = [sys.executable, "-m", "pytest", "-x", "-n", "0", "-p", "no:cacheprovider", "--tb=no"]
    environment = {**os.environ, "PYTHONDONTWRITEBYTECODE": "1", "PYTHONPATH": str(folder)}
    try:
        run = subprocess.run(  # noqa: S603 - our own interpreter and tests
            [*command, "--hypothesis-profile=mutants", *tests],
            cwd=folder,
            env=environment,
            capture_output=True,
            text=True,
            timeout=SECONDS,
            check=False,
        )
    except subprocess.TimeoutExpired:
        return f"still running after {SECONDS} s"
    if run.returncode not in (0, 1):
        raise RuntimeError(f"pytest could not run: {run.stdout[-500:]}{run.stderr[-500:]}")
    found = re.search(r"^(?:FAILED|ERROR) \S*?([\w.]+(?:::\w+)?)(?:\[| |$)", run.stdout, re.MULTILINE)
    return found[1] if found else ""


def _patience(path: Path) -> tuple[bool, str]:
    """Put the examples, which are quick to tell, before what hypothesis draws."""
    return (path.stem in ("test_invariants", "test_controller_chaos"), path.name)


def _say(line: str) -> None:
    sys.stdout.write(line + "\n")
    sys.stdout.flush()


if __name__ == "__main__":
    sys.exit(main())
