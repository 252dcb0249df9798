"""Routers with a real operating system: Debian's systemd as PID 1, pushed to as Systems Manager's agent would."""
