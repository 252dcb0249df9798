"""Network interfaces as AWS keeps them: their addresses, their attachment and what may be done to them."""

from __future__ import annotations

import ipaddress
from typing import TYPE_CHECKING

from moto.ec2.exceptions import EC2ClientError, InvalidNetworkInterfaceIdError
from moto.ec2.models.elastic_network_interfaces import NetworkInterface, NetworkInterfaceBackend
from moto.ec2.models.instances import InstanceBackend
from moto.ec2.responses.elastic_network_interfaces import ElasticNetworkInterfaces

from .patches import truth

if TYPE_CHECKING:
    from moto.ec2.models import EC2Backend
    from moto.ec2.models.elastic_network_interfaces import Attachment
    from moto.ec2.models.instances import Instance
    from moto.ec2.models.subnets import Subnet

    from .patches import Moto, Original


@truth.around(NetworkInterfaceBackend, "create_network_interface")
def create(
    original: Original,
    backend: EC2Backend,
    subnet: Subnet,
    private_ip_address: Moto,
    *args: Moto,
    **kwargs: Moto,
) -> NetworkInterface:
    """Return the interface an address of its subnet that is free; moto draws lots and checks nothing."""
    by_launch = "device_index" in kwargs  # a launch has already reserved the address
    listed = [one["PrivateIpAddress"] for one in (args and args[0]) or [] if isinstance(one, dict)]
    wanted = [str(private_ip_address)] if private_ip_address else listed
    # moto draws addresses for its own interfaces (a NAT gateway's) without looking at the subnet.
    inside = [address for address in wanted if ipaddress.ip_address(address) in subnet.cidr]
    if not by_launch and inside:
        for address in inside:
            _reserve(subnet, address)
    elif not by_launch:
        private_ip_address = subnet.get_available_subnet_ip(instance=None)
    return original(backend, subnet, private_ip_address, *args, **kwargs)


def _reserve(subnet: Subnet, address: str) -> None:
    if address in subnet._subnet_ips:
        raise EC2ClientError("InvalidIPAddress.InUse", f"Address {address} is in use.")
    subnet.request_ip(address, instance=None)


@truth.around(ElasticNetworkInterfaces, "create_network_interface")
def check_address(original: Original, response: ElasticNetworkInterfaces) -> Moto:
    """Refuse an address outside the subnet."""
    subnet = response.ec2_backend.get_subnet(response._get_param("SubnetId"))
    address = response._get_param("PrivateIpAddress")
    if address and ipaddress.ip_address(address) not in subnet.cidr:
        text = "Address does not fall within the subnet's address range"
        raise EC2ClientError("InvalidParameterValue", text)
    return original(response)


@truth.around(ElasticNetworkInterfaces, "delete_network_interface")
def delete(original: Original, response: ElasticNetworkInterfaces) -> Moto:
    """Refuse to delete an attached interface; free the address of one that is deleted."""
    nic = response.ec2_backend.get_network_interface(response._get_param("NetworkInterfaceId"))
    response.error_on_dryrun()
    if nic.attachment_id is not None:
        text = f"Network interface '{nic.id}' is currently in use."
        raise EC2ClientError("InvalidParameterValue", text)
    result = original(response)
    for address in nic.private_ip_addresses:
        nic.subnet.del_subnet_ip(address["PrivateIpAddress"])
    return result


@truth.around(NetworkInterfaceBackend, "attach_network_interface")
def attach(
    original: Original, backend: EC2Backend, eni_id: str, instance_id: str, device_index: int
) -> Attachment:
    """Attach only an available interface, at a free index, in the instance's zone."""
    nic, instance = backend.get_network_interface(eni_id), backend.get_instance(instance_id)
    if nic.attachment_id is not None:
        raise EC2ClientError("InvalidNetworkInterface.InUse", f"Interface: [{eni_id}] in use.")
    if int(device_index) in instance.nics:
        text = f"Instance '{instance_id}' already has an interface attached at device index '{device_index}'."
        raise EC2ClientError("InvalidParameterValue", text)
    if nic.availability_zone != instance.placement.zone:
        text = "You may not attach a network interface to an instance if they are not in the same availability zone"
        raise EC2ClientError("InvalidParameterCombination", text)
    return original(backend, eni_id, instance_id, device_index)


@truth.around(NetworkInterfaceBackend, "detach_network_interface")
def detach(original: Original, backend: EC2Backend, attachment_id: str) -> None:
    """Refuse to detach the primary interface, also when it is not the last."""
    for nic in backend.enis.values():
        if nic.attachment_id == attachment_id and nic.device_index == 0:
            text = "The network interface at device index 0 cannot be detached."
            raise EC2ClientError("OperationNotPermitted", text)
    original(backend, attachment_id)


@truth.around(ElasticNetworkInterfaces, "modify_network_interface_attribute")
def modify(original: Original, response: ElasticNetworkInterfaces) -> Moto:
    """Change one attribute for each call (aws.md 2.4), also what becomes of it at termination."""
    asked = response._get_params()
    given = [name for name in ("Attachment", "Description", "Groups", "SourceDestCheck") if name in asked]
    if len(given) > 1:
        text = "Only one attribute may be specified"
        raise EC2ClientError("InvalidParameterCombination", text)
    result = original(response)
    if given == ["Attachment"]:
        nic = response.ec2_backend.get_network_interface(asked["NetworkInterfaceId"])
        if nic.attachment_id != asked["Attachment"].get("AttachmentId"):
            text = f"The attachment ID '{asked['Attachment'].get('AttachmentId')}' does not exist"
            raise EC2ClientError("InvalidAttachmentID.NotFound", text)
        nic.delete_on_termination = asked["Attachment"].get("DeleteOnTermination") is True
    return result


@truth.attributes_of(NetworkInterface)
def group_set(nic: NetworkInterface) -> list[Moto]:
    """List the interface's own groups: an instance's groups are its primary interface's."""
    return list(nic._group_set)


@truth.around(InstanceBackend, "modify_instance_security_groups")
def modify_groups(
    original: Original, backend: EC2Backend, instance_id: str, new_group_id_list: list[str]
) -> Instance:
    """Change the groups of the primary interface with the instance's."""
    instance = original(backend, instance_id, new_group_id_list)
    for nic in instance.network_interfaces[:1]:
        nic._group_set = list(instance.security_groups)
    return instance


@truth.around(NetworkInterface, "get_filter_value")
def nic_filter(original: Original, nic: NetworkInterface, name: str, method: str | None = None) -> Moto:
    """Filter by attachment, association and state, which moto does not implement."""
    attachment, association = nic.attachment, nic.association or {}
    values = {
        "status": nic.status,
        "source-dest-check": nic.source_dest_check,
        "addresses.private-ip-address": [one["PrivateIpAddress"] for one in nic.private_ip_addresses],
        "attachment.status": attachment and attachment.status,
        "attachment.device-index": attachment and str(attachment.device_index),
        "attachment.delete-on-termination": attachment and attachment.delete_on_termination,
        "association.allocation-id": association.get("AllocationId"),
        "association.association-id": association.get("AssociationId"),
        "association.public-ip": association.get("PublicIp"),
    }
    return values[name] if name in values else original(nic, name, method)


@truth.around(InvalidNetworkInterfaceIdError, "__init__")
def unknown_interface(original: Original, error: InvalidNetworkInterfaceIdError, eni_id: str) -> None:
    """Tell a malformed id from an unknown one."""
    original(error, eni_id)
    if not str(eni_id).startswith("eni-"):
        error.code, error.message = "InvalidNetworkInterfaceId.Malformed", f'Invalid id: "{eni_id}"'
