"""The one path: observe, elect, plan, guard, apply, verify, report. Core and edge meet only here."""
