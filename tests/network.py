"""The example network, deployed on the embedded AWS from its own template, and grown by hand where a test wants more."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from tests.world import World

ROOT = Path(__file__).parent.parent
JOURNAL = "mooring-journal"


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
    template = (ROOT / ".chalice" / "resources.yaml").read_text()
    world.client("cloudformation").create_stack(StackName="mooring", TemplateBody=template)


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
