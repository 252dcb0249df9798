"""`make demo`: tells the story on an embedded AWS, or with `--packets` in network namespaces."""

from __future__ import annotations

import argparse
import sys

from chalicelib.cli.render import error_lines
from chalicelib.cli.terminal import Terminal
from chalicelib.core.errors import ControllerError
from tests.apart import apart


def main(arguments: list[str] | None = None) -> int:
    """Tell the story; the exit status is 0 where its judge agreed with every step, 1 where it did not."""
    parser = argparse.ArgumentParser(
        prog="python -m tools.demo", description="Tell one router's life on an embedded AWS."
    )
    parser.add_argument(
        "--packets",
        action="store_true",
        help="in network namespaces, with real OpenVPN and real packets: pings judge every step",
    )
    wanted, console = parser.parse_args(arguments), Terminal()
    try:
        with apart():
            from tools.demo import teller  # noqa: PLC0415 - moto asks for the user's profile when imported

            agreed = teller.run_packets(console) if wanted.packets else teller.run(console)
    except ControllerError as error:
        Terminal(stderr=True).say(*error_lines(error))
        return 1
    return 0 if agreed else 1


if __name__ == "__main__":
    sys.exit(main())
