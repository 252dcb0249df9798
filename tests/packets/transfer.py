"""TCP through the lab: a transfer between two hosts, by sockets opened in their namespaces."""

from __future__ import annotations

import socket
import threading
import time

from tests.packets import net

PORT = 5001
MEGABYTES = 10


def transfer(source: str, destination: str, address: str, patience: float = 30) -> float | None:
    """Send 10 MB from one namespace to an address in another; give the seconds, or None when it does not complete."""
    size = MEGABYTES * 1_000_000
    server = net.within(destination, lambda: socket.create_server(("", PORT)))
    received = 0
    server.settimeout(patience)

    def take() -> None:
        nonlocal received
        try:
            connection, _ = server.accept()
            with connection:
                connection.settimeout(patience)
                while received < size and (part := connection.recv(1 << 16)):
                    received += len(part)
        except TimeoutError:
            return

    taker = threading.Thread(target=take)
    taker.start()
    began = time.monotonic()
    try:
        with net.within(
            source, lambda: socket.create_connection((address, PORT), timeout=patience)
        ) as client:
            client.sendall(bytes(size))
            client.shutdown(socket.SHUT_WR)
            taker.join()
    except TimeoutError:
        return None
    finally:
        server.close()
        taker.join()
    return time.monotonic() - began if received == size else None
