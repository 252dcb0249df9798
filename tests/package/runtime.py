"""Lambda on this machine: runs a function of the unzipped package under AWS's own runtime client, `awslambdaric`.

The client asks a local Runtime API for its work, as it does in Lambda (AWS Lambda developer guide, "Using the Lambda
runtime API"). An `Environment` is one process that serves one event at a time; a `Function` opens as many of them as
its callers keep busy, and another for each that died.
"""

from __future__ import annotations

import json
import os
import queue
import signal
import subprocess
import sys
import tempfile
import threading
import time
import uuid
from dataclasses import dataclass, field
from importlib.metadata import distribution
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeAlias

from tests.fake_aws.server import Server
from tests.fake_aws.wire import Reply

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping

MANAGED = (
    "awslambdaric", "simplejson", "snapshot-restore-py",
    "boto3", "botocore", "jmespath", "python-dateutil", "s3transfer", "six", "urllib3",
)  # fmt: skip
"""The distributions that Lambda's own Python runtime brings; a function sees these and its package, nothing else."""

INIT_SECONDS = 60.0
"""How long an environment may take to start; Lambda's ten seconds are not those of a busy laptop."""

_API = "/2018-06-01/runtime"
_TRACE = "Root=1-5bef4de7-ad49b0e87f6ef6c87fc2e700;Parent=9a9197af755a6419;Sampled=0"

# A function's error as Lambda words it: errorType, errorMessage and, from Python, a stack trace.
Problem: TypeAlias = "dict[str, Any]"


@dataclass(frozen=True)
class Settings:
    """What Lambda knows of a function; `task` is the unzipped package, `runtime` what `managed` made."""

    name: str
    handler: str
    task: Path
    runtime: Path
    timeout: float = 60.0
    memory: int = 256
    log_format: str = "Text"
    log_level: str | None = None
    variables: Mapping[str, str] = field(default_factory=dict)
    arn: str = "arn:aws:lambda:eu-west-1:123456789012:function:fn"


@dataclass(frozen=True)
class Metric:
    """One value of one metric, as CloudWatch reads it from a log line in the embedded metric format."""

    name: str
    value: float
    dimensions: Mapping[str, str]


@dataclass(frozen=True)
class Answer:
    """What came of one event: the payload or the problem, how long it took, and what was logged meanwhile."""

    ok: bool
    payload: Any
    seconds: float = 0.0
    log: tuple[str, ...] = ()

    @property
    def records(self) -> list[dict[str, Any]]:
        """The log lines that are JSON objects."""
        return [record for line in self.log if (record := _json_object(line)) is not None]

    @property
    def metrics(self) -> list[Metric]:
        """Every value of every metric in every dimension set (CloudWatch user guide, "Embedded metric format")."""
        return [metric for record in self.records if "_aws" in record for metric in _embedded(record)]


class InitError(Exception):
    """An environment did not come up; carries Lambda's problem."""

    def __init__(self, problem: Problem) -> None:
        super().__init__(problem.get("errorMessage"))
        self.problem = problem


def managed(target: Path) -> Path:
    """Make the directory of what the managed runtime brings, by links into this interpreter's own packages."""
    target.mkdir(parents=True)
    for name in MANAGED:
        installed = distribution(name)
        tops = {path.parts[0] for path in installed.files or ()} - {"..", "__pycache__"}
        for top in tops:
            (target / top).symlink_to(Path(str(installed.locate_file(top))))
    return target


def freeze(task: Path) -> Path:
    """Take the right to write away from a task directory, as Lambda does."""
    for path in (*task.rglob("*"), task):
        path.chmod(0o555 if path.is_dir() else 0o444)
    return task


class Environment:
    """One execution environment, initialised when made.

    Raises:
        InitError: the handler could not be loaded, or not in time.
    """

    def __init__(self, settings: Settings) -> None:
        self.settings = settings
        self._log = tempfile.TemporaryFile()  # noqa: SIM115 - closed with the environment
        self._read, self._up = 0, False
        self._work: queue.SimpleQueue[_Work | None] = queue.SimpleQueue()
        self._said: queue.SimpleQueue[_Said] = queue.SimpleQueue()
        self._api = Server(self._answer)
        self._api.start()
        began = time.perf_counter()
        self._process = subprocess.Popen(  # noqa: S603 - our own interpreter
            [sys.executable, "-S", "-m", "awslambdaric", settings.handler],
            cwd=settings.task,
            env=self._variables(),
            stdin=subprocess.DEVNULL,
            stdout=self._log,
            stderr=self._log,
        )
        threading.Thread(target=self._wait, daemon=True).start()
        said = self._hear(INIT_SECONDS)
        if said.kind != "ready":
            log = self._new_lines()
            self.close()
            raise InitError({**said.payload, "log": log})
        self._up = True
        self.init_seconds = said.at - began
        self.init_cpu_seconds = self._cpu_seconds()
        self.peak_mib = self._peak_mib()

    @property
    def alive(self) -> bool:
        """Whether it can serve another event."""
        return self._process.poll() is None

    def invoke(self, event: object) -> Answer:
        """Serve one event; a death or a missed deadline is a problem, and the end of the environment."""
        work = _Work(str(uuid.uuid4()), event, time.time() + self.settings.timeout)
        began = time.perf_counter()
        self._work.put(work)
        said = self._hear(self.settings.timeout)
        if said.kind == "silence":
            self.kill()
            text = f"RequestId: {work.id} Error: Task timed out after {self.settings.timeout:.2f} seconds"
            said = _Said("problem", {"errorType": "Sandbox.Timedout", "errorMessage": text})
        elif said.kind == "exit":
            text = f"RequestId: {work.id} Error: Runtime exited with error: {said.payload['errorMessage']}"
            said = _Said("problem", {"errorType": "Runtime.ExitError", "errorMessage": text})
        else:
            self.peak_mib = self._peak_mib()
        return Answer(
            said.kind == "response", said.payload, time.perf_counter() - began, tuple(self._new_lines())
        )

    def kill(self) -> None:
        """End it in the middle of whatever it does, as an out-of-memory or a lost host would."""
        self._process.kill()
        self._process.wait()

    def close(self) -> None:
        """End it; harmless when it has ended."""
        self.kill()
        self._work.put(None)
        self._api.stop()
        self._log.close()

    def _variables(self) -> dict[str, str]:
        """Return what Lambda sets (developer guide, "Defined runtime environment variables"), and the function's own.

        PYTHONDONTWRITEBYTECODE has the effect of a read-only task directory for a user whom no mode stops.
        """
        name = self.settings.name
        return {
            "PATH": os.defpath,
            "HOME": str(self.settings.runtime),  # no ~/.aws here
            "LANG": "en_US.UTF-8",
            "TZ": ":UTC",
            "PYTHONPATH": str(self.settings.runtime),
            "PYTHONDONTWRITEBYTECODE": "1",
            "_HANDLER": self.settings.handler,
            "_X_AMZN_TRACE_ID": _TRACE,
            "LAMBDA_TASK_ROOT": str(self.settings.task),
            "LAMBDA_RUNTIME_DIR": str(self.settings.runtime),
            "AWS_LAMBDA_RUNTIME_API": self._api.url.removeprefix("http://"),
            "AWS_LAMBDA_FUNCTION_NAME": name,
            "AWS_LAMBDA_FUNCTION_VERSION": "$LATEST",
            "AWS_LAMBDA_FUNCTION_MEMORY_SIZE": str(self.settings.memory),
            "AWS_LAMBDA_LOG_GROUP_NAME": f"/aws/lambda/{name}",
            "AWS_LAMBDA_LOG_STREAM_NAME": f"2026/01/01/[$LATEST]{uuid.uuid4().hex}",
            "AWS_LAMBDA_LOG_FORMAT": self.settings.log_format,
            "AWS_LAMBDA_INITIALIZATION_TYPE": "on-demand",
            "AWS_EXECUTION_ENV": "AWS_Lambda_python{}.{}".format(*sys.version_info),
            **({"AWS_LAMBDA_LOG_LEVEL": self.settings.log_level} if self.settings.log_level else {}),
            **self.settings.variables,
        }

    def _answer(self, method: str, path: str, headers: Mapping[str, str], body: bytes) -> Reply | None:
        """Be the Runtime API."""
        if (method, path) == ("GET", f"{_API}/invocation/next"):
            self._said.put(_Said("ready", {}))
            work = self._work.get()
            if work is None:
                return None
            return Reply(200, work.headers(self.settings.arn), json.dumps(work.event).encode())
        kind = "response" if path.endswith("/response") else "problem"
        self._said.put(_Said(kind, json.loads(body or b"null")))
        return Reply(202, [("Content-Type", "application/json")], b'{"status":"OK"}')

    def _hear(self, seconds: float) -> _Said:
        """Wait for the next word of the process; "ready" is one only before the first event."""
        deadline = time.perf_counter() + seconds
        while True:
            try:
                said = self._said.get(timeout=max(0.0, deadline - time.perf_counter()))
            except queue.Empty:
                return _Said("silence", {"errorType": "Sandbox.Timedout", "errorMessage": "no word in time"})
            if said.kind != "ready" or not self._up:
                return said

    def _wait(self) -> None:
        code = self._process.wait()
        why = f"signal: {signal.Signals(-code).name}" if code < 0 else f"exit status {code}"
        self._said.put(_Said("exit", {"errorType": "Runtime.ExitError", "errorMessage": why}))

    def _new_lines(self) -> list[str]:
        """Read what was logged since the last reading: the client writes through before it answers."""
        size = os.fstat(self._log.fileno()).st_size
        text = os.pread(self._log.fileno(), size - self._read, self._read).decode(errors="replace")
        self._read = size
        return text.splitlines()

    def _peak_mib(self) -> float:
        return _proc_status(self._process.pid).get("VmHWM", 0) / 1024

    def _cpu_seconds(self) -> float:
        return int(Path(f"/proc/{self._process.pid}/schedstat").read_text().split()[0]) / 1e9


class Function:
    """A Lambda function: as many environments as are busy at once."""

    def __init__(self, settings: Settings) -> None:
        self.settings = settings
        self.opened: list[Environment] = []
        self._idle: list[Environment] = []
        self._lock = threading.Lock()

    def invoke(self, event: object) -> Answer:
        """Serve one event in an idle environment, or in a new one."""
        try:
            environment = self._take()
        except InitError as error:
            return Answer(ok=False, payload=error.problem)
        answer = environment.invoke(event)
        with self._lock:
            self._idle.append(environment)
        return answer

    def kill(self) -> None:
        """End every environment, busy or idle."""
        for environment in self.opened:
            environment.kill()

    @property
    def peak_mib(self) -> float:
        """The most memory that any environment took."""
        return max((environment.peak_mib for environment in self.opened), default=0.0)

    def close(self) -> None:
        """End all environments."""
        for environment in self.opened:
            environment.close()

    def _take(self) -> Environment:
        with self._lock:
            while self._idle:
                if (environment := self._idle.pop()).alive:
                    return environment
        environment = Environment(self.settings)
        with self._lock:
            self.opened.append(environment)
        return environment


@dataclass(frozen=True)
class _Work:
    """One event on its way to the process."""

    id: str
    event: object
    deadline: float

    def headers(self, arn: str) -> list[tuple[str, str]]:
        return [
            ("Content-Type", "application/json"),
            ("Lambda-Runtime-Aws-Request-Id", self.id),
            ("Lambda-Runtime-Deadline-Ms", str(int(self.deadline * 1000))),
            ("Lambda-Runtime-Invoked-Function-Arn", arn),
            ("Lambda-Runtime-Trace-Id", _TRACE),
        ]


@dataclass(frozen=True)
class _Said:
    """One word of the process: ready, response, problem, exit; or silence."""

    kind: str
    payload: Any
    at: float = field(default_factory=time.perf_counter)


def _proc_status(pid: int) -> dict[str, int]:
    """Read the numbers of /proc/PID/status, in KiB where they are sizes; nothing of a process that is gone."""
    try:
        lines = Path(f"/proc/{pid}/status").read_text().splitlines()
    except OSError:
        return {}
    pairs = (line.split(":", 1) for line in lines)
    return {key: int(words[0]) for key, value in pairs if (words := value.split()) and words[0].isdigit()}


def _json_object(line: str) -> dict[str, Any] | None:
    try:
        found = json.loads(line)
    except ValueError:
        return None
    return found if isinstance(found, dict) else None


def _embedded(record: dict[str, Any]) -> Iterator[Metric]:
    for directive in record["_aws"]["CloudWatchMetrics"]:
        for dimensions in directive["Dimensions"]:
            named = {key: str(record[key]) for key in dimensions}
            for metric in directive["Metrics"]:
                yield from _values(metric["Name"], record[metric["Name"]], named)


def _values(name: str, value: float | Iterable[float], dimensions: dict[str, str]) -> Iterator[Metric]:
    values = [value] if isinstance(value, int | float) else value
    return (Metric(name, float(one), dimensions) for one in values)
