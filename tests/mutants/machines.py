"""What routers' operating systems are given, and what they say: pushes, words, change windows."""

from __future__ import annotations

from tests.mutants.mutant import Mutant

MACHINES = (
    Mutant(
        "core/machines/rollout.py",
        "pushes the router outside of its change window",
        "and declared_anew and not window.contains(now):",
        "and declared_anew and not window:",
    ),
    Mutant(
        "core/machines/rollout.py",
        "lets a standby wait for the change window",
        "if seat.current and window and",
        "if window and",
    ),
    Mutant(
        "core/machines/rollout.py",
        "lets what nobody declared wait for the change window",
        "declared_anew = word.digest is not None and not word.drift",
        "declared_anew = True",
    ),
    Mutant(
        "core/machines/rollout.py",
        "leans on a stale word",
        "elif machine.fresh(now) is None:",
        "elif machine.fresh(word.at) is None:",
    ),
    Mutant(
        "core/machines/rollout.py",
        "pushes to a machine that nobody has asked",
        'yield _mute(machine, now) or _Waiting(f"{seat.instance.id} has yet to say how it stands")',
        'yield _push(seat, word, "nobody knows")',
    ),
    Mutant(
        "core/machines/rollout.py",
        "waits for ever for a machine that does not say how it stands",
        "if machine.unresponsive is None or now - machine.unresponsive.since <= SETTLES:",
        "if machine.unresponsive is None or now:",
    ),
    Mutant(
        "core/machines/rollout.py",
        "takes a word from before the instance was started",
        "return None if word is None or word.at < instance.launched_at else word",
        "return word",
    ),
    Mutant(
        "core/machines/rollout.py",
        "remembers a failed push of what nobody declares any more",
        "if box and machine.failed and machine.failed.digest != render(topology, box).digest:",
        "if box and not box:",
    ),
    Mutant(
        "core/machines/rollout.py",
        "pushes without its condition what was confirmed too late",
        "failed.secrets in (None, stored)",
        "failed.secrets == stored",
    ),
    Mutant(
        "core/machines/rollout.py",
        "pushes over what is on trial",
        "    elif machine.provisional and now < machine.provisional.until + INSPECTED:",
        "    elif machine.provisional and machine.failed:",
    ),
    Mutant(
        "core/machines/rollout.py",
        "has a trial hide that a machine fell silent",
        "    elif machine.provisional and now < machine.provisional.until + INSPECTED:",
        "    elif machine.provisional:",
    ),
    Mutant(
        "core/machines/rollout.py",
        "pushes again at once what a machine did not take",
        "(failed.again_at is None or now < failed.again_at)",
        "failed.again_at is None",
    ),
    Mutant(
        "core/machines/rollout.py",
        "pushes again what only an operator may",
        "(failed.again_at is None or now < failed.again_at)",
        "(failed.again_at and now < failed.again_at)",
    ),
    Mutant(
        "core/machines/rollout.py",
        "takes no notice of drift on a machine",
        "    if word.drift:\n",
        "    if word.drift and not word.digest:\n",
    ),
    Mutant(
        "core/machines/rollout.py",
        "pushes again while an answer is awaited",
        'if machine.command and machine.command.kind == "push":',
        'if machine.command and machine.command.kind == "confirm":',
    ),
    Mutant(
        "core/machines/rollout.py",
        "confirms where nothing is on trial",
        'if request.action == "confirm" and not awaiting(history, request):',
        'if request.action == "confirm" and request.to and not awaiting(history, request):',
    ),
    Mutant(
        "core/machines/rollout.py",
        "plans with what is known of instances that are gone",
        "    history = history.surviving(observation)\n",
        "",
    ),
    Mutant(
        "core/machines/rollout.py",
        "does not tell of a rule that stops what a router is there for",
        "    for stopping in word.hooks if word else ():",
        "    for stopping in ():",
    ),
    Mutant(
        "core/machines/lifecycle.py",
        "forgets what other people's rules stop once a push was refused",
        "    return word if heard.answer.hooks else replace(word, hooks=before.hooks)\n",
        "    return word\n",
    ),
    Mutant(
        "core/machines/answer.py",
        "takes no word from a script whose output somebody held",
        '_SPOKEN = frozenset({"Success", "Failed", "ExecutionTimedOut", "TimedOut"})',
        '_SPOKEN = frozenset({"Success", "Failed"})',
    ),
    Mutant(
        "core/machines/answer.py",
        "takes a push that was refused for one that was applied",
        "return _RESULTS.get(result, Result.REFUSED) if",
        "return _RESULTS.get(result, Result.TAKEN) if",
    ),
    Mutant(
        "core/machines/lifecycle.py",
        "never sees that a trial was given up",
        "    return waits is not None and waits.digest != heard.in_force\n",
        "    return waits is not None and heard.in_force is None\n",
    ),
    Mutant(
        "core/machines/lifecycle.py",
        "keeps a failed push though the machine has what it did not take",
        "    return failed is not None and word is not None and word.digest == failed.digest and not word.drift\n",
        "    return failed is not None and word is None\n",
    ),
    Mutant(
        "core/machines/lifecycle.py",
        "pushes secrets that a machine went back from for ever",
        "    return _has_failed(heard) and failed is not None and failed.secrets in (None, heard.machine.secrets)\n",
        "    return _has_failed(heard) and failed is not None\n",
    ),
    Mutant(
        "core/machines/answer.py",
        "takes a machine that was busy for a bare one",
        'if "digest" not in said:',
        'if "digests" in said:',
    ),
    Mutant(
        "core/machines/lifecycle.py",
        "forgets drift that no push has mended",
        "    word = word if taken else replace(word, drift=before.drift)\n",
        "",
    ),
    Mutant(
        "core/machines/lifecycle.py",
        "forgets the condition of a push whose answer was lost",
        '    Transition("push", Result.NONE, Waits.STAYS, Fails.GIVEN_UP, on_condition),\n',
        "",
    ),
    Mutant(
        "core/machines/lifecycle.py",
        "forgets what is on trial when something else is pushed",
        "    in_force = waits if waits and waits.digest == heard.in_force else None\n",
        "    in_force = None\n",
    ),
    Mutant(
        "core/machines/lifecycle.py",
        "takes a push for one more word on a trial that was over by then",
        "    return not on_condition(heard) or waits.until >= _begun(heard.command).until\n",
        "    return True\n",
    ),
    Mutant(
        "core/machines/lifecycle.py",
        "takes for kept what a machine says waits for its confirmation",
        "says = word is not None and word.digest is not None and heard.answer.waits == word.digest",
        "says = word is not None and word.digest is None",
    ),
    Mutant(
        "core/tunnel/render.py",
        "lets the server steer packets",
        "'pull-filter ignore \"\"',",
        "'pull-filter ignore \"route\"',",
    ),
    Mutant(
        "core/tunnel/render.py",
        "sends office traffic out translated",
        '*(f"{nat} {some} -j ACCEPT" for some in _between(vpc, remote)),',
        "",
    ),
    Mutant(
        "core/tunnel/render.py",
        "takes a secondary range of the VPC for a stranger's",
        "vpc, private, remote = topology.cidrs,",
        "vpc, private, remote = (topology.cidr,),",
    ),
    Mutant(
        "core/tunnel/render.py",
        "digests a bundle without its modes",
        '{"mode": f"{f.mode:04o}", "text": f.text}',
        '{"text": f.text}',
    ),
    Mutant(
        "core/machines/window.py",
        "closes a window at midnight",
        "or (yesterday in self.days and now < self.closes)",
        "or (today in self.days and now < self.closes)",
    ),
)
