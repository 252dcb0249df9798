"""Elastic and public addresses as AWS keeps them: an Elastic IP belongs to a private address of an interface."""

from __future__ import annotations

from typing import TYPE_CHECKING

from moto.core.responses import ActionResult
from moto.core.utils import camelcase_to_underscores
from moto.ec2.exceptions import EC2ClientError
from moto.ec2.models import elastic_ip_addresses, elastic_network_interfaces
from moto.ec2.models.elastic_ip_addresses import ElasticAddress, ElasticAddressBackend
from moto.ec2.models.elastic_network_interfaces import NetworkInterface, NetworkInterfaceBackend
from moto.ec2.models.nat_gateways import NatGatewayBackend
from moto.ec2.responses.elastic_ip_addresses import ElasticIPAddresses
from moto.ec2.utils import random_eip_association_id

from .patches import truth
from .reality import aws

if TYPE_CHECKING:
    from moto.ec2.models import EC2Backend
    from moto.ec2.models.instances import Instance

    from .patches import Moto, Original

# moto's 127.x and 54.214.x are somebody's addresses; these are nobody's (RFC 5737).
truth.attribute(elastic_ip_addresses, "random_ip", lambda: next(aws.elastic_addresses))
truth.attribute(elastic_network_interfaces, "random_public_ip", lambda: next(aws.public_addresses))


# -- what an address and an interface say of each other --------------------------------------------------


def _elastic(nic: NetworkInterface, private_address: str | None) -> ElasticAddress | None:
    """Find the Elastic IP on one private address of an interface."""
    for address in nic.ec2_backend.addresses:
        if address.eni is nic and address.private_ip_address == private_address:
            return address
    return None


def _association(nic: NetworkInterface, private_address: str | None) -> dict[str, Moto] | None:
    """Describe the public address of a private one, if it has one."""
    elastic = _elastic(nic, private_address)
    automatic = nic.__dict__.get("automatic_ip") if private_address == nic.private_ip_address else None
    public = elastic.public_ip if elastic else automatic
    if public is None:
        return None
    described = {
        "IpOwnerId": aws.account_id if elastic else "amazon",
        "PublicDnsName": f"ec2-{public.replace('.', '-')}.{aws.region}.compute.amazonaws.com",
        "PublicIp": public,
    }
    if elastic:
        described |= {"AllocationId": elastic.allocation_id, "AssociationId": elastic.association_id}
    return described


@truth.attributes_of(NetworkInterface)
def association(nic: NetworkInterface) -> dict[str, Moto] | None:
    """Describe the public address of the primary private address."""
    return _association(nic, nic.private_ip_address)


def _get_addresses(nic: NetworkInterface) -> list[dict[str, Moto]]:
    addresses: list[dict[str, Moto]] = nic.__dict__.setdefault("addresses", [])
    for one in addresses:
        public = _association(nic, one.get("PrivateIpAddress"))
        one.setdefault("Primary", one.get("PrivateIpAddress") == nic.private_ip_address)
        one.pop("Association", None)
        if public:
            one["Association"] = public
    return addresses


def _set_addresses(nic: NetworkInterface, addresses: list[dict[str, Moto]]) -> None:
    nic.__dict__["addresses"] = addresses


truth.attribute(NetworkInterface, "private_ip_addresses", property(_get_addresses, _set_addresses))
truth.attribute(NetworkInterface, "instance_private_ip_address_list", property(_get_addresses))


def _get_public(nic: NetworkInterface) -> str | None:
    described = association(nic)
    return str(described["PublicIp"]) if described else None


def _set_automatic(nic: NetworkInterface, address: str | None) -> None:
    nic.__dict__["automatic_ip"] = address


# moto writes here only what it assigns by itself: the Elastic IP is looked up where it is kept.
truth.attribute(NetworkInterface, "public_ip", property(_get_public, _set_automatic))


@truth.around(NetworkInterface, "check_auto_public_ip")
def assign_public(original: Original, nic: NetworkInterface) -> None:
    """Assign a public address, unless an Elastic IP or a second interface forbids it (aws.md 2.3)."""
    instance = nic.__dict__.get("instance")
    if "addresses" in nic.__dict__ and _elastic(nic, nic.private_ip_address):
        return
    if instance is not None and len(instance.nics) > 1:
        return
    original(nic)


@truth.attributes_of(ElasticAddress)
def instance_id(address: ElasticAddress) -> str | None:
    """Name the instance behind the interface; absent, not empty, when there is none."""
    instance = address.eni.instance if address.eni else None
    return str(instance.id) if instance else None


@truth.attributes_of(ElasticAddress)
def network_interface_id(address: ElasticAddress) -> str | None:
    """Name the interface; absent, not empty, when there is none."""
    return str(address.eni.id) if address.eni else None


@truth.attributes_of(ElasticAddress)
def private_ip_address(address: ElasticAddress) -> str | None:
    """Name the private address it belongs to."""
    if address.eni is None:
        return None
    return str(address.__dict__.get("private_address") or address.eni.private_ip_address)


def _get_instance(address: ElasticAddress) -> Instance | None:
    return address.eni.instance if address.eni else None


def _keep_out(address: ElasticAddress, instance: Instance | None) -> None:
    """Ignore what moto would store: the interface knows its instance."""


truth.attribute(ElasticAddress, "instance", property(_get_instance, _keep_out))


# -- addresses of other kinds ----------------------------------------------------------------------------


@truth.around(ElasticIPAddresses, "allocate_address")
def allocate(original: Original, response: ElasticIPAddresses) -> Moto:
    """Allocate an Outposts or a Wavelength address where one is asked for: neither has a public number.

    AllocateAddress: CustomerOwnedIpv4Pool, NetworkBorderGroup.
    """
    result = original(response)
    pool, group = response._get_param("CustomerOwnedIpv4Pool"), response._get_param("NetworkBorderGroup")
    number = result.result["PublicIp"]
    if pool:
        other = {"CustomerOwnedIp": number, "CustomerOwnedIpv4Pool": pool}
    elif group and "-wl" in group:
        other = {"CarrierIp": number, "NetworkBorderGroup": group}
    else:
        return result
    (address,) = response.ec2_backend.address_by_ip([number])
    address.public_ip = None
    for key, value in other.items():
        setattr(address, camelcase_to_underscores(key), value)
    return ActionResult({k: v for k, v in result.result.items() if k != "PublicIp"} | other)


# -- writes ----------------------------------------------------------------------------------------------


def _need_given_up(nic: NetworkInterface | None) -> None:
    """Refuse what is on a NAT gateway's interface, or is to be: the gateway's owner is AWS.

    hashicorp/terraform-provider-aws#3572, and its pull request 4675.
    """
    gateways = nic.ec2_backend.nat_gateways.values() if nic else ()
    if any(gateway._eni is nic and gateway.state != "deleted" for gateway in gateways):
        raise EC2ClientError("AuthFailure", "You do not have permission to access the specified resource.")


def _release(address: ElasticAddress) -> None:
    """Take an Elastic IP off its interface; a running instance gets a public address again."""
    nic, primary = address.eni, address.private_ip_address
    address.eni = address.association_id = None
    instance = nic.instance if nic else None
    if instance is not None and instance.state == "running" and primary == nic.private_ip_address:
        nic.check_auto_public_ip()


@truth.around(ElasticAddressBackend, "disassociate_address")
def disassociate(
    original: Original, backend: EC2Backend, address: str | None = None, association_id: str | None = None
) -> None:
    """Take an Elastic IP off whatever holds it; it stays allocated."""
    found = backend.address_by_ip([address]) if address else backend.address_by_association([association_id])
    _need_given_up(found[0].eni)
    _release(found[0])


@truth.around(NatGatewayBackend, "delete_nat_gateway")
def delete_gateway(original: Original, backend: EC2Backend, nat_gateway_id: str) -> Moto:
    """Return the Elastic IP of a NAT gateway free with the gateway. DeleteNatGateway."""
    gateway = original(backend, nat_gateway_id)
    backend.delete_network_interface(gateway._eni.id)
    return gateway


@truth.around(NetworkInterfaceBackend, "delete_network_interface")
def delete_interface(original: Original, backend: EC2Backend, eni_id: str) -> None:
    """Take the Elastic IPs off an interface that is deleted, as termination does (aws.md 2.3)."""
    nic = backend.enis.get(eni_id)
    original(backend, eni_id)
    for address in backend.addresses:
        if address.eni is nic:
            address.eni = address.association_id = None


def _holder(response: ElasticIPAddresses) -> NetworkInterface:
    """Find the interface that is to hold the address, and check that it can."""
    backend, asked = response.ec2_backend, response._get_params()
    if "NetworkInterfaceId" in asked:
        nic = backend.get_network_interface(asked["NetworkInterfaceId"])
        state = nic.instance.state if nic.instance else "running"
        if state in {"pending", "shutting-down"}:
            text = f"The {state} instance to which '{nic.id}' is attached is not in a valid state for this operation."
            raise EC2ClientError("IncorrectInstanceState", text)
        return nic
    if "InstanceId" not in asked:
        text = "Either 'InstanceId' or 'NetworkInterfaceId' must be specified"
        raise EC2ClientError("MissingParameter", text)
    instance = backend.get_instance(asked["InstanceId"])
    if instance.state in {"pending", "shutting-down", "terminated"}:
        text = f"The {instance.state} instance '{instance.id}' is not in a valid state for this operation."
        raise EC2ClientError("InvalidInstanceID", text)
    if len(instance.nics) > 1:
        text = f"There are multiple interfaces attached to instance '{instance.id}'. Please specify an interface ID for the operation instead."
        raise EC2ClientError("InvalidInstanceID", text)
    return instance.network_interfaces[0]


def _private_address(response: ElasticIPAddresses, nic: NetworkInterface) -> str:
    wanted = response._get_param("PrivateIpAddress") or nic.private_ip_address
    if wanted not in {one["PrivateIpAddress"] for one in nic.private_ip_addresses}:
        text = f"The private IP address {wanted} is not assigned to network interface {nic.id}"
        raise EC2ClientError("InvalidParameterValue", text)
    return str(wanted)


@truth.around(ElasticIPAddresses, "associate_address")
def associate(original: Original, response: ElasticIPAddresses) -> Moto:
    """Move an Elastic IP to a private address of an interface, from wherever it was (aws.md 2.3)."""
    backend, asked = response.ec2_backend, response._get_params()
    if "AllocationId" in asked:
        address = backend.address_by_allocation([asked["AllocationId"]])[0]
    else:
        address = backend.address_by_ip([asked.get("PublicIp")])[0]
    _need_given_up(address.eni)
    nic = _holder(response)
    _need_given_up(nic)
    private = _private_address(response, nic)
    if not any(
        igw.vpc is not None and igw.vpc.id == nic.vpc_id for igw in backend.internet_gateways.values()
    ):
        text = f"Network {nic.vpc_id} is not attached to any internet gateway"
        raise EC2ClientError("Gateway.NotAttached", text)
    response.error_on_dryrun()
    here = address.eni is nic and address.private_ip_address == private
    other = _elastic(nic, private)
    if (
        asked.get("AllowReassociation") is False
        and not here
        and (address.eni is not None or other is not None)
    ):
        text = f"resource {address.allocation_id if address.eni else nic.id} is already associated"
        raise EC2ClientError("Resource.AlreadyAssociated", text)
    if not here:
        _move(address, nic, private, other)
    return ActionResult({"AssociationId": address.association_id})


def _move(address: ElasticAddress, nic: NetworkInterface, private: str, other: ElasticAddress | None) -> None:
    if other is not None:
        other.eni = other.association_id = None
    _release(address)
    address.eni, address.private_address = nic, private
    address.association_id = random_eip_association_id()
    if private == nic.private_ip_address:
        nic.public_ip = None  # the automatic one goes
