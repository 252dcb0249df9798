"""The messages on the queue: who should look and why, what an operator asks for, and AWS's word on an instance."""

from __future__ import annotations

import json
import re
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any

from chalicelib.core.fields import INSTANCE, LINE, NAME, UUID, matched, moment
from chalicelib.core.network.notice import Notice, read_notice
from chalicelib.core.request import Request

if TYPE_CHECKING:
    from datetime import datetime

_DIGEST = re.compile(r"[0-9a-f]{32}")


@dataclass(frozen=True, slots=True)
class Message:
    """One message on the queue: whose run is wanted, when its cause happened (UTC), and what is asked of the run.

    `request_id` lets the one who asked find the report; `notice` is AWS's word on an instance, to be noted first.
    """

    topology: str
    at: datetime
    request: Request
    request_id: str | None = None
    notice: Notice | None = None

    def dumps(self) -> str:
        """Write it as JSON."""
        asked = self.request
        order = {"kind": asked.action, "to": asked.to, "confirm_within": asked.confirm_within}
        notice = self.notice and asdict(self.notice) | {"at": self.notice.at.isoformat()}
        return json.dumps(
            {
                "topology": self.topology,
                "woken_by": asked.woken_by,
                "at": self.at.isoformat(),
                "to": asked.next_router,
                "force": asked.force,
                "request_id": self.request_id,
                "notice": notice,
                "agreed": asked.agreed,
                "order": order if asked.for_machines else None,
            }
        )


def loads(body: str) -> Message:
    """Read a message back; one of another version may have fields more or less.

    Raises:
        ValueError: it is none of ours; says why, and quotes nothing of it.
    """
    try:
        raw = json.loads(body)
        return Message(
            topology=matched(raw["topology"], NAME),
            at=moment(raw["at"]),
            request=_request(raw),
            request_id=raw.get("request_id") and matched(raw["request_id"], UUID),
            notice=raw.get("notice") and read_notice(raw["notice"]),
        )
    except (AttributeError, KeyError, TypeError, ValueError, RecursionError) as error:
        raise ValueError(f"no message of Mooring's ({type(error).__name__})") from None


def _request(raw: dict[str, Any]) -> Request:
    order = raw.get("order")
    to = (order or raw).get("to")
    within = order.get("confirm_within") if order else None
    if (order and order["kind"] not in ("push", "confirm")) or not (
        within is None or isinstance(within, int)
    ):
        raise ValueError
    return Request(
        woken_by=matched(raw["woken_by"], LINE),
        action=order["kind"] if order else "switchover" if to else "reconcile",
        to=to and matched(to, INSTANCE),
        force=raw.get("force") is True,
        agreed=None if raw.get("agreed") is None else matched(raw["agreed"], _DIGEST),
        confirm_within=within,
    )
