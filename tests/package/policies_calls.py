"""Says what AWS authorises for a recorded call: which actions, on which resources, with which condition keys.

Source: service authorization reference, page of each service. Where it leaves open which of two spellings is checked,
both are asked for. A call it does not know is an error: whoever makes a new call says here what it needs.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, TypeAlias

from tests.package.policies import Access

if TYPE_CHECKING:
    from collections.abc import Mapping

    from tests.fake_aws import Call, World

Params: TypeAlias = "Mapping[str, Any]"


@dataclass(frozen=True)
class Facts:
    """What AWS knows of the resources that calls name, as it was before the calls."""

    region: str
    account: str
    tags: Mapping[str, Mapping[str, str]]
    subnets: Mapping[str, tuple[str, str]]  # and their tables, by the id of their association
    owners: Mapping[str, str]  # the instances that interfaces are attached to
    groups: Mapping[str, str]  # Auto Scaling groups' ARNs, by name

    @classmethod
    def none(cls, world: World) -> Facts:
        """Know of no resource: enough for a function that may touch none, and what it touched would be denied."""
        return cls(world.region, world.account_id, {}, {}, {}, {})

    @classmethod
    def of(cls, world: World) -> Facts:
        """Ask the world, as a hand does."""
        ec2, scaling = world.client("ec2"), world.client("autoscaling")
        tags: dict[str, dict[str, str]] = {}
        for tag in ec2.describe_tags()["Tags"]:
            tags.setdefault(tag["ResourceId"], {})[tag["Key"]] = tag["Value"]
        groups = scaling.describe_auto_scaling_groups()["AutoScalingGroups"]
        for group in groups:
            tags[group["AutoScalingGroupARN"]] = {tag["Key"]: tag["Value"] for tag in group["Tags"]}
        cards = ec2.describe_network_interfaces()["NetworkInterfaces"]
        tables = ec2.describe_route_tables()["RouteTables"]
        associations = [one for table in tables for one in table["Associations"] if one.get("SubnetId")]
        return cls(
            region=world.region,
            account=world.account_id,
            tags=tags,
            subnets={
                one["RouteTableAssociationId"]: (one["SubnetId"], one["RouteTableId"]) for one in associations
            },
            owners={
                card["NetworkInterfaceId"]: card["Attachment"]["InstanceId"]
                for card in cards
                if card.get("Attachment", {}).get("InstanceId")
            },
            groups={group["AutoScalingGroupName"]: group["AutoScalingGroupARN"] for group in groups},
        )

    def arn(self, service: str, resource: str) -> str:
        """Spell the ARN of a resource of this account and region."""
        return f"arn:aws:{service}:{self.region}:{self.account}:{resource}"

    def ec2(self, action: str, kind: str, resource_id: str, **more: str) -> Access:
        """Return an access to one EC2 resource, with its tags."""
        tags = self.tags.get(resource_id, {})
        context = {f"aws:ResourceTag/{key}": value for key, value in tags.items()} | more
        return Access(f"ec2:{action}", self.arn("ec2", f"{kind}/{resource_id}"), context)


def accesses(call: Call, facts: Facts) -> list[Access]:
    """Return every authorisation that a call needs; all of them must be granted."""
    params = call.params
    match call.service:
        case "ec2":
            return _ec2(call.operation, params, facts)
        case "dynamodb":
            return _dynamodb(call.operation, params, facts)
        case "ssm":
            return _ssm(call.operation, params, facts)
        case "sqs":
            queue = facts.arn("sqs", params["QueueUrl"].rpartition("/")[2])
            # SendMessageBatch and DeleteMessageBatch are authorised as what they are a batch of.
            return [Access(f"sqs:{call.operation.removesuffix('Batch')}", queue)]
        case "logs":
            stream = f"log-group:{params['logGroupName']}:log-stream:{params['logStreamName']}"
            return [Access(f"logs:{call.operation}", facts.arn("logs", stream))]
        case "autoscaling":
            arn = facts.groups[params["AutoScalingGroupName"]]
            tags = {f"aws:ResourceTag/{key}": value for key, value in facts.tags[arn].items()}
            return [Access(f"autoscaling:{call.operation}", arn, tags)]
        case _:
            raise NotImplementedError(f"what {call.service}:{call.operation} needs is not known here")


def _ec2(operation: str, params: Params, facts: Facts) -> list[Access]:
    if operation.startswith("Describe"):  # they know no resources
        return [Access(f"ec2:{operation}")]
    match operation:
        case "CreateRoute" | "ReplaceRoute":
            named = [("route-table", params["RouteTableId"])]
        case "AssociateRouteTable":
            named = [("route-table", params["RouteTableId"]), ("subnet", params["SubnetId"])]
        case "ReplaceRouteTableAssociation":
            # The reference lists internet-gateway, ipv4pool-ec2, ipv6pool-ec2, route-table, subnet and vpn-gateway, and does
            # not say whether the table that the subnet leaves is among them: all are asked for that a subnet has.
            subnet, left = facts.subnets[params["AssociationId"]]
            named = [("route-table", params["RouteTableId"]), ("route-table", left), ("subnet", subnet)]
        case "AssociateAddress":
            # The reference lists elastic-ip, instance and network-interface, and does not say whether the instance is
            # asked about when the call names its interface.
            card = params["NetworkInterfaceId"]
            named = [("elastic-ip", params["AllocationId"]), ("network-interface", card)]
            named += [("instance", facts.owners[card])] if card in facts.owners else []
        case "RevokeSecurityGroupIngress":
            named = [("security-group", params["GroupId"])]
        case "AssociateDhcpOptions":
            named = [("vpc", params["VpcId"]), ("dhcp-options", params["DhcpOptionsId"])]
        case "ModifyNetworkInterfaceAttribute":
            # EC2 user guide, "ec2:Attribute condition key": the attribute being set, when it is a plain Value.
            values = {name.removesuffix(".Value"): v for name, v in params.items() if name.endswith(".Value")}
            being_set = {f"ec2:Attribute/{name}": value for name, value in values.items()}
            return [facts.ec2(operation, "network-interface", params["NetworkInterfaceId"], **being_set)]
        case _:
            raise NotImplementedError(f"what ec2:{operation} needs is not known here")
    return [facts.ec2(operation, kind, resource_id) for kind, resource_id in named]


def _dynamodb(operation: str, params: Params, facts: Facts) -> list[Access]:
    """A transaction is authorised item by item. DynamoDB developer guide, "IAM and transactions"."""
    if operation == "TransactWriteItems":
        items = [item for wrapped in params["TransactItems"] for item in wrapped.items()]
        return [
            Access(f"dynamodb:{kind}Item", facts.arn("dynamodb", f"table/{item['TableName']}"))
            for kind, item in items
        ]
    return [Access(f"dynamodb:{operation}", facts.arn("dynamodb", f"table/{params['TableName']}"))]


def _ssm(operation: str, params: Params, facts: Facts) -> list[Access]:
    """GetParametersByPath is authorised on the path itself, not on what lies below; its last slash may stay or not.

    Several names are authorised one by one; DescribeParameters and what asks after nodes and commands know no resources.
    """
    if operation in ("DescribeParameters", "DescribeInstanceInformation", "GetCommandInvocation"):
        return [Access(f"ssm:{operation}")]
    if operation in ("GetDocument", "DescribeDocument"):
        return [Access(f"ssm:{operation}", facts.arn("ssm", f"document/{params['Name']}"))]
    if operation == "SendCommand":
        return _send_command(params, facts)
    named = params["Names"] if "Names" in params else [params.get("Path") or params["Name"]]
    names = {one for name in named for one in (name, name.rstrip("/"))}
    return [
        Access(f"ssm:{operation}", facts.arn("ssm", f"parameter/{one.lstrip('/')}")) for one in sorted(names)
    ]


def _send_command(params: Params, facts: Facts) -> list[Access]:
    """Both the document and each instance are authorised. Systems Manager user guide, "Setting up Run Command"."""
    document = facts.arn("ssm", f"document/{params['DocumentName']}")
    instances = [
        Access(
            "ssm:SendCommand",
            facts.arn("ec2", f"instance/{instance_id}"),
            {f"ssm:resourceTag/{key}": value for key, value in facts.tags.get(instance_id, {}).items()},
        )
        for instance_id in params["InstanceIds"]
    ]
    return [Access("ssm:SendCommand", document), *instances]
