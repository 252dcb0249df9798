"""CloudFormation as AWS has it: what moto's stack maker leaves out of the resources that this project deploys.

Sources, unless said otherwise: the AWS CloudFormation template reference, page of the resource type or function.
Updates and deletions of a stack are as moto has them.
"""

from __future__ import annotations

import json
import re
from functools import cache
from typing import TYPE_CHECKING, Any

from moto.cloudformation import parsing
from moto.cloudformation.exceptions import ValidationError
from moto.cloudformation.models import Stack
from moto.ec2.models import ec2_backends
from moto.ec2.models.core import TaggedEC2Resource
from moto.ec2.models.elastic_ip_addresses import ElasticAddress
from moto.ec2.models.elastic_network_interfaces import NetworkInterface
from moto.ec2.models.security_groups import SecurityGroup
from moto.ec2.models.subnets import Subnet
from moto.ec2.models.vpcs import VPC
from moto.ec2.utils import random_eip_association_id
from moto.iam.models import Role

from .patches import truth
from .truth_hooks import LifecycleHookOfStack

if TYPE_CHECKING:
    from typing import Self

    from .patches import Moto, Original


# -- templates ---------------------------------------------------------------------------------------


@truth.around(parsing, "clean_json")
def _resolve(original: Original, value: object, resources: Moto) -> object:
    """Resolve functions as AWS does.

    `AWS::NoValue` in a list removes the item (moto leaves a null), and `Fn::GetAZs` takes an intrinsic and reads
    an empty string as the stack's region (moto: us-east-1, always four zones).
    """
    if isinstance(value, list):
        return [item for part in value if (item := parsing.clean_json(part, resources)) is not None]
    if isinstance(value, dict) and "Fn::GetAZs" in value:
        region = parsing.clean_json(value["Fn::GetAZs"], resources) or resources["AWS::Region"]
        backend = ec2_backends[resources["AWS::AccountId"]][region]
        return sorted(zone.name for zone in backend.describe_availability_zones())
    return original(value, resources)


@truth.around(parsing, "parse_condition")
def _decide(original: Original, condition: Moto, resources: Moto, conditions: Moto) -> object:
    """Read `!Condition NAME`, which YAML's short form spells as a function; moto takes it for true."""
    if isinstance(condition, dict):
        ((operator, operands),) = condition.items()
        named = [
            {"Condition": one["Fn::Condition"]} if isinstance(one, dict) and "Fn::Condition" in one else one
            for one in operands
        ]
        condition = {operator: named}
    return original(condition, resources, conditions)


@truth.around(parsing.ResourceMap, "load_parameters")
def _load_parameters(original: Original, resources: Moto) -> None:
    """Refuse values outside their parameter's constraints, and read defaults of lists as lists."""
    declared = resources._template.get("Parameters", {})
    for name, parameter in declared.items():
        value = resources.input_parameters.get(name, parameter.get("Default"))
        if value is not None:
            _check(name, parameter, str(value))
    original(resources)
    for name, parameter in declared.items():
        value = resources.resolved_parameters[name]
        if parameter["Type"] == "CommaDelimitedList" or parameter["Type"].startswith("List"):
            items = value.split(",") if isinstance(value, str) else value
            resources.resolved_parameters[name] = [item.strip() for item in items]
    resources._parsed_resources.update(resources.resolved_parameters)


def _check(name: str, parameter: dict[str, Any], value: str) -> None:
    if value not in {str(allowed) for allowed in parameter.get("AllowedValues", [value])}:
        raise ValidationError(message=f"Parameter '{name}' must be one of AllowedValues")
    # A pattern "must match the entire parameter value".
    if not re.fullmatch(parameter.get("AllowedPattern", "(?s).*"), value):
        wanted = parameter.get(
            "ConstraintDescription", f"must match pattern {parameter.get('AllowedPattern')}"
        )
        raise ValidationError(message=f"Parameter {name} failed to satisfy constraint: {wanted}")


@truth.around(parsing.ResourceMap, "load")
def _load(original: Original, resources: Moto) -> None:
    """Hold the parameters against the template's rules; moto skips the section."""
    original(resources)
    for rule in resources._template.get("Rules", {}).values():
        applies = rule.get("RuleCondition", True)
        if not parsing.parse_condition(applies, resources._parsed_resources, resources.lazy_condition_map):
            continue
        for one in rule["Assertions"]:
            if not parsing.parse_condition(
                one["Assert"], resources._parsed_resources, resources.lazy_condition_map
            ):
                raise ValidationError(message=f"Template error: {one['AssertDescription']}")


@truth.around(parsing, "parse_and_create_resource")
def _create(
    original: Original, logical_id: str, resource_json: dict[str, Any], resources: Moto, **where: str
) -> Moto:
    """Tag what EC2 can tag, with the template's tags and CloudFormation's own; moto does so for some types."""
    resource = original(logical_id, resource_json, resources, **where)
    thing = getattr(resource, "tagged", resource)
    if isinstance(thing, TaggedEC2Resource):
        declared = parsing.clean_json(resource_json.get("Properties", {}).get("Tags", []), resources)
        thing.add_tags({**resources.tags, "aws:cloudformation:logical-id": logical_id})
        thing.add_tags({tag["Key"]: tag["Value"] for tag in declared})
    return resource


_read_template = Stack.parse_template


@cache
def _parsed(template: str) -> str:
    return json.dumps(_read_template(template), default=str)


# moto parses a template anew for each stack, and a third of a deployment's time goes into it.
truth.attribute(Stack, "parse_template", staticmethod(lambda template: json.loads(_parsed(template))))


# -- resources that moto makes in part ---------------------------------------------------------------


@truth.around(VPC, "create_from_cloudformation_json")
def _vpc(original: Original, name: str, template: dict[str, Any], *where: str, **kwargs: object) -> Moto:
    """Set the DNS attributes: support is on unless said otherwise, host names are off."""
    vpc = original(name, template, *where, **kwargs)
    vpc.enable_dns_support = template["Properties"].get("EnableDnsSupport", True)
    vpc.enable_dns_hostnames = template["Properties"].get("EnableDnsHostnames", False)
    return vpc


@truth.around(Subnet, "get_cfn_attribute")
def _subnet_attribute(original: Original, subnet: Moto, name: str) -> object:
    """Know a subnet's zone; moto says it is not implemented."""
    return subnet.availability_zone if name == "AvailabilityZone" else original(subnet, name)


@truth.around(ElasticAddress, "has_cfn_attr")
def _address_has(original: Original, name: str) -> object:
    """Have a public address."""
    return name == "PublicIp" or original(name)


@truth.around(ElasticAddress, "get_cfn_attribute")
def _address_attribute(original: Original, address: Moto, name: str) -> object:
    """Return the public address."""
    return address.public_ip if name == "PublicIp" else original(address, name)


@truth.around(NetworkInterface, "create_from_cloudformation_json")
def _interface(
    original: Original, name: str, template: dict[str, Any], *where: str, **kwargs: object
) -> Moto:
    """Put it in its groups (`GroupSet`; moto reads `SecurityGroups`) and set its source/dest check."""
    properties = template["Properties"]
    properties = properties | {"SecurityGroups": properties.get("GroupSet", [])}
    interface = original(name, template | {"Properties": properties}, *where, **kwargs)
    interface.source_dest_check = properties.get("SourceDestCheck", True)
    return interface


@truth.around(SecurityGroup, "create_from_cloudformation_json")
def _security_group(
    original: Original, name: str, template: dict[str, Any], account_id: str, region: str, **kwargs: object
) -> Moto:
    """Make every rule: without ports for protocol -1, with its description, and outbound ones too.

    A group that declares outbound rules does not get the usual one that lets everything out.
    """
    properties = template["Properties"]
    ingress, egress = (properties.get(f"SecurityGroup{way}", []) for way in ("Ingress", "Egress"))
    bare = {key: value for key, value in properties.items() if not key.startswith("SecurityGroup")}
    group = original(name, template | {"Properties": bare}, account_id, region, **kwargs)
    backend = ec2_backends[account_id][region]
    for rule in ingress:
        backend.authorize_security_group_ingress(group.id, *_rule(rule), vpc_id=group.vpc_id)
    if egress:
        anywhere = {"IpProtocol": "-1", "CidrIp": "0.0.0.0/0"}
        backend.revoke_security_group_egress(group.id, *_rule(anywhere), vpc_id=group.vpc_id)
    for rule in egress:
        backend.authorize_security_group_egress(group.id, *_rule(rule), vpc_id=group.vpc_id)
    return group


def _rule(rule: dict[str, Any]) -> tuple[str, object, object, list[dict[str, str]]]:
    network: dict[str, str] = {key: rule[key] for key in ("CidrIp", "Description") if key in rule}
    return str(rule["IpProtocol"]), rule.get("FromPort"), rule.get("ToPort"), [network]


@truth.around(Role, "create_from_cloudformation_json")
def _role(original: Original, name: str, template: dict[str, Any], *where: str, **kwargs: object) -> Moto:
    """Keep inline policies as JSON, which is how IAM gives them back; moto keeps, and gives, Python's words."""
    properties = template["Properties"]
    policies = [
        policy | {"PolicyDocument": json.dumps(policy["PolicyDocument"])}
        for policy in properties.get("Policies", [])
    ]
    return original(name, template | {"Properties": properties | {"Policies": policies}}, *where, **kwargs)


# -- resources that moto does not make ---------------------------------------------------------------


class Resource:
    """A resource of a stack, as moto's stack maker expects one."""

    physical_resource_id: str

    def is_created(self) -> bool:
        """Return whether it exists: made is made."""
        return True

    @classmethod
    def create_from_cloudformation_json(
        cls, _name: str, template: dict[str, Any], account_id: str, region: str, **_: object
    ) -> Self:
        """Make it from its resolved part of the template."""
        made = cls()
        made.make(template["Properties"], ec2_backends[account_id][region])
        return made

    def make(self, properties: dict[str, Any], backend: Moto) -> None:
        """Make it through EC2's backend, and know its physical id."""
        raise NotImplementedError


class DhcpOptions(Resource):
    """AWS::EC2::DHCPOptions."""

    def make(self, properties: dict[str, Any], backend: Moto) -> None:
        """Create the options."""
        self.tagged = backend.create_dhcp_options(
            domain_name_servers=properties.get("DomainNameServers"),
            domain_name=[properties["DomainName"]] if "DomainName" in properties else None,
            ntp_servers=properties.get("NtpServers"),
        )
        self.physical_resource_id = self.tagged.id


class DhcpOptionsAssociation(Resource):
    """AWS::EC2::VPCDHCPOptionsAssociation."""

    def make(self, properties: dict[str, Any], backend: Moto) -> None:
        """Return the VPC its options."""
        (options,) = backend.describe_dhcp_options([properties["DhcpOptionsId"]])
        backend.associate_dhcp_options(options, backend.get_vpc(properties["VpcId"]))
        self.physical_resource_id = f"{options.id}|{properties['VpcId']}"


class ElasticIpAssociation(Resource):
    """AWS::EC2::EIPAssociation, of an address that nothing holds and an interface's primary address."""

    def make(self, properties: dict[str, Any], backend: Moto) -> None:
        """Associate the address."""
        (address,) = backend.address_by_allocation([properties["AllocationId"]])
        address.eni = backend.get_network_interface(properties["NetworkInterfaceId"])
        address.private_address = address.eni.private_ip_address
        address.association_id = self.physical_resource_id = random_eip_association_id()


class SubnetRouteTableAssociation(Resource):
    """AWS::EC2::SubnetRouteTableAssociation; moto's own is seen by nobody."""

    def make(self, properties: dict[str, Any], backend: Moto) -> None:
        """Associate the subnet."""
        table_id, subnet_id = properties["RouteTableId"], properties["SubnetId"]
        self.physical_resource_id = backend.associate_route_table(table_id, subnet_id=subnet_id)


@truth.around(parsing, "get_model_map")
def _models(original: Original) -> dict[str, Any]:
    """Know these types as well."""
    return {
        **original(),
        "AWS::AutoScaling::LifecycleHook": LifecycleHookOfStack,
        "AWS::EC2::DHCPOptions": DhcpOptions,
        "AWS::EC2::VPCDHCPOptionsAssociation": DhcpOptionsAssociation,
        "AWS::EC2::EIPAssociation": ElasticIpAssociation,
        "AWS::EC2::SubnetRouteTableAssociation": SubnetRouteTableAssociation,
    }
