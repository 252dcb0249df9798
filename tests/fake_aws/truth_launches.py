"""Launches as AWS makes them: from a launch template's whole data, on an existing interface if it says so."""

from __future__ import annotations

import copy
from typing import TYPE_CHECKING

from moto.ec2.exceptions import EC2ClientError
from moto.ec2.models.instances import Instance, InstanceBackend

from .patches import truth

if TYPE_CHECKING:
    from moto.ec2.models import EC2Backend
    from moto.ec2.models.instances import Reservation

    from .patches import Moto, Original


def _is(value: object) -> bool:
    return str(value).lower() == "true"


def from_template(backend: EC2Backend, launch: dict[str, Moto]) -> dict[str, Moto]:
    """Add to a launch what its template says and moto leaves out."""
    data = backend._get_template_from_args(launch["launch_template"]).data
    added = copy.deepcopy(launch)
    added["nics"] = added.get("nics") or copy.deepcopy(data.get("NetworkInterfaces") or [])
    added["metadata_options"] = added.get("metadata_options") or data.get("MetadataOptions") or {}
    if "block_device_mappings" not in added and data.get("BlockDeviceMappings"):
        added["block_device_mappings"] = copy.deepcopy(data["BlockDeviceMappings"])
        for device in added["block_device_mappings"]:
            device.setdefault("Ebs", {}).setdefault("VolumeSize", 8)  # else taken from the image
    return added


def _interface_tags(backend: EC2Backend, launch: dict[str, Moto]) -> dict[str, str]:
    """Read the tags that a launch gives to the interfaces it makes: the template's and, over them, its own.

    Amazon EC2 API reference, RunInstances, TagSpecification; moto tags instances and volumes alone.
    """
    specifications: list[dict[str, Moto]] = []
    if launch.get("launch_template"):
        specifications = backend._get_template_from_args(launch["launch_template"]).data.get(
            "TagSpecifications", []
        )
    tags: dict[str, str] = {
        tag["Key"]: tag["Value"]
        for specification in specifications
        if specification["ResourceType"] == "network-interface"
        for tag in specification.get("Tags") or specification.get("Tag") or []
    }
    tags |= (launch.get("tags") or {}).get("network-interface", {})
    return tags


@truth.around(InstanceBackend, "run_instances")
def run_instances(
    original: Original,
    backend: EC2Backend,
    image_id: str,
    count: int,
    user_data: Moto,
    security_group_names: list[str],
    **launch: Moto,
) -> Reservation:
    """Launch with the template's interfaces, metadata options and profile; refuse an interface in use."""
    profile: dict[str, str] = {}
    tags = _interface_tags(backend, launch)
    if launch.get("launch_template"):
        profile = (
            backend._get_template_from_args(launch["launch_template"]).data.get("IamInstanceProfile") or {}
        )
        launch = from_template(backend, launch)
    for spec in launch.get("nics") or []:
        if eni_id := spec.get("NetworkInterfaceId"):
            if backend.get_network_interface(eni_id).attachment_id is not None:
                raise EC2ClientError("InvalidNetworkInterface.InUse", f"Interface: [{eni_id}] in use.")
        elif "AssociatePublicIpAddress" in spec:
            spec["AssociatePublicIpAddress"] = _is(spec["AssociatePublicIpAddress"])
    reservation = original(backend, image_id, count, user_data, security_group_names, **launch)
    given = {spec.get("NetworkInterfaceId") for spec in launch.get("nics") or []}
    for instance in reservation.instances:
        for nic in instance.nics.values():
            if nic.id not in given:
                nic.add_tags(tags)
        if (
            profile
            and not launch.get("iam_instance_profile_name")
            and not launch.get("iam_instance_profile_arn")
        ):
            backend.associate_iam_instance_profile(
                instance.id,
                iam_instance_profile_name=profile.get("Name"),
                iam_instance_profile_arn=profile.get("Arn"),
            )
    return reservation


@truth.around(Instance, "prep_nics")
def prepare(original: Original, instance: Instance, nic_spec: list[dict[str, Moto]], **kwargs: Moto) -> None:
    """Let the primary interface that a launch makes die with the instance, and an existing one live on."""
    asked = {int(spec.get("DeviceIndex") or 0): spec for spec in nic_spec or []}
    for index, spec in asked.items():
        spec["DeviceIndex"] = index
    original(instance, nic_spec, **kwargs)
    for index, nic in instance.nics.items():
        spec = asked.get(index, {})
        default = index == 0 and "NetworkInterfaceId" not in spec
        nic.delete_on_termination = _is(spec.get("DeleteOnTermination", default))
