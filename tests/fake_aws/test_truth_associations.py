"""Which table a subnet has, as AWS keeps it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from .conftest import code

if TYPE_CHECKING:
    from . import World
    from .conftest import Network


def _main(network: Network) -> dict[str, Any]:
    filters = [
        {"Name": "vpc-id", "Values": [network.vpc_id]},
        {"Name": "association.main", "Values": ["true"]},
    ]
    (table,) = network.ec2.describe_route_tables(Filters=filters)["RouteTables"]
    return dict(table)


def test_associated_subnet_is_refused_by_another_table(network: Network) -> None:
    """Resource.AlreadyAssociated; moto says yes and leaves it where it was. EC2 error codes."""
    asked = {"SubnetId": network.subnet_id}
    first = network.ec2.associate_route_table(RouteTableId=network.table_id, **asked)
    again = network.ec2.associate_route_table(RouteTableId=network.table_id, **asked)
    assert first["AssociationId"] == again["AssociationId"]
    other = network.ec2.create_route_table(VpcId=network.vpc_id)["RouteTable"]["RouteTableId"]
    refused = code(lambda: network.ec2.associate_route_table(RouteTableId=other, **asked))
    assert refused == "Resource.AlreadyAssociated"


def test_replaced_association_gets_a_new_id(network: Network) -> None:
    """ReplaceRouteTableAssociation returns the new association; the old id is gone."""
    old = network.ec2.associate_route_table(RouteTableId=network.table_id, SubnetId=network.subnet_id)
    other = network.ec2.create_route_table(VpcId=network.vpc_id)["RouteTable"]["RouteTableId"]
    new = network.ec2.replace_route_table_association(AssociationId=old["AssociationId"], RouteTableId=other)
    assert new["NewAssociationId"] != old["AssociationId"]
    (table,) = network.ec2.describe_route_tables(RouteTableIds=[other])["RouteTables"]
    assert [(one["RouteTableAssociationId"], one["SubnetId"]) for one in table["Associations"]] == [
        (new["NewAssociationId"], network.subnet_id)
    ]
    gone = code(lambda: network.ec2.disassociate_route_table(AssociationId=old["AssociationId"]))
    assert gone == "InvalidAssociationID.NotFound"


def test_main_association_only_moves(network: Network) -> None:
    """InvalidParameterValue: "cannot disassociate the main route table association". ansible/ansible#25521."""
    main = _main(network)
    (association,) = main["Associations"]
    assert association["Main"]
    assert "SubnetId" not in association
    association_id = association["RouteTableAssociationId"]
    refused = code(lambda: network.ec2.disassociate_route_table(AssociationId=association_id))
    assert refused == "InvalidParameterValue"
    assert (
        code(lambda: network.ec2.delete_route_table(RouteTableId=main["RouteTableId"]))
        == "DependencyViolation"
    )
    network.ec2.replace_route_table_association(AssociationId=association_id, RouteTableId=network.table_id)
    assert _main(network)["RouteTableId"] == network.table_id


def test_table_in_use_is_not_deleted(network: Network) -> None:
    """DependencyViolation while a subnet is associated. DeleteRouteTable."""
    made = network.ec2.associate_route_table(RouteTableId=network.table_id, SubnetId=network.subnet_id)
    assert (
        code(lambda: network.ec2.delete_route_table(RouteTableId=network.table_id)) == "DependencyViolation"
    )
    network.ec2.disassociate_route_table(AssociationId=made["AssociationId"])
    network.ec2.delete_route_table(RouteTableId=network.table_id)


def test_dry_run_of_an_association_changes_nothing(network: Network) -> None:
    """DryRunOperation, and nothing is associated. EC2 API reference, common parameters."""
    ec2, idle = (
        network.ec2,
        network.ec2.create_route_table(VpcId=network.vpc_id)["RouteTable"]["RouteTableId"],
    )
    made = ec2.associate_route_table(RouteTableId=network.table_id, SubnetId=network.subnet_id)
    this = {"AssociationId": made["AssociationId"], "DryRun": True}
    for refused in (
        code(
            lambda: ec2.associate_route_table(
                RouteTableId=idle, SubnetId=network.other_subnet_id, DryRun=True
            )
        ),
        code(lambda: ec2.replace_route_table_association(RouteTableId=idle, **this)),
        code(lambda: ec2.disassociate_route_table(**this)),
        code(lambda: ec2.delete_route_table(RouteTableId=idle, DryRun=True)),
    ):
        assert refused == "DryRunOperation"
    used, unused = ec2.describe_route_tables(RouteTableIds=[network.table_id, idle])["RouteTables"]
    assert [one["SubnetId"] for one in used["Associations"]] == [network.subnet_id]
    assert unused["Associations"] == []


def test_filter_matches_any_of_a_table_s_subnets(network: Network) -> None:
    """A filter with several values matches any of them; moto wants all. EC2 API reference, filters."""
    network.ec2.associate_route_table(RouteTableId=network.table_id, SubnetId=network.subnet_id)
    values = [network.other_subnet_id, network.subnet_id]
    third = network.ec2.create_subnet(VpcId=network.vpc_id, CidrBlock="10.0.2.0/24")["Subnet"]["SubnetId"]
    network.ec2.associate_route_table(RouteTableId=network.table_id, SubnetId=third)
    found = network.ec2.describe_route_tables(Filters=[{"Name": "association.subnet-id", "Values": values}])
    assert [table["RouteTableId"] for table in found["RouteTables"]] == [network.table_id]


def test_dhcp_options_are_associated_and_taken_back(network: Network) -> None:
    """AssociateDhcpOptions changes the VPC; `default` brings AWS's own back."""
    values = [{"Key": "domain-name-servers", "Values": ["10.100.100.2"]}]
    made = network.ec2.create_dhcp_options(DhcpConfigurations=values)["DhcpOptions"]["DhcpOptionsId"]

    def options() -> str:
        (vpc,) = network.ec2.describe_vpcs(VpcIds=[network.vpc_id])["Vpcs"]
        return str(vpc["DhcpOptionsId"])

    before = options()
    network.ec2.associate_dhcp_options(DhcpOptionsId=made, VpcId=network.vpc_id)
    assert options() == made
    network.ec2.associate_dhcp_options(DhcpOptionsId="default", VpcId=network.vpc_id)
    assert options() == before
    unknown = {"DhcpOptionsId": "dopt-0123456789abcdef0", "VpcId": network.vpc_id}
    assert code(lambda: network.ec2.associate_dhcp_options(**unknown)).startswith("InvalidDhcpOption")


def test_association_is_in_a_state(world: World, network: Network) -> None:
    """`associated`, or on its way, or failed: a new association has a state of its own. RouteTableAssociationState."""

    def states() -> list[tuple[str, str]]:
        (table,) = network.ec2.describe_route_tables(RouteTableIds=[network.table_id])["RouteTables"]
        return [(one["SubnetId"], one["AssociationState"]["State"]) for one in table["Associations"]]

    made = network.ec2.associate_route_table(RouteTableId=network.table_id, SubnetId=network.subnet_id)
    network.ec2.associate_route_table(RouteTableId=network.table_id, SubnetId=network.other_subnet_id)
    assert {state for _, state in states()} == {"associated"}
    world.unsettle(made["AssociationId"], "failed")
    assert set(states()) == {(network.subnet_id, "failed"), (network.other_subnet_id, "associated")}
    network.ec2.disassociate_route_table(AssociationId=made["AssociationId"])
    network.ec2.associate_route_table(RouteTableId=network.table_id, SubnetId=network.subnet_id)
    assert {state for _, state in states()} == {"associated"}
