"""The one path: observe, elect, plan, guard, apply, verify, report. Core and edge meet only here."""

from chalicelib.controller.look import Look, Request, look
from chalicelib.controller.ports import Clock, Journal, Network, Ports
from chalicelib.controller.reconcile import VERIFY_PAUSES, preview, reconcile

__all__ = [
    "VERIFY_PAUSES",
    "Clock",
    "Journal",
    "Look",
    "Network",
    "Ports",
    "Request",
    "look",
    "preview",
    "reconcile",
]
