"""What the controller needs of the outside: every port once, as the controller asks for it.

`Ports` is what one run takes; the worker, the API and command line, and what events come in by take more. Whoever
implements them makes each object when it is first asked for: a run that needs no Auto Scaling makes no client for it.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Protocol

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Mapping, Sequence
    from concurrent.futures import Executor
    from datetime import datetime

    from chalicelib.core.declaration import Kept
    from chalicelib.core.machines.certificate import CertificateRecord
    from chalicelib.core.machines.machine import Agent, Invocation
    from chalicelib.core.messages.concern import Whereabouts
    from chalicelib.core.messages.message import Message
    from chalicelib.core.network.change import NetworkChange, PushConfig
    from chalicelib.core.network.history import History
    from chalicelib.core.network.notice import Hook
    from chalicelib.core.network.observation import Instance, Observation
    from chalicelib.core.network.report import Failure, Report
    from chalicelib.core.network.topology import Topology

LOOK_SECONDS = 20.0
"""How long a look may take at most: four tries of a reading that EC2 throttles, and one that hangs."""


class Clock(Protocol):
    """Time, so that tests need none."""

    def now(self) -> datetime:
        """Return the time in UTC."""
        ...

    def sleep(self, seconds: float) -> None:
        """Wait."""
        ...


class Network(Protocol):
    """The VPC: looked at whole, changed one thing at a time."""

    def observe(self, topology: Topology, seconds: float = LOOK_SECONDS) -> Observation:
        """Take one snapshot within a time.

        Raises:
            ObservationError: when instances, route tables or addresses could not be read whole within `seconds`. Any other
                reading that failed is named in `Observation.unread`.
        """
        ...

    def instance(self, instance_id: str, seconds: float = LOOK_SECONDS) -> Instance | None:
        """Look for one instance by its id, wherever it is and if it has ended; None when EC2 knows none of that id.

        Raises:
            ObservationError: EC2 did not answer within `seconds`.
        """
        ...

    def apply(self, changes: Sequence[NetworkChange], seconds: float) -> Sequence[Failure | None]:
        """Attempt every change, the first ones first; return one failure, or None for done, per change.

        Never raises for a change that AWS refuses. What could not be attempted within `seconds` is a failure.
        """
        ...


class Locator(Protocol):
    """Where AWS's resources live."""

    def locate(self, mentioned: Collection[str]) -> Mapping[str, Whereabouts]:
        """Find instances, interfaces, route tables and public addresses, with one call for each kind that is mentioned.

        What AWS knows none of is left out.

        Raises:
            ObservationError: AWS did not answer.
        """
        ...


class Machines(Protocol):
    """The candidates' operating systems, as far as Systems Manager reaches them."""

    @property
    def commands(self) -> bool:
        """Whether this process may send commands: only the deployed worker knows the documents that are ours."""
        ...

    def agents(self, topology: Topology) -> dict[str, Agent]:
        """Read which candidates' SSM agents are known, and online.

        Raises:
            ObservationError: Systems Manager did not answer.
        """
        ...

    def certificate(self, topology: Topology) -> CertificateRecord | None:
        """Read what may be known of the secrets that are stored, without reading them; None when none are.

        Raises:
            ObservationError: Systems Manager did not answer, or what is stored is no record of ours.
        """
        ...

    def answer(self, command_id: str, instance_id: str) -> Invocation | None:
        """Read what became of a command on a machine; None while Systems Manager knows no such invocation.

        Raises:
            ObservationError: Systems Manager did not answer.
        """
        ...

    def push(self, topology: Topology, change: PushConfig) -> str:
        """Store a configuration and have a machine take it; return the command's id, and do not wait.

        Raises:
            PushError: it could not be stored or sent.
        """
        ...

    def inspect(self, instance_ids: Sequence[str]) -> str:
        """Ask machines how they stand; return the one command's id, and do not wait.

        Raises:
            PushError: it could not be sent.
        """
        ...

    def confirm(self, instance_id: str, digest: str) -> str:
        """Have a machine keep its provisional configuration; return the command's id, and do not wait.

        Raises:
            PushError: it could not be sent.
        """
        ...


class Groups(Protocol):
    """Auto Scaling, as far as it waits for us."""

    def complete(self, hook: Hook, instance_id: str) -> None:
        """Let a terminating instance go on; one that is gone already is no error.

        Raises:
            ApplyError: AWS refused or did not answer.
        """
        ...


class Amendable(Protocol):
    """A history that anybody may add to."""

    def amend(self, name: str, change: Callable[[History], History]) -> History:
        """Change a topology's history, whatever others write meanwhile.

        Raises:
            ObservationError: it could not be read.
            ApplyError: it could not be written.
        """
        ...


class Journal(Amendable, Protocol):
    """What is remembered between runs."""

    def read(self, name: str) -> History:
        """Read a topology's history; one never seen has an empty one.

        Raises:
            ObservationError: it could not be read.
        """
        ...

    def decide(self, name: str, before: History, after: History, decision: Report) -> None:
        """Write a decision down before its first change.

        Raises:
            ObservationError: `before` is no longer the latest: another run has decided since.
            ApplyError: it could not be written.
        """
        ...

    def close(self, name: str, report: Report) -> None:
        """Write down what became of a decision.

        Raises:
            ApplyError: it could not be written.
        """
        ...


class OperatorJournal(Journal, Protocol):
    """The journal with what operators and the worker read and write beside decisions."""

    def answer(self, request_id: str, name: str, state: str, report: Report | None = None) -> None:
        """Note how far a request has come: queued, running or done.

        Raises:
            ApplyError: it could not be written.
        """
        ...

    def answered(self, request_id: str) -> dict[str, Any] | None:
        """Read how far a request has come; None when none of that id is known.

        Raises:
            ObservationError: it could not be read.
        """
        ...

    def keep(self, name: str, kept: Kept) -> None:
        """Keep a valid declaration for the day when none can be read.

        Raises:
            ApplyError: it could not be written.
        """
        ...

    def kept(self, name: str) -> Kept | None:
        """Read the declaration that was kept last; None when none was.

        Raises:
            ObservationError: it could not be read.
        """
        ...

    def timeline(self, name: str, limit: int) -> list[dict[str, Any]]:
        """Read the latest runs that decided something, the newest first.

        Raises:
            ObservationError: they could not be read.
        """
        ...


class Topologies(Protocol):
    """What is declared."""

    def names(self) -> Sequence[str]:
        """List the declared names.

        Raises:
            ObservationError: they could not be read.
        """
        ...

    def read(self, name: str) -> Topology:
        """Read one topology.

        Raises:
            UnknownTopology: none of that name is declared.
            TopologyError: what is stored is not valid.
            ObservationError: it could not be read.
        """
        ...

    def document(self, name: str) -> bytes | None:
        """Read one topology as it was written; None when it is not declared.

        Raises:
            ObservationError: it could not be read.
        """
        ...

    def known(self, *, fresh: bool = False) -> Mapping[str, Topology | None]:
        """Return every declared topology, None for one that is not valid; read at most a minute ago unless `fresh`.

        Raises:
            ObservationError: they could not be read.
        """
        ...

    def forget(self) -> None:
        """Read anew when asked next, however lately it was read."""
        ...


class Queue(Protocol):
    """The way to the worker, and back to the queue."""

    def send(self, messages: Sequence[Message], once: str | None = None) -> None:
        """Put every message on the queue, each in its topology's group; of the same `once`, one for each topology.

        Raises:
            ApplyError: some could not be sent.
        """
        ...

    def postpone(self, receipt: str) -> None:
        """Have a message come again in a moment.

        Raises:
            ApplyError: it comes again when the queue's own time is over.
        """
        ...


class Telemetry(Protocol):
    """What the outside hears."""

    def run(self, report: Report, triggered_at: datetime) -> None:
        """Log a run, and emit its metrics."""
        ...

    def ignored(self, what: str, reason: str) -> None:
        """Log that something asks for nothing, and why."""
        ...

    def failed(self, what: str, error: Exception) -> None:
        """Log what went wrong."""
        ...


class Ports(Protocol):
    """What one run takes."""

    @property
    def network(self) -> Network: ...  # noqa: D102 - the port's own docstring says what it is

    @property
    def journal(self) -> Journal: ...  # noqa: D102

    @property
    def clock(self) -> Clock: ...  # noqa: D102

    @property
    def machines(self) -> Machines: ...  # noqa: D102

    @property
    def executor(self) -> Executor:
        """Runs what may run at the same time; one that runs it at once, in place, makes a run deterministic."""
        ...


class OperatorPorts(Ports, Protocol):
    """What the API and the command line take: a run's ports, what is declared, and the way to the worker."""

    @property
    def journal(self) -> OperatorJournal: ...  # noqa: D102

    @property
    def topologies(self) -> Topologies: ...  # noqa: D102

    @property
    def queue(self) -> Queue: ...  # noqa: D102


class WorkerPorts(OperatorPorts, Protocol):
    """What the worker takes."""

    @property
    def groups(self) -> Groups: ...  # noqa: D102

    @property
    def telemetry(self) -> Telemetry: ...  # noqa: D102


class IngestPorts(Protocol):
    """What an event takes on its way to the worker."""

    @property
    def topologies(self) -> Topologies: ...  # noqa: D102

    @property
    def network(self) -> Locator: ...  # noqa: D102

    @property
    def queue(self) -> Queue: ...  # noqa: D102

    @property
    def clock(self) -> Clock: ...  # noqa: D102
