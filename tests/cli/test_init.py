"""`mooring init` as a process: a topology of a stack of ours, and of a VPC that nobody has declared."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any

import pytest

from chalicelib.bootstrap import Edge
from chalicelib.core.declaration import parse
from chalicelib.core.errors import ObservationError, TopologyError
from tests.network import declaration, deploy, deploy_journal

if TYPE_CHECKING:
    from collections.abc import Callable

    from tests.fake_aws import World
    from tests.stand_ins.command_line import Mooring


@pytest.fixture(scope="module")
def stack(world: World) -> dict[str, str]:
    """The example network in both its modes; the outputs of the first."""
    deploy_journal(world)
    deploy(world, "prepared", TopologyName="branch", RouterMode="prepared-interface")
    return deploy(world)


@pytest.fixture(scope="module")
def foreign(world: World) -> str:
    """A VPC made by hand."""
    return by_hand(world)


def by_hand(world: World) -> str:
    """Make a VPC: a NAT instance that two tables lead to, a NAT gateway's table, and what is left out."""
    ec2: Any = world.client("ec2")
    vpc = ec2.create_vpc(CidrBlock="172.20.0.0/16")["Vpc"]["VpcId"]
    ec2.create_tags(Resources=[vpc], Tags=[{"Key": "Name", "Value": "Old VPC (Paris)"}])
    gateway = ec2.create_internet_gateway()["InternetGateway"]["InternetGatewayId"]
    ec2.attach_internet_gateway(InternetGatewayId=gateway, VpcId=vpc)
    subnets = [
        ec2.create_subnet(VpcId=vpc, CidrBlock=f"172.20.{n}.0/24")["Subnet"]["SubnetId"] for n in range(4)
    ]
    tables = [ec2.create_route_table(VpcId=vpc)["RouteTable"]["RouteTableId"] for _ in range(4)]
    for table, subnet in zip(tables, subnets[:3], strict=False):
        ec2.associate_route_table(RouteTableId=table, SubnetId=subnet)
    launched = ec2.run_instances(ImageId="ami-12345678", MinCount=1, MaxCount=1, SubnetId=subnets[0])
    router = launched["Instances"][0]
    ec2.create_tags(Resources=[router["InstanceId"]], Tags=[{"Key": "Name", "Value": "nat-1"}])
    interface = router["NetworkInterfaces"][0]["NetworkInterfaceId"]
    ec2.modify_network_interface_attribute(NetworkInterfaceId=interface, SourceDestCheck={"Value": False})
    allocation = ec2.allocate_address(Domain="vpc")["AllocationId"]
    ec2.associate_address(AllocationId=allocation, NetworkInterfaceId=interface)
    for table, destination in (
        (tables[0], "10.8.0.0/16"),
        (tables[1], "0.0.0.0/0"),
        (tables[1], "10.8.0.0/16"),
    ):
        ec2.create_route(RouteTableId=table, DestinationCidrBlock=destination, NetworkInterfaceId=interface)
    ec2.create_route(RouteTableId=tables[0], DestinationCidrBlock="0.0.0.0/0", GatewayId=gateway)
    return str(vpc)


def test_a_stacks_topology_is_valid_and_says_what_the_stack_says(
    stack: dict[str, str], mooring: Mooring
) -> None:
    """What `init --stack` writes, `declare` takes as it is."""
    ran = mooring("init", "--stack", "office")
    assert (ran.code, ran.said) == (0, ["wrote office.toml", "next: mooring declare office.toml"])
    written = parse((mooring.folder / "office.toml").read_bytes())
    assert written == parse(declaration(stack))


def test_a_prepared_interfaces_address_is_declared(stack: dict[str, str], mooring: Mooring) -> None:
    """The post's own way pins a fixed address."""
    assert stack
    ran = mooring("init", "--stack", "prepared", "--output", "-")
    assert (ran.code, ran.err) == (0, "")
    written = parse(ran.out.encode())
    assert (written.name, str(written.private_address)) == ("branch", "10.0.0.8")


def test_a_file_that_exists_is_kept_unless_forced(stack: dict[str, str], mooring: Mooring) -> None:
    """An operator's edits are never lost to a second init."""
    assert stack
    file = mooring.folder / "office.toml"
    file.write_text("mine")
    ran = mooring("init", "--stack", "office")
    assert (ran.code, file.read_text()) == (1, "mine")
    assert ran.err.startswith("error: office.toml exists and was left as it is\nhint: --force")
    assert mooring("init", "--stack", "office", "--force").code == 0
    assert parse(file.read_bytes()).name == "office"


def test_a_foreign_vpc_is_proposed_with_its_guesses_marked(foreign: str, mooring: Mooring) -> None:
    """What is guessed says why; what only an operator knows makes `declare` fail with its key."""
    ran = mooring("init", "--vpc", foreign, "--json")
    assert (ran.code, ran.json["name"], ran.json["file"]) == (0, "old-vpc-paris", "old-vpc-paris.toml")
    document = (mooring.folder / "old-vpc-paris.toml").read_bytes()
    assert document.decode() == ran.json["document"]
    assert ran.json["unknown"] == ["office.vpn_clients"]
    assert {"name", "office.networks", "router.candidates"} <= set(ran.json["guessed"])
    with pytest.raises(TopologyError) as refused:
        parse(document)
    (flaw,) = refused.value.flaws
    assert str(flaw).startswith('office.vpn_clients = "TO FILL IN": ')
    ran = mooring("declare", "old-vpc-paris.toml", "--dry-run")
    assert (ran.code, 'office.vpn_clients = "TO FILL IN"' in ran.err) == (1, True)


def test_a_foreign_vpc_with_what_the_operator_knows_is_valid(foreign: str, mooring: Mooring) -> None:
    """Told the office's networks, the proposal can be declared and planned."""
    options = ["--name", "paris", "--office", "10.8.0.0/16", "--office", "10.9.0.0/16"]
    ran = mooring("init", "--vpc", foreign, *options, "--vpn-clients", "192.168.9.0/24", "-o", "-")
    assert ran.code == 0
    proposed = parse(ran.out.encode())
    assert (proposed.name, list(map(str, proposed.office_networks))) == (
        "paris",
        ["10.8.0.0/16", "10.9.0.0/16"],
    )
    assert [table.kind for table in proposed.tables] == ["public", "private", "private"]
    assert "follows the main table" in ran.out
    assert "serves no subnet" in ran.out


def test_a_foreign_vpcs_resources_are_to_be_tagged_for_the_worker(
    world: World, foreign: str, mooring: Mooring
) -> None:
    """The command tags what the deployed worker would write, and what is tagged is not named again."""
    ran = mooring("init", "--vpc", foreign)
    (command,) = (one.strip() for one in ran.said if "aws ec2 create-tags" in one)
    document = (mooring.folder / "old-vpc-paris.toml").read_text()
    assert f"# {command}\n" in document
    words = command.split()
    ids, tag = words[words.index("--resources") + 1 : words.index("--tags")], words[-1]
    assert tag == "Key=mooring:topology,Value=old-vpc-paris"
    written = [line for line in document.splitlines() if not line.startswith("#")]
    named = re.findall(
        r"(?:rtb|subnet|eipalloc|sg)-[0-9a-f]+", "\n".join(written).replace("# guessed", "\n#")
    )
    assert set(named) <= set(ids)
    kinds = {one.partition("-")[0] for one in ids}
    assert kinds == {"rtb", "subnet", "eipalloc", "sg", "eni"}
    ec2: Any = world.client("ec2")
    tags = [{"Key": "mooring:topology", "Value": "x"}]
    ec2.create_tags(Resources=ids[1:], Tags=tags)
    ran = mooring("init", "--vpc", foreign, "--json", "--force")
    assert ran.json["create_tags"] == f"aws ec2 create-tags --resources {ids[0]} --tags {tag}"
    ec2.create_tags(Resources=ids, Tags=tags)
    ran = mooring("init", "--vpc", foreign, "--json", "--force")
    assert (ran.json["create_tags"], "create-tags" in ran.json["document"]) == (None, False)
    ec2.delete_tags(Resources=ids, Tags=tags)


@pytest.mark.parametrize(
    ("arguments", "code", "words"),
    [
        ([], "UsageError", "either a stack or a VPC"),
        (["--stack", "office", "--vpc", "vpc-12345678"], "UsageError", "either a stack or a VPC"),
        (["--stack", "office", "--office", "10.8.0.0/16"], "UsageError", "go with --vpc"),
        (["--vpc", "my-vpc"], "UsageError", "no VPC id"),
        (["--vpc", "vpc-0123456789abcdef0"], "ObservationError", "is not in this account and region"),
        (["--stack", "nothing"], "ObservationError", "nothing does not exist"),
        (["--stack", "mooring"], "Error", "has no output TopologyName"),
        (["--vpc", "FOREIGN", "--office", "10.100.300.0/24"], "TopologyError", "octet 3 is 300"),
        (["--vpc", "FOREIGN", "--office", "172.20.1.0/24"], "TopologyError", "overlaps vpc.cidr"),
        (["--stack", "office", "--output", "no/such/folder.toml"], "FileUnusable", "No such file"),
    ],
)
def test_what_cannot_be_read_or_written_is_one_clear_error(
    foreign: str, stack: dict[str, str], mooring: Mooring, arguments: list[str], code: str, words: str
) -> None:
    """What was wrong and what to do; no file is written."""
    assert stack
    ran = mooring("init", *(foreign if one == "FOREIGN" else one for one in arguments), "--json")
    assert (ran.code, ran.json["error"]["code"]) == (1, code)
    assert words in ran.json["error"]["message"] + ran.json["error"]["hint"]
    assert list(mooring.folder.iterdir()) == []


@pytest.mark.parametrize(
    ("operation", "read"),
    [
        ("DescribeStacks", lambda edge, _: edge.stack_outputs("office")),
        ("DescribeVpcs", lambda edge, vpc: edge.discovery(vpc).cidrs_and_name()),
        ("DescribeSubnets", lambda edge, vpc: edge.discovery(vpc).subnets()),
        ("DescribeInternetGateways", lambda edge, vpc: edge.discovery(vpc).internet_gateway()),
        ("DescribeNetworkInterfaces", lambda edge, vpc: edge.discovery(vpc).security_groups("eni-12345678")),
        ("DescribeTags", lambda edge, vpc: edge.discovery(vpc).tagged("mooring:topology")),
        ("DescribeAddresses", lambda edge, vpc: edge.discovery(vpc).observe()),
    ],
)
def test_a_denied_reading_is_an_error_that_names_the_call(
    world: World, foreign: str, operation: str, read: Callable[[Edge, str], object]
) -> None:
    """A failed reading never looks like an emptier network."""
    world.deny(operation)
    with pytest.raises(ObservationError, match=f":{operation} failed: ") as error:
        read(Edge(world.session, world.endpoint_url), foreign)
    world.heal()
    assert error.value.hint.startswith("allow ")


def test_a_vpcs_other_range_is_proposed_with_the_subnet_that_rides_there(
    world: World, mooring: Mooring
) -> None:
    """EKS gives pods a range of their own on the private tables: undeclared, the router would refuse it."""
    ec2: Any = world.client("ec2")
    vpc = by_hand(world)
    init = ["init", "--vpc", vpc, "--office", "10.8.0.0/16", "--vpn-clients", "192.168.9.0/24", "-o", "-"]
    before = parse(mooring(*init).out.encode())
    private = next(str(table.selector) for table in before.tables if table.kind == "private")
    ec2.associate_vpc_cidr_block(VpcId=vpc, CidrBlock="100.64.0.0/16")
    subnet = ec2.create_subnet(VpcId=vpc, CidrBlock="100.64.1.0/24")["Subnet"]["SubnetId"]
    ec2.associate_route_table(RouteTableId=private, SubnetId=subnet)
    proposed = parse(mooring(*init).out.encode())
    assert (before.secondary_cidrs, list(map(str, proposed.secondary_cidrs))) == ((), ["100.64.0.0/16"])
    assert str(proposed.subnets[subnet]) == "100.64.1.0/24"
    assert proposed.subnets[subnet] in proposed.private_networks
