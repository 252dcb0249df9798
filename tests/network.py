"""The example network, deployed on the embedded AWS from its own template, and grown by hand where a test wants more."""

from __future__ import annotations

import copy
import json
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

import yaml

from chalicelib.core.tunnel.documents import fingerprint
from tools.documents import fill

if TYPE_CHECKING:
    from tests.fake_aws import World

ROOT = Path(__file__).parent.parent
JOURNAL = "mooring-journal"

TUNNEL = """
[tunnel]
server = "vpn.example.com"
common_name = "aws-router"
server_name = "office-vpn"
address = "192.168.0.254"
"""
"""What makes the routers' own configuration Mooring's; more TOML for `declaration`."""


def deploy(world: World, stack: str = "office", **parameters: str) -> dict[str, str]:
    """Create a stack from examples/network.yaml; give its outputs."""
    formation = world.client("cloudformation")
    formation.create_stack(
        StackName=stack,
        TemplateBody=(ROOT / "examples" / "network.yaml").read_text(),
        Parameters=[{"ParameterKey": k, "ParameterValue": v} for k, v in parameters.items()],
        Capabilities=["CAPABILITY_IAM"],
    )
    outputs = formation.describe_stacks(StackName=stack)["Stacks"][0]["Outputs"]
    return {output["OutputKey"]: output["OutputValue"] for output in outputs}


def deploy_journal(world: World) -> None:
    """Create the journal's table from .chalice/resources.yaml."""
    _create(world, "mooring", "Journal")


def deploy_queue(world: World) -> str:
    """Create the Reconcile queue and its dead letters from .chalice/resources.yaml; give the queue's URL."""
    _create(world, "mooring-queue", "ReconcileQueue", "ReconcileDeadLetters")
    return str(world.client("sqs").get_queue_url(QueueName="mooring-reconcile.fifo")["QueueUrl"])


@cache
def documents() -> dict[str, dict[str, Any]]:
    """Return the contents of the Command documents as `make package` fills them in."""
    template = copy.deepcopy(_around())
    template["Resources"]["Reconcile"]["Properties"]["Environment"] = {"Variables": {}}
    made = (one for one in fill(template)["Resources"].values() if one.get("Type") == "AWS::SSM::Document")
    return {one["Properties"]["Name"]: one["Properties"]["Content"] for one in made}


def fingerprints() -> str:
    """Return what the worker's MOORING_DOCUMENTS says of the Command documents."""
    return json.dumps({name: fingerprint(content) for name, content in documents().items()})


def deploy_documents(world: World) -> str:
    """Create the Command documents; give what the worker's MOORING_DOCUMENTS says of them."""
    for name, content in documents().items():
        world.client("ssm").create_document(Name=name, Content=json.dumps(content), DocumentType="Command")
    return fingerprints()


def _create(world: World, stack: str, *logical_ids: str) -> None:
    """Create some of the resources that `make package` merges into what Chalice writes, and nothing else."""
    whole = _around()
    template = {key: whole[key] for key in ("AWSTemplateFormatVersion", "Parameters", "Conditions")}
    template["Resources"] = {name: whole["Resources"][name] for name in logical_ids}
    world.client("cloudformation").create_stack(StackName=stack, TemplateBody=json.dumps(template))


@cache
def _around() -> dict[str, Any]:
    template = yaml.load((ROOT / ".chalice" / "resources.yaml").read_text(), _Loader)  # noqa: S506 - a safe one
    return dict(template)


class _Loader(yaml.SafeLoader):
    """Reads CloudFormation's short tags: `!Ref x` is {"Ref": x}, any other `!Name x` is {"Fn::Name": x}."""

    def intrinsic(self, name: str, node: yaml.Node) -> dict[str, Any]:
        """Spell a tag out."""
        match node:
            case yaml.ScalarNode():
                value: Any = self.construct_scalar(node)
            case yaml.SequenceNode():
                value = self.construct_sequence(node, deep=True)
            case yaml.MappingNode():
                value = self.construct_mapping(node, deep=True)
            case _:
                raise TypeError(f"no node of YAML's: {node}")
        if name == "GetAtt" and isinstance(value, str):
            value = value.split(".", 1)
        return {name if name in ("Ref", "Condition") else f"Fn::{name}": value}


_Loader.add_multi_constructor("!", _Loader.intrinsic)


def declaration(outputs: dict[str, str], more: str = "") -> bytes:
    """Write the topology of a deployed example network; `more` is appended TOML."""
    address = outputs.get("RouterPrivateAddress")
    lines = [
        f'name = "{outputs["TopologyName"]}"',
        "[vpc]",
        f'id = "{outputs["VpcId"]}"',
        f'cidr = "{outputs["VpcCidr"]}"',
        f'internet_gateway = "{outputs["InternetGatewayId"]}"',
        "[office]",
        f"networks = {outputs['OfficeNetworks'].split(',')}",
        f'vpn_clients = "{outputs["VpnClientNetwork"]}"',
        "[router]",
        f'candidates = {{ "{outputs["RouterTagKey"]}" = "{outputs["RouterTagValue"]}" }}',
        f'elastic_ip = "{outputs["ElasticIpAllocationId"]}"',
        f'private_address = "{address}"' if address else "",
        f'security_group = "{outputs["RouterSecurityGroupId"]}"',
        'ssh = "closed"',
        _table("public", outputs["PublicRouteTableId"], outputs["PublicSubnets"]),
        _table("private", outputs["PrivateRouteTableAId"], outputs["PrivateSubnetsA"]),
        _table("private", outputs["PrivateRouteTableBId"], outputs["PrivateSubnetsB"]),
        more,
    ]
    return "\n".join(lines).encode()


def add_private_tables(world: World, vpc_id: str, count: int) -> str:
    """Add private tables that carry the tag mooring:role=private; give the TOML that declares them."""
    ec2 = world.client("ec2")
    tags = [{"ResourceType": "route-table", "Tags": [{"Key": "mooring:role", "Value": "private"}]}]
    for _ in range(count):
        ec2.create_route_table(VpcId=vpc_id, TagSpecifications=tags)
    return '[[private]]\ntable = { "mooring:role" = "private" }\n' if count else ""


def _table(kind: str, table_id: str, subnets: str) -> str:
    pairs = ", ".join('{} = "{}"'.format(*pair.split("=")) for pair in subnets.split(","))
    return f'[[{kind}]]\ntable = "{table_id}"\nsubnets = {{ {pairs} }}'
