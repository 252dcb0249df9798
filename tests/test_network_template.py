"""examples/network.yaml makes the network that README draws, and tells all that a topology needs to know."""

from __future__ import annotations

import base64
import json
import stat
import subprocess
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from botocore.exceptions import ClientError
from cfnlint.api import ManualArgs, lint_file  # type: ignore[import-untyped] # it has no types

from chalicelib.core import declaration

if TYPE_CHECKING:
    from tests.fake_aws import World

TEMPLATE = Path(__file__).parent.parent / "examples" / "network.yaml"
OUTPUTS = {
    "TopologyName",
    "VpcId",
    "VpcCidr",
    "InternetGatewayId",
    "OfficeNetworks",
    "VpnClientNetwork",
    "RouterMode",
    "RouterTagKey",
    "RouterTagValue",
    "RouterSecurityGroupId",
    "ElasticIpAllocationId",
    "ElasticIpAddress",
    "PublicRouteTableId",
    "PublicSubnets",
    "PrivateRouteTableAId",
    "PrivateSubnetsA",
    "PrivateRouteTableBId",
    "PrivateSubnetsB",
}


@dataclass(frozen=True)
class Network:
    """A deployed stack: its outputs, and what AWS says of its VPC."""

    world: World
    stack: str
    outputs: dict[str, str]

    def ec2(self, operation: str, key: str, **request: object) -> list[dict[str, Any]]:
        """Describe what lies in the VPC."""
        request = request or {"Filters": [{"Name": "vpc-id", "Values": [self.outputs["VpcId"]]}]}
        found: list[dict[str, Any]] = getattr(self.world.client("ec2"), operation)(**request)[key]
        return found

    @property
    def routers(self) -> list[dict[str, Any]]:
        """The instances that live."""
        found = [one for each in self.ec2("describe_instances", "Reservations") for one in each["Instances"]]
        return [one for one in found if one["State"]["Name"] != "terminated"]

    @property
    def address(self) -> dict[str, Any]:
        """The Elastic IP."""
        allocation = [self.outputs["ElasticIpAllocationId"]]
        return self.ec2("describe_addresses", "Addresses", AllocationIds=allocation)[0]

    def interface(self, interface_id: str) -> dict[str, Any]:
        """One interface."""
        wanted = [interface_id]
        return self.ec2("describe_network_interfaces", "NetworkInterfaces", NetworkInterfaceIds=wanted)[0]

    def routes(self, table_id: str) -> dict[str, str]:
        """Where a table leads, by destination."""
        (table,) = self.ec2("describe_route_tables", "RouteTables", RouteTableIds=[table_id])
        return {route["DestinationCidrBlock"]: route["GatewayId"] for route in table["Routes"]}

    def subnets(self, output: str) -> dict[str, str]:
        """Read an output of subnets, id to range."""
        return dict(pair.split("=") for pair in self.outputs[output].split(","))

    def inbound(self) -> set[tuple[str, int | None, str]]:
        """What the routers' security group lets in: protocol, port, source."""
        group_id = [self.outputs["RouterSecurityGroupId"]]
        (group,) = self.ec2("describe_security_groups", "SecurityGroups", GroupIds=group_id)
        return {
            (rule["IpProtocol"], rule.get("FromPort"), source["CidrIp"])
            for rule in group["IpPermissions"]
            for source in rule["IpRanges"]
        }

    def physical_id(self, logical_id: str) -> str:
        """Find a resource of the stack."""
        resources = self.world.client("cloudformation").list_stack_resources(StackName=self.stack)
        found = {one["LogicalResourceId"]: one for one in resources["StackResourceSummaries"]}
        return str(found[logical_id]["PhysicalResourceId"])

    def launch_template(self) -> dict[str, Any]:
        """What the routers are launched with."""
        (version,) = self.ec2(
            "describe_launch_template_versions",
            "LaunchTemplateVersions",
            LaunchTemplateId=self.physical_id("RouterTemplate"),
        )
        data: dict[str, Any] = version["LaunchTemplateData"]
        return data

    def hooks(self) -> list[dict[str, Any]]:
        """The lifecycle hooks of the Auto Scaling group."""
        name = self.physical_id("Routers")
        asked = self.world.client("autoscaling").describe_lifecycle_hooks(AutoScalingGroupName=name)
        found: list[dict[str, Any]] = asked["LifecycleHooks"]
        return found

    def group(self) -> dict[str, Any]:
        """The Auto Scaling group."""
        name = self.physical_id("Routers")
        asked = self.world.client("autoscaling").describe_auto_scaling_groups(AutoScalingGroupNames=[name])
        found: dict[str, Any] = asked["AutoScalingGroups"][0]
        return found


def deploy(world: World, stack: str, **parameters: object) -> Network:
    """Create a stack from the template."""
    formation = world.client("cloudformation")
    formation.create_stack(
        StackName=stack,
        TemplateBody=TEMPLATE.read_text(),
        Capabilities=["CAPABILITY_IAM"],
        Parameters=[{"ParameterKey": key, "ParameterValue": str(value)} for key, value in parameters.items()],
    )
    (made,) = formation.describe_stacks(StackName=stack)["Stacks"]
    assert made["StackStatus"] == "CREATE_COMPLETE"
    return Network(world, stack, {one["OutputKey"]: one["OutputValue"] for one in made["Outputs"]})


@pytest.fixture(scope="module")
def world(embedded: World) -> World:
    """One AWS for all stacks of this file."""
    embedded.reset()
    return embedded


@pytest.fixture(scope="module")
def lone(world: World) -> Network:
    """The template as it comes: one router, no standby."""
    return deploy(world, "lone")


@pytest.fixture(scope="module")
def pair(world: World) -> Network:
    """A router and a standby, SSH open for the bootstrap, DHCP options, a key pair, another name."""
    return deploy(
        world,
        "pair",
        TopologyName="branch",
        RouterCount=2,
        BootstrapSsh="open",
        KeyName="ops",
        DhcpDomainName="corp.example",
        DhcpDomainNameServers="10.100.100.2, 10.100.100.3",
        OfficeNetwork2="",
        OfficeNetwork3="",
    )


@pytest.fixture(scope="module")
def prepared(world: World) -> Network:
    """The post's own way: one prepared interface that holds the Elastic IP."""
    return deploy(world, "prepared", RouterMode="prepared-interface", DhcpDomainName="corp.example")


@pytest.fixture(params=["lone", "pair", "prepared"])
def network(request: pytest.FixtureRequest) -> Network:
    """Each of the three in turn."""
    deployed: Network = request.getfixturevalue(request.param)
    return deployed


# -- the template itself -----------------------------------------------------------------------------


def test_template_in_many_regions_lints_clean() -> None:
    """cfn-lint finds nothing, hints included, and no rule is switched off."""
    regions = ["us-east-1", "eu-west-1", "ap-southeast-2", "us-gov-west-1", "cn-north-1"]
    assert lint_file(TEMPLATE, ManualArgs(regions=regions, include_checks=["I"])) == []
    assert "ignore_checks" not in TEMPLATE.read_text()


@pytest.mark.parametrize(
    ("wrong", "said"),
    [
        ({"OfficeNetwork1": "10.100.300.0/24"}, "OfficeNetwork1"),
        ({"OfficeNetwork2": "10.100.200.0"}, "OfficeNetwork2"),
        ({"VpcCidr": "10.0.0.0/8"}, "VpcCidr"),
        ({"TopologyName": "Office"}, "TopologyName"),
        ({"RouterInstanceType": "t3.nano"}, "RouterInstanceType"),
        ({"RouterCount": 3}, "RouterCount"),
        ({"RouterMode": "prepared-interface", "RouterCount": 2}, "one instance at a time"),
    ],
)
def test_parameter_that_cannot_work_makes_no_stack(world: World, wrong: dict[str, object], said: str) -> None:
    """What can be known to be wrong is refused before anything is made: the post's own octet 300 first."""
    with pytest.raises(ClientError, match=said) as refused:
        deploy(world, "wrong", **wrong)
    assert refused.value.response["Error"]["Code"] == "ValidationError"


# -- the network -------------------------------------------------------------------------------------


def test_route_tables_of_a_new_stack_lead_nowhere_that_mooring_pins(network: Network) -> None:
    """Public: the internet gateway. Private: nothing yet. What leads to a router is Mooring's to write."""
    out = network.outputs
    local = {out["VpcCidr"]: "local"}
    assert network.routes(out["PublicRouteTableId"]) == {**local, "0.0.0.0/0": out["InternetGatewayId"]}
    assert network.routes(out["PrivateRouteTableAId"]) == local
    assert network.routes(out["PrivateRouteTableBId"]) == local


def test_main_route_table_is_left_alone(network: Network) -> None:
    """It has its local route, no subnet and no tag of ours: who is not associated reaches nothing."""
    tables = network.ec2("describe_route_tables", "RouteTables")
    (main,) = [one for one in tables if any(row["Main"] for row in one["Associations"])]
    assert network.routes(main["RouteTableId"]) == {network.outputs["VpcCidr"]: "local"}
    assert len(main["Associations"]) == 1
    assert main["Tags"] == []


def test_every_subnet_is_associated_with_the_table_the_outputs_say(network: Network) -> None:
    """Two public subnets share a table; each zone's private subnet has its own."""
    for table, subnets in (
        ("PublicRouteTableId", "PublicSubnets"),
        ("PrivateRouteTableAId", "PrivateSubnetsA"),
        ("PrivateRouteTableBId", "PrivateSubnetsB"),
    ):
        (found,) = network.ec2("describe_route_tables", "RouteTables", RouteTableIds=[network.outputs[table]])
        assert {row["SubnetId"] for row in found["Associations"]} == set(network.subnets(subnets))


def test_subnets_lie_in_two_zones_and_give_no_public_addresses(network: Network) -> None:
    """One public and one private subnet in each of two zones, with the ranges the outputs say."""
    found = {one["SubnetId"]: one for one in network.ec2("describe_subnets", "Subnets")}
    said = [network.subnets(name) for name in ("PublicSubnets", "PrivateSubnetsA", "PrivateSubnetsB")]
    ranges = {key: value for each in said for key, value in each.items()}
    assert {key: one["CidrBlock"] for key, one in found.items()} == ranges
    zones = [[found[key]["AvailabilityZone"] for key in each] for each in said]
    assert zones == [["eu-west-1a", "eu-west-1b"], ["eu-west-1a"], ["eu-west-1b"]]
    assert not any(one["MapPublicIpOnLaunch"] for one in found.values())


def test_everything_that_can_be_tagged_says_whose_it_is(network: Network) -> None:
    """A Name and mooring:topology on each: what a person and an IAM condition go by."""
    out = network.outputs
    tagged: dict[str, dict[str, str]] = {}
    for tag in network.ec2("describe_tags", "Tags", Filters=[]):
        tagged.setdefault(tag["ResourceId"], {})[tag["Key"]] = tag["Value"]
    named = {
        out["VpcId"], out["InternetGatewayId"], out["RouterSecurityGroupId"], out["ElasticIpAllocationId"],
        out["PublicRouteTableId"], out["PrivateRouteTableAId"], out["PrivateRouteTableBId"],
        *network.subnets("PublicSubnets"), *network.subnets("PrivateSubnetsA"),
        *network.subnets("PrivateSubnetsB"), network.physical_id("RouterTemplate"),
        *({out["DhcpOptionsId"]} if "DhcpOptionsId" in out else set()),
        *(router["InstanceId"] for router in network.routers),
        *(one["NetworkInterfaceId"] for router in network.routers for one in router["NetworkInterfaces"]),
    }  # fmt: skip
    for resource_id in named:
        assert tagged[resource_id]["mooring:topology"] == out["TopologyName"], resource_id
        assert tagged[resource_id]["Name"].startswith(out["TopologyName"]), resource_id


def test_vpc_resolves_and_gives_host_names(network: Network) -> None:
    """Without both, neither the SSM agent's endpoints nor the hosts' public names resolve."""
    ec2, vpc_id = network.world.client("ec2"), network.outputs["VpcId"]
    for attribute in ("enableDnsSupport", "enableDnsHostnames"):
        told = ec2.describe_vpc_attribute(VpcId=vpc_id, Attribute=attribute)
        assert told[attribute[0].upper() + attribute[1:]]["Value"] is True


def test_dhcp_options_not_asked_for_are_the_defaults(lone: Network) -> None:
    """Without a domain or name servers the VPC keeps AWS's set, and the outputs name none."""
    (vpc,) = lone.ec2("describe_vpcs", "Vpcs", VpcIds=[lone.outputs["VpcId"]])
    assert vpc["DhcpOptionsId"] == "default"
    assert "DhcpOptionsId" not in lone.outputs


@pytest.mark.parametrize(
    ("stack", "servers"),
    [("pair", ["10.100.100.2", "10.100.100.3"]), ("prepared", ["AmazonProvidedDNS"])],
)
def test_dhcp_options_asked_for_are_the_vpcs(
    request: pytest.FixtureRequest, stack: str, servers: list[str]
) -> None:
    """They are associated with the VPC; a domain alone keeps Amazon's name server."""
    network: Network = request.getfixturevalue(stack)
    options_id = network.outputs["DhcpOptionsId"]
    (vpc,) = network.ec2("describe_vpcs", "Vpcs", VpcIds=[network.outputs["VpcId"]])
    assert vpc["DhcpOptionsId"] == options_id
    (options,) = network.ec2("describe_dhcp_options", "DhcpOptions", DhcpOptionsIds=[options_id])
    told = {one["Key"]: [each["Value"] for each in one["Values"]] for one in options["DhcpConfigurations"]}
    assert told == {"domain-name": ["corp.example"], "domain-name-servers": servers}


# -- the way in --------------------------------------------------------------------------------------


def test_security_group_by_default_lets_in_the_vpc_the_office_and_its_clients(lone: Network) -> None:
    """No SSH from anywhere, and no OpenVPN: the router is the one who dials."""
    sources = {"10.0.0.0/16", "10.100.100.0/24", "10.100.200.0/24", "10.100.30.0/24", "192.168.0.0/24"}
    assert lone.inbound() == {("-1", None, source) for source in sources}


def test_security_group_for_the_bootstrap_lets_ssh_in(pair: Network) -> None:
    """`BootstrapSsh: open` adds tcp/22 from anywhere; an empty office network adds nothing."""
    sources = {"10.0.0.0/16", "10.100.100.0/24", "192.168.0.0/24"}
    assert pair.inbound() == {("-1", None, source) for source in sources} | {("tcp", 22, "0.0.0.0/0")}


def test_security_group_lets_everything_out(network: Network) -> None:
    """It is the private subnets' way to the internet."""
    group_id = [network.outputs["RouterSecurityGroupId"]]
    (group,) = network.ec2("describe_security_groups", "SecurityGroups", GroupIds=group_id)
    (out,) = group["IpPermissionsEgress"]
    assert out["IpProtocol"] == "-1"
    assert [one["CidrIp"] for one in out["IpRanges"]] == ["0.0.0.0/0"]


def test_role_may_do_what_a_router_needs_and_no_more(network: Network) -> None:
    """No action by wildcard, no managed policy, `*` only where no resource exists, its own parameters only."""
    iam, role = network.world.client("iam"), network.physical_id("RouterRole")
    assert iam.list_attached_role_policies(RoleName=role)["AttachedPolicies"] == []
    (policy,) = iam.list_role_policies(RoleName=role)["PolicyNames"]
    statements = iam.get_role_policy(RoleName=role, PolicyName=policy)["PolicyDocument"]["Statement"]
    granted = {
        (action, resource)
        for one in statements
        for action in ([one["Action"]] if isinstance(one["Action"], str) else one["Action"])
        for resource in ([one["Resource"]] if isinstance(one["Resource"], str) else one["Resource"])
    }
    channels = ("CreateControlChannel", "CreateDataChannel", "OpenControlChannel", "OpenDataChannel")
    mine = f"arn:aws:ssm:eu-west-1:{network.world.account_id}:parameter/mooring/{network.outputs['TopologyName']}"
    assert {one["Effect"] for one in statements} == {"Allow"}
    assert granted == {
        *((f"ssmmessages:{channel}", "*") for channel in channels),
        ("ssm:UpdateInstanceInformation", f"arn:aws:ec2:eu-west-1:{network.world.account_id}:instance/*"),
        *(
            (f"ssm:{read}", f"{mine}/{place}")
            for read in ("GetParameter", "GetParameters")
            for place in ("router/*", "tunnel/*")
        ),
    }


def test_role_can_be_taken_by_ec2_only(network: Network) -> None:
    """Nobody else may become a router."""
    iam, role = network.world.client("iam"), network.physical_id("RouterRole")
    trust = iam.get_role(RoleName=role)["Role"]["AssumeRolePolicyDocument"]["Statement"]
    assert trust == [
        {"Effect": "Allow", "Principal": {"Service": "ec2.amazonaws.com"}, "Action": "sts:AssumeRole"}
    ]


# -- the routers -------------------------------------------------------------------------------------


def test_routers_are_candidates_by_their_tag(network: Network) -> None:
    """The tag that the outputs name is on every router, whichever group or template launched it."""
    tag = {"Key": network.outputs["RouterTagKey"], "Value": network.outputs["RouterTagValue"]}
    assert tag == {"Key": "mooring:router", "Value": network.outputs["TopologyName"]}
    assert network.routers
    assert all(tag in router["Tags"] for router in network.routers)


def test_routers_are_hardened(network: Network) -> None:
    """IMDSv2 only, one hop; an encrypted disk; the narrow profile; arm64."""
    for router in network.routers:
        assert router["InstanceType"] == "t4g.nano"
        assert router["MetadataOptions"]["HttpTokens"] == "required"
        assert router["MetadataOptions"]["HttpPutResponseHopLimit"] == 1
        assert router["IamInstanceProfile"]["Arn"].endswith(f"/{network.physical_id('RouterProfile')}")
    (disk,) = network.launch_template()["BlockDeviceMappings"]
    assert disk["Ebs"]["Encrypted"] is True
    assert disk["Ebs"]["VolumeType"] == "gp3"


def test_key_pair_is_only_the_one_asked_for(lone: Network, pair: Network) -> None:
    """Session Manager needs none, so none is the default."""
    assert "KeyName" not in lone.launch_template()
    assert pair.launch_template()["KeyName"] == "ops"


def test_lone_router_has_an_address_before_it_holds_the_elastic_ip(lone: Network) -> None:
    """It must reach SSM to be configured at all; the Elastic IP is Mooring's to give."""
    (router,) = lone.routers
    assert router["PublicIpAddress"] != lone.outputs["ElasticIpAddress"]
    assert router["SubnetId"] in lone.subnets("PublicSubnets")
    assert [group["GroupId"] for group in router["SecurityGroups"]] == [lone.outputs["RouterSecurityGroupId"]]
    assert "AssociationId" not in lone.address
    group = lone.group()
    assert (group["MinSize"], group["DesiredCapacity"], group["MaxSize"]) == (1, 1, 2)


def test_standby_sits_in_the_other_zone(pair: Network) -> None:
    """Two routers, one in each public subnet, each reachable by itself."""
    assert {router["SubnetId"] for router in pair.routers} == set(pair.subnets("PublicSubnets"))
    assert all(router["PublicIpAddress"] for router in pair.routers)
    group = pair.group()
    assert (group["MinSize"], group["DesiredCapacity"], group["MaxSize"]) == (2, 2, 3)


def test_router_that_its_group_ends_waits_to_be_let_go(lone: Network, pair: Network) -> None:
    """Two minutes in which what leads to it can move away; then it goes on, whatever happened."""
    for network in (lone, pair):
        (hook,) = network.hooks()
        assert hook["AutoScalingGroupName"] == network.physical_id("Routers")
        assert hook["LifecycleTransition"] == "autoscaling:EC2_INSTANCE_TERMINATING"
        assert (hook["HeartbeatTimeout"], hook["DefaultResult"]) == (120, "CONTINUE")


def test_prepared_router_is_not_waited_for(prepared: Network) -> None:
    """Its successor needs the interface: a hook would only keep the two apart for longer."""
    assert prepared.hooks() == []


def test_prepared_router_holds_the_address_the_interface_brings(prepared: Network) -> None:
    """10.0.0.8, the Elastic IP and the check that is off belong to the interface, and the router has it as device 0."""
    (router,) = prepared.routers
    interface = prepared.interface(prepared.physical_id("PreparedRouterInterface"))
    assert interface["Attachment"]["InstanceId"] == router["InstanceId"]
    assert interface["Attachment"]["DeviceIndex"] == 0
    assert interface["Attachment"]["DeleteOnTermination"] is False
    assert interface["PrivateIpAddress"] == prepared.outputs["RouterPrivateAddress"] == "10.0.0.8"
    assert interface["SourceDestCheck"] is False
    assert prepared.address["NetworkInterfaceId"] == interface["NetworkInterfaceId"]
    assert router["PublicIpAddress"] == prepared.outputs["ElasticIpAddress"]
    assert [one["GroupId"] for one in interface["Groups"]] == [prepared.outputs["RouterSecurityGroupId"]]


def test_prepared_group_goes_where_the_interface_is_and_asks_for_no_other(prepared: Network) -> None:
    """One zone and no subnets, one instance at most; no public address and no tag on an interface not made."""
    group, data = prepared.group(), prepared.launch_template()
    assert group["AvailabilityZones"] == ["eu-west-1a"]
    assert not group.get("VPCZoneIdentifier")
    assert (group["MinSize"], group["DesiredCapacity"], group["MaxSize"]) == (1, 1, 1)
    (spec,) = data["NetworkInterfaces"]
    assert set(spec) == {"DeviceIndex", "NetworkInterfaceId", "DeleteOnTermination"}
    assert {one["ResourceType"] for one in data["TagSpecifications"]} == {"instance", "volume"}


def test_prepared_router_replaced_leaves_nothing_to_write(world: World) -> None:
    """The successor gets the same interface, and with it all that leads to the router."""
    network = deploy(world, "replaced", RouterMode="prepared-interface")
    (router,), address = network.routers, network.address
    world.client("ec2").terminate_instances(InstanceIds=[router["InstanceId"]])
    while world.settle():
        pass
    (successor,) = network.routers
    assert successor["InstanceId"] != router["InstanceId"]
    assert network.address == {**address, "InstanceId": successor["InstanceId"]}
    assert network.interface(address["NetworkInterfaceId"])["SourceDestCheck"] is False


# -- what a topology needs ---------------------------------------------------------------------------


def test_outputs_are_complete(lone: Network, pair: Network, prepared: Network) -> None:
    """Each and every one a topology needs; the optional ones where they mean something."""
    assert set(lone.outputs) == OUTPUTS
    assert set(pair.outputs) == OUTPUTS | {"DhcpOptionsId"}
    assert set(prepared.outputs) == OUTPUTS | {"DhcpOptionsId", "RouterPrivateAddress"}
    assert pair.outputs["OfficeNetworks"] == "10.100.100.0/24"


def test_outputs_make_a_valid_topology(network: Network) -> None:
    """Written out as a topology, they parse without a flaw."""
    out = network.outputs
    tables = [
        ("public", "PublicRouteTableId", "PublicSubnets"),
        ("private", "PrivateRouteTableAId", "PrivateSubnetsA"),
        ("private", "PrivateRouteTableBId", "PrivateSubnetsB"),
    ]
    optional = {"dhcp_options": "DhcpOptionsId", "private_address": "RouterPrivateAddress"}
    given = {key: f'{key} = "{out[name]}"' if name in out else "" for key, name in optional.items()}
    lines = [
        f'name = "{out["TopologyName"]}"',
        f'[vpc]\nid = "{out["VpcId"]}"\ncidr = "{out["VpcCidr"]}"',
        f'internet_gateway = "{out["InternetGatewayId"]}"\n{given["dhcp_options"]}',
        f"[office]\nnetworks = {json.dumps(out['OfficeNetworks'].split(','))}",
        f'vpn_clients = "{out["VpnClientNetwork"]}"',
        f'[router]\ncandidates = {{ "{out["RouterTagKey"]}" = "{out["RouterTagValue"]}" }}',
        f'elastic_ip = "{out["ElasticIpAllocationId"]}"\n{given["private_address"]}',
        f'security_group = "{out["RouterSecurityGroupId"]}"\nssh = "closed"',
    ]
    for kind, table, subnets in tables:
        pairs = ", ".join(f'{key} = "{cidr}"' for key, cidr in network.subnets(subnets).items())
        lines.append(f'[[{kind}]]\ntable = "{out[table]}"\nsubnets = {{ {pairs} }}')
    topology = declaration.parse("\n".join(lines).encode())
    assert topology.vpc_id == out["VpcId"]
    assert set(topology.public_subnets) == set(network.subnets("PublicSubnets"))


# -- user data ---------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Boot:
    """What became of an instance that ran the user data."""

    status: int
    said: str
    ran: list[str]


def boot(script: bytes, place: Path, agent: str, dnf: str, machine: str = "aarch64") -> Boot:
    """Run user data on a machine of stubs: `agent` is the version it comes with, `dnf` what its dnf does."""
    (place / "agent").write_text(agent)
    stubs = {
        "uname": f"echo {machine}",
        "rpm": f'case "$*" in *openvpn*) echo 2.6.12;; *%*) cat {place}/agent;; esac',
        "dnf": f'case "$*" in {dnf} *) ;; esac',
        "systemctl": "",
        "logger": 'echo "${@: -1}"',
        "cfn-signal": "",
    }
    for name, does in stubs.items():
        stub = place / name
        stub.write_text(f'#!/bin/bash\necho "{name} $*" >>{place}/ran\n{does}\n')
        stub.chmod(stub.stat().st_mode | stat.S_IXUSR)
    (place / "user-data").write_bytes(script)
    done = subprocess.run(  # noqa: S603 - our own script, on stubs
        ["/bin/bash", str(place / "user-data")],
        env={"PATH": f"{place}:/usr/bin:/bin"},
        capture_output=True,
        text=True,
        check=False,
        timeout=20,
    )
    return Boot(done.returncode, done.stdout + done.stderr, (place / "ran").read_text().splitlines())


@pytest.fixture
def user_data(lone: Network) -> bytes:
    """The script as an instance gets it."""
    return base64.b64decode(lone.launch_template()["UserData"])


def signals(outcome: Boot) -> list[str]:
    """How the stack was told."""
    return [one for one in outcome.ran if one.startswith("cfn-signal")]


def test_user_data_with_a_new_enough_agent_installs_the_software(user_data: bytes, tmp_path: Path) -> None:
    """OpenVPN and iptables are there, the agent is left as it is, and the stack is told so."""
    outcome = boot(user_data, tmp_path, agent="3.3.2746.0", dnf="")
    assert outcome.status == 0, outcome.said
    installs = [one for one in outcome.ran if one.startswith("dnf")]
    assert installs == ["dnf -y install openvpn iptables-nft conntrack-tools"]
    assert "systemctl restart amazon-ssm-agent" in outcome.ran
    assert signals(outcome) == ["cfn-signal --exit-code 0 --stack lone --resource Routers --region eu-west-1"]


def test_user_data_with_an_old_agent_upgrades_it(user_data: bytes, tmp_path: Path) -> None:
    """The distribution's newest release is asked first."""
    upgrade = f"*upgrade*) echo 3.3.4624.0 >{tmp_path}/agent;;"
    outcome = boot(user_data, tmp_path, agent="3.3.987.0", dnf=upgrade)
    assert outcome.status == 0, outcome.said
    assert "dnf -y --releasever=latest upgrade amazon-ssm-agent" in outcome.ran
    assert not any("https://" in one for one in outcome.ran)


@pytest.mark.parametrize(("machine", "package"), [("aarch64", "linux_arm64"), ("x86_64", "linux_amd64")])
def test_user_data_whose_distribution_is_behind_takes_the_agent_of_the_region(
    user_data: bytes, tmp_path: Path, machine: str, package: str
) -> None:
    """From the regional bucket, for the machine it runs on, though dnf failed before."""
    dnf = f"*upgrade*) exit 1;; *https:*) echo 3.3.4624.0 >{tmp_path}/agent;;"
    outcome = boot(user_data, tmp_path, agent="3.3.987.0", dnf=dnf, machine=machine)
    assert outcome.status == 0, outcome.said
    bucket = "https://s3.eu-west-1.amazonaws.com/amazon-ssm-eu-west-1/latest"
    assert f"dnf -y install {bucket}/{package}/amazon-ssm-agent.rpm" in outcome.ran


def test_user_data_whose_agent_stays_old_fails_loudly(user_data: bytes, tmp_path: Path) -> None:
    """A line in the log says which version and which is needed; the stack hears of the failure."""
    outcome = boot(user_data, tmp_path, agent="3.3.987.0", dnf="")
    assert outcome.status == 1
    assert "SSM agent is 3.3.987.0, Mooring needs 3.3.2746.0 or later" in outcome.said
    assert "systemctl restart amazon-ssm-agent" in outcome.ran
    assert [one.split()[2] for one in signals(outcome)] == ["1"]


def test_user_data_that_cannot_install_fails_loudly(user_data: bytes, tmp_path: Path) -> None:
    """Half a router is not announced as one."""
    outcome = boot(user_data, tmp_path, agent="3.3.4624.0", dnf="*openvpn*) exit 1;;")
    assert outcome.status == 1
    assert "FAILED with status 1" in outcome.said
    assert [one.split()[2] for one in signals(outcome)] == ["1"]
