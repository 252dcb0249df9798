"""What AWS and people do to the network: each deed finds something to do it to, or nothing happens."""

from __future__ import annotations

from typing import TYPE_CHECKING

from chalicelib.core.network.observation import Instance, Interface, ScheduledEvent
from tests.builders import (
    PRIVATE_SUBNET_A,
    PUBLIC_SUBNET,
    ROUTER_TAGS,
    SECOND_PUBLIC_SUBNET,
)
from tests.simulator import declared
from tests.simulator.truth import INFINITE, Warned
from tests.simulator.vpc import OK, Status, moment

if TYPE_CHECKING:
    from collections.abc import Callable

    from tests.simulator.schedule import Schedule

INTERRUPTION, TERMINATION = 900.0, 7200.0
"""Seconds for which a Spot interruption and a termination hook may keep an instance from being the router."""

DESTINATIONS = ("0.0.0.0/0", "10.100.100.0/24", "192.168.0.0/24", "172.31.0.0/16")
HOOK = ("group", "mooring")


def candidates(s: Schedule, *states: str) -> list[Instance]:
    """List the candidates in some states."""
    return [i for i in s.vpc.instances.values() if "mooring:router" in i.tags and i.state in states]


def chosen(s: Schedule, *states: str) -> Instance | None:
    """Choose a candidate: the router in half of the cases, where it is in such a state."""
    found = candidates(s, *states)
    if not found:
        return None
    router = next((i for i in found if i.id == s.judge.router), None)
    return router if router and s.course.chance(0.5) else s.course.pick(found)


def _later(s: Schedule, low: float, high: float, what: Callable[[], None]) -> None:
    s.course.at(s.vpc.now + s.course.between(low, high), what)


def _state(s: Schedule, instance_id: str, state: str) -> None:
    s.course.say(f"{instance_id} is {state}")
    if state == "terminated":
        s.vpc.terminate(instance_id)
    else:
        s.vpc.become(instance_id, state)
    if state == "running":
        for warned in s.truth.warned.get(instance_id, ()):
            warned.until = min(warned.until, s.vpc.now)
    s.events.emit(
        "aws.ec2", "EC2 Instance State-change Notification", {"instance-id": instance_id, "state": state}
    )


def become(s: Schedule, instance_id: str, state: str, *before: str) -> None:
    """Change an instance's state, if it is still there and in one of the states before."""
    instance = s.vpc.instances.get(instance_id)
    if instance and (not before or instance.state in before):
        _state(s, instance_id, state)


# -- instances -------------------------------------------------------------------------------------------


def stop(s: Schedule, instance: Instance | None = None) -> None:
    """Stop an instance; it takes a while."""
    instance = instance or chosen(s, "running")
    if instance:
        name = instance.id
        _state(s, name, "stopping")
        _later(s, 2, 40, lambda: become(s, name, "stopped", "stopping"))


def start(s: Schedule) -> None:
    """Start a stopped instance: a new launch."""
    if instance := chosen(s, "stopped"):
        start_again(s, instance.id)


def start_again(s: Schedule, instance_id: str) -> None:
    """Start an instance, if it is stopped."""
    if instance_id in s.vpc.instances and s.vpc.instances[instance_id].state == "stopped":
        _state(s, instance_id, "pending")
        _later(s, 2, 15, lambda: become(s, instance_id, "running", "pending"))


def relaunch(s: Schedule) -> None:
    """Stop an instance and start it again at once."""
    if instance := chosen(s, "running"):
        name = instance.id
        _state(s, name, "stopping")
        _later(s, 2, 10, lambda: become(s, name, "stopped", "stopping"))
        _later(s, 12, 30, lambda: start_again(s, name))


def terminate(s: Schedule) -> None:
    """Terminate an instance."""
    if instance := chosen(s, "running", "stopped"):
        end(s, instance.id)


def end(s: Schedule, instance_id: str) -> None:
    """End an instance, if it is there."""
    if instance_id in s.vpc.instances and s.vpc.instances[instance_id].state != "shutting-down":
        _state(s, instance_id, "shutting-down")
        _later(s, 3, 40, lambda: become(s, instance_id, "terminated"))


def launch(s: Schedule) -> str:
    """Launch a candidate, as an Auto Scaling group does; its check is on, and now and then something is odd about it."""
    instance_id, eni = s.vpc.next_id("i"), s.vpc.next_id("eni")
    subnet, network = s.course.pick(((PUBLIC_SUBNET, "10.0.0"), (SECOND_PUBLIC_SUBNET, "10.0.10")))
    addresses: tuple[str, ...] = (f"{network}.{s.vpc.ids % 200 + 20}",)
    if "odd" in s.features and s.course.chance(0.4):
        addresses, subnet = s.course.pick((((), subnet), (("10.0.1.77",), PRIVATE_SUBNET_A)))
    tags = s.course.pick((ROUTER_TAGS, declared.SPARE_TAGS, {**ROUTER_TAGS, "rank": "first"}))
    card = Interface(eni, subnet, addresses, source_dest_check=s.course.chance(0.8))
    launched = moment(s.vpc.now).replace(microsecond=0)
    s.course.say(f"{instance_id} is launched with {eni} {addresses}")
    s.vpc.launch(Instance(instance_id, "running", launched, tags, (card,)))
    s.events.emit(
        "aws.autoscaling",
        "EC2 Instance Launch Successful",
        {"EC2InstanceId": instance_id, "Destination": "AutoScalingGroup"},
    )
    _later(s, 60, 180, lambda: _well(s, instance_id))
    return instance_id


def _well(s: Schedule, instance_id: str) -> None:
    if s.vpc.statuses.get(instance_id) == Status("initializing"):
        s.vpc.status(instance_id, OK)


def replace_by_group(s: Schedule) -> None:
    """Have the group replace an instance."""
    terminate(s)
    launch(s)


def impair(s: Schedule) -> None:
    """Have an instance hang: its status checks fail from now on."""
    if instance := chosen(s, "running"):
        s.course.say(f"{instance.id} fails its status checks")
        s.vpc.status(instance.id, Status("impaired", moment(s.vpc.now).replace(microsecond=0)))


def recover(s: Schedule) -> None:
    """Have an impaired instance pass its checks again: a reboot, or by itself."""
    sick = [i for i, status in s.vpc.statuses.items() if status.checks == "impaired"]
    if sick:
        name = s.course.pick(sick)
        s.course.say(f"{name} passes its status checks again")
        s.vpc.status(name, OK)


def flap(s: Schedule) -> None:
    """Have an instance fail its checks for a moment."""
    instance = chosen(s, "running")
    if instance and s.vpc.statuses.get(instance.id) == OK:
        name = instance.id
        s.course.say(f"{name} fails its status checks for a moment")
        s.vpc.status(name, Status("impaired", moment(s.vpc.now).replace(microsecond=0)))
        _later(s, 5, 60, lambda: recovered(s, name))


def recovered(s: Schedule, name: str) -> None:
    """Have an instance pass its checks again, if it fails them."""
    status = s.vpc.statuses.get(name)
    if status and status.checks == "impaired":
        s.vpc.status(name, Status("ok", None, status.events) if status.events else OK)


# -- notices ---------------------------------------------------------------------------------------------


def interrupt(s: Schedule) -> None:
    """Have Spot interrupt an instance in two minutes; now and then it does not come to that."""
    if instance := chosen(s, "running"):
        name, action = instance.id, s.course.pick(("terminate", "stop", "hibernate"))
        warn(s, name, action)
        if s.course.chance(0.6):
            s.course.at(s.vpc.now + 120, lambda: _taken(s, name, action))


def warn(s: Schedule, name: str, action: str) -> None:
    """Have Spot warn of an interruption."""
    s.course.say(f"{name} gets a Spot {action} notice")
    s.truth.warned.setdefault(name, []).append(Warned(s.vpc.now, s.vpc.now + INTERRUPTION))
    kind = "EC2 Spot Instance Interruption Warning"
    s.events.emit("aws.ec2", kind, {"instance-id": name, "instance-action": action})


def _taken(s: Schedule, instance_id: str, action: str) -> None:
    instance = s.vpc.instances.get(instance_id)
    if instance is None or instance.state != "running":
        return
    if action == "terminate":
        end(s, instance_id)
    else:
        stop(s, instance)
        if s.course.chance(0.5):
            _later(s, 60, 400, lambda: start_again(s, instance_id))


def recommend(s: Schedule) -> None:
    """Have Spot recommend to rebalance: a risk, and no more."""
    if instance := chosen(s, "running"):
        s.course.say(f"{instance.id} has a rebalance recommendation")
        s.events.emit("aws.ec2", "EC2 Instance Rebalance Recommendation", {"instance-id": instance.id})


def hook(s: Schedule) -> None:
    """Have the group terminate an instance behind a lifecycle hook, or take it back after all."""
    if instance := chosen(s, "running"):
        name, token = instance.id, f"{s.course.random.getrandbits(32):08x}-0000-4000-8000-000000000001"
        s.course.say(f"{name} is held by a termination hook")
        s.truth.warned.setdefault(name, []).append(Warned(s.vpc.now, s.vpc.now + TERMINATION))
        s.hooks[token] = name
        detail = {
            "AutoScalingGroupName": HOOK[0],
            "LifecycleHookName": HOOK[1],
            "LifecycleActionToken": token,
            "EC2InstanceId": name,
        }
        s.events.emit("aws.autoscaling", "EC2 Instance-terminate Lifecycle Action", detail)
        back = s.course.chance(0.4)
        _later(s, 120, 3600, lambda: _unhooked(s, token, back=back))


def _unhooked(s: Schedule, token: str, *, back: bool) -> None:
    """End a hook that nobody has completed: by its timeout, or since the group takes the instance into its warm pool."""
    name = s.hooks.pop(token, None)
    if name is None or name not in s.vpc.instances:
        return
    if not back:
        end(s, name)
    elif s.vpc.instances[name].state == "running":
        stop(s, s.vpc.instances[name])
        _later(s, 45, 300, lambda: start_again(s, name))


def schedule_event(s: Schedule) -> None:
    """Have AWS schedule an instance's retirement."""
    instance = chosen(s, "running")
    if instance and instance.id in s.vpc.statuses:
        when = s.vpc.now + s.course.pick((600.0, 3000.0, 90000.0))
        event = ScheduledEvent("instance-retirement", moment(when))
        s.course.say(f"{instance.id} is to be retired at {moment(when):%H:%M}")
        s.truth.warned.setdefault(instance.id, []).append(Warned(max(s.vpc.now, when - 3700), INFINITE))
        old = s.vpc.statuses[instance.id]
        s.vpc.status(instance.id, Status(old.checks, old.impaired_since, (event,)))
        s.course.at(when, lambda: _retired(s, instance.id))


def _retired(s: Schedule, instance_id: str) -> None:
    status = s.vpc.statuses.get(instance_id)
    if status and status.events and s.vpc.instances[instance_id].state == "running":
        stop(s, s.vpc.instances[instance_id])
