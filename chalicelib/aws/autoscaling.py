"""Auto Scaling: lets a terminating instance go once nothing leads to it any more."""

from __future__ import annotations

from typing import TYPE_CHECKING

from chalicelib.aws.errors import AwsError, code_of, message_of
from chalicelib.core.errors import ApplyError

if TYPE_CHECKING:
    from mypy_boto3_autoscaling import AutoScalingClient

    from chalicelib.core.network.notice import Hook


class ScalingGroups:
    """Completes lifecycle hooks; implements `ports.Groups`."""

    def __init__(self, autoscaling: AutoScalingClient) -> None:
        self._autoscaling = autoscaling

    def complete(self, hook: Hook, instance_id: str) -> None:
        """Let a terminating instance go on; AWS answers ValidationError when its hook is over, which is no error.

        Raises:
            ApplyError: AWS refused or did not answer.
        """
        try:
            self._autoscaling.complete_lifecycle_action(
                AutoScalingGroupName=hook.group,
                LifecycleHookName=hook.name,
                LifecycleActionToken=hook.token,
                LifecycleActionResult="CONTINUE",
                InstanceId=instance_id,
            )
        except AwsError as error:
            if code_of(error) == "ValidationError":
                return
            raise ApplyError(
                f"autoscaling:CompleteLifecycleAction for {instance_id} failed: {code_of(error)}: {message_of(error)}",
                hint="the hook's own timeout lets it go",
                aws_code=code_of(error),
            ) from error
