"""What people and AWS do to a VPC while nobody looks, as data: hypothesis draws it, prints it and shrinks it."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import timedelta
from typing import TYPE_CHECKING, TypeVar

from chalicelib.core.network.observation import IngressRule, Instance, Interface
from tests.builders import (
    BOOTSTRAP,
    EIP,
    FOREIGN_ENI,
    GATEWAY,
    NOON,
    PUBLIC_SUBNET,
    ROUTER_TAGS,
    SECOND_PUBLIC_SUBNET,
    an_id,
)

if TYPE_CHECKING:
    from collections.abc import Sequence

    from tests.core.model import Model

T = TypeVar("T")
DESTINATIONS = ("0.0.0.0/0", "10.100.100.0/24", "192.168.0.0/24", "10.100.30.0/24", "172.31.0.0/16")
ELSEWHERE = (GATEWAY, an_id("nat", 1), an_id("eni", 0xDEAD), FOREIGN_ENI, an_id("tgw", 1))


@dataclass(frozen=True, slots=True)
class Happening:
    """One thing that happens; `which` and `where` choose among what there is."""

    kind: str
    which: int = 0
    where: int = 0

    def __call__(self, model: Model) -> None:
        """Let it happen; nothing to happen to is no error."""
        KINDS[self.kind](model, self.which, self.where)


def _pick(choices: Sequence[T], number: int) -> T:
    return choices[number % len(choices)]


def _candidates(model: Model) -> list[Instance]:
    return [i for i in model.instances.values() if "mooring:router" in i.tags]


def _cards(model: Model) -> list[Interface]:
    return [n for i in _candidates(model) for n in i.interfaces]


def _delete_route(model: Model, which: int, where: int) -> None:
    table = _pick(list(model.tables.values()), which)
    created = [r for r in table.routes if r.origin == "CreateRoute"]
    if created:
        model.unroute(table.id, _pick(created, where).destination)


def _point_route(model: Model, which: int, where: int) -> None:
    table = _pick(list(model.tables), which)
    targets = (*ELSEWHERE, *(n.id for n in _cards(model)))
    model.route(table, _pick(DESTINATIONS, where), _pick(targets, where // len(DESTINATIONS)))


def _check_on(model: Model, which: int, _: int) -> None:
    if cards := _cards(model):
        model.check(_pick(cards, which).id, on=True)


def _drop_address(model: Model, _: int, __: int) -> None:
    model.put_address(EIP, None)


def _steal_address(model: Model, which: int, _: int) -> None:
    taken = {(e.interface_id, e.private_address) for e in model.elastic_ips.values()}
    free = [(n.id, a) for n in _cards(model) for a in n.addresses if (n.id, a) not in taken]
    if free:
        model.put_address(EIP, *_pick(free, which))


def _move_subnet(model: Model, which: int, where: int) -> None:
    subnets = sorted({s for t in model.tables.values() for s in t.associations})
    if subnets:
        model.associate(_pick(subnets, which), _pick([*model.tables, None], where))


def _open_ssh(model: Model, which: int, _: int) -> None:
    rule_id = _pick((BOOTSTRAP, an_id("sgr", 2)), which)
    model.ingress[rule_id] = IngressRule(rule_id, "tcp", 22, 22, "0.0.0.0/0")


def _change_options(model: Model, which: int, _: int) -> None:
    model.dhcp_options = an_id("dopt", 50 + which % 3)


def _stop(model: Model, which: int, where: int) -> None:
    if running := [i.id for i in _candidates(model) if i.state == "running"]:
        model.become(_pick(running, which), state=_pick(("stopped", "stopping", "shutting-down"), where))


def _start(model: Model, which: int, where: int) -> None:
    if stopped := [i.id for i in _candidates(model) if i.state == "stopped"]:
        model.become(_pick(stopped, which), state=_pick(("running", "pending"), where))


def _impair(model: Model, which: int, _: int) -> None:
    if found := _candidates(model):
        model.become(_pick(found, which).id, checks="impaired")


def _mend(model: Model, which: int, _: int) -> None:
    if found := _candidates(model):
        model.become(_pick(found, which).id, checks="ok")


def _warn(model: Model, which: int, _: int) -> None:
    if found := _candidates(model):
        model.become(_pick(found, which).id, notice="is about to be reclaimed by Spot")


def _terminate(model: Model, which: int, _: int) -> None:
    if found := _candidates(model):
        model.terminate(_pick(found, which).id)


def launch(model: Model, which: int = 0, _: int = 0) -> None:
    """Start a new candidate, as an Auto Scaling group does; its check is on."""
    instance_id, eni = model.next_id("i"), model.next_id("eni")
    subnet, network = _pick(((PUBLIC_SUBNET, "10.0.0"), (SECOND_PUBLIC_SUBNET, "10.0.10")), which)
    card = Interface(eni, subnet, (f"{network}.{model.ids % 200 + 20}",))
    launched = NOON + timedelta(seconds=model.ids)
    model.launch(Instance(instance_id, "running", launched, ROUTER_TAGS, (card,)))


KINDS = {
    "a route is deleted": _delete_route,
    "a route is pointed elsewhere": _point_route,
    "a source/dest check is switched on": _check_on,
    "the Elastic IP is disassociated": _drop_address,
    "the Elastic IP is moved": _steal_address,
    "a subnet is moved": _move_subnet,
    "ssh is opened": _open_ssh,
    "the DHCP options are changed": _change_options,
    "an instance stops": _stop,
    "an instance starts": _start,
    "an instance fails its checks": _impair,
    "an instance passes its checks": _mend,
    "an instance gets a notice": _warn,
    "an instance is terminated": _terminate,
    "an instance is launched": launch,
}
