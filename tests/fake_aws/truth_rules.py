"""Security group rules as AWS keeps them: each has an id, and an unknown id is said to be so."""

from __future__ import annotations

from typing import TYPE_CHECKING

from moto.ec2.exceptions import InvalidSecurityGroupRuleIdNotFoundError
from moto.ec2.models.security_groups import SecurityGroupBackend

from .patches import truth

if TYPE_CHECKING:
    from moto.ec2.models import EC2Backend

    from .patches import Moto, Original


@truth.around(SecurityGroupBackend, "revoke_security_group_ingress")
def revoke(
    original: Original, backend: EC2Backend, group_name_or_id: str, *rule: Moto, **asked: Moto
) -> Moto:
    """Refuse an unknown rule id with its own error code, not with the one for a rule that is described."""
    group = backend.get_security_group_by_name_or_id(group_name_or_id, asked.get("vpc_id"))
    known = {one.id for one in group.ingress_rules} if group else set()
    for rule_id in asked.get("security_rule_ids") or []:
        if rule_id not in known:
            raise InvalidSecurityGroupRuleIdNotFoundError(rule_id)
    return original(backend, group_name_or_id, *rule, **asked)
