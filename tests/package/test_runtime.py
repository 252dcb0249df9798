"""The local Lambda is like Lambda: what a function sees, how it starts, ends, fails and is watched."""

from __future__ import annotations

import os
import threading
from dataclasses import replace
from typing import TYPE_CHECKING

import pytest

from tests.package.runtime import Environment, Function, InitError, Settings, freeze, managed

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

TASK = """
import json, os, sys, time

def handler(event, context):
    match event:
        case "variables": return dict(os.environ)
        case "imports": return {name: __import__(name).__file__ for name in ("app", "boto3", "awslambdaric")}
        case "moto": import moto
        case "fail": raise LookupError("not here")
        case "exit": os._exit(3)
        case "sleep": time.sleep(60)
        case "left": return context.get_remaining_time_in_millis()
        case "who": return context.invoked_function_arn
        case "write": open("mine", "w")
        case "pid": return os.getpid()
        case "meet":
            open(os.environ["MEETING"] + str(os.getpid()), "w").close()
            while len(os.listdir(os.path.dirname(os.environ["MEETING"]))) < 2: time.sleep(0.01)
        case {"say": line}: print(line)
    return event
"""

EMBEDDED = (
    '{"_aws": {"Timestamp": 1, "CloudWatchMetrics": [{"Namespace": "N", "Dimensions": [["a"], ["a", "b"]],'
    ' "Metrics": [{"Name": "M"}, {"Name": "L"}]}]}, "a": "x", "b": "y", "M": 2, "L": [3, 4]}'
)


@pytest.fixture(scope="module")
def settings(tmp_path_factory: pytest.TempPathFactory) -> Settings:
    """A small function."""
    folder = tmp_path_factory.mktemp("lambda")
    task = folder / "task"
    task.mkdir()
    (task / "app.py").write_text(TASK)
    return Settings(
        "small",
        "app.handler",
        freeze(task),
        managed(folder / "runtime"),
        timeout=10.0,
        variables={"MINE": "1"},
    )


@pytest.fixture(scope="module")
def environment(settings: Settings) -> Iterator[Environment]:
    """A warm environment of it."""
    environment = Environment(settings)
    yield environment
    environment.close()


def test_function_sees_its_package_and_what_lambda_brings_and_nothing_else(
    environment: Environment, settings: Settings
) -> None:
    """What only this machine has must be missing here, as it would be in Lambda."""
    found = environment.invoke("imports").payload
    assert found["app"] == str(settings.task / "app.py")
    assert found["boto3"].startswith(str(settings.runtime))
    assert environment.invoke("moto").payload["errorType"] == "ModuleNotFoundError"


def test_function_has_lambdas_variables_and_its_own_and_no_others(
    settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Nothing of the test's own environment may reach a function."""
    monkeypatch.setenv("CANARY", "sings")
    environment = Environment(settings)
    variables = environment.invoke("variables").payload
    environment.close()
    assert "CANARY" not in variables
    assert (variables["MINE"], variables["_HANDLER"]) == ("1", "app.handler")
    assert variables["AWS_LAMBDA_FUNCTION_NAME"] == "small"


def test_function_may_not_write_where_its_code_is(environment: Environment, settings: Settings) -> None:
    """The task directory is read-only, save for root, whom no mode stops; and no bytecode is written."""
    if os.geteuid():
        assert environment.invoke("write").payload["errorType"] == "PermissionError"
    assert [path.name for path in settings.task.iterdir()] == ["app.py"]


def test_context_tells_the_function_and_the_time_that_is_left(
    environment: Environment, settings: Settings
) -> None:
    """The deadline is the configured timeout."""
    assert environment.invoke("who").payload == settings.arn
    assert 9_000 < environment.invoke("left").payload <= 10_000


def test_exception_is_an_error_with_its_type_and_the_environment_lives(environment: Environment) -> None:
    """A function error is not a crash."""
    failed = environment.invoke("fail")
    assert (failed.ok, failed.payload["errorType"], failed.payload["errorMessage"]) == (
        False,
        "LookupError",
        "not here",
    )
    assert environment.invoke({"k": 1}).payload == {"k": 1}


def test_lines_belong_to_the_event_during_which_they_were_written(environment: Environment) -> None:
    """What one event logs is not taken for another's."""
    assert environment.invoke({"say": "one"}).log == ("one",)
    assert environment.invoke({"say": "two"}).log == ("two",)
    assert environment.invoke("quiet").log == ()


def test_embedded_metrics_are_read_in_every_dimension_set(environment: Environment) -> None:
    """CloudWatch makes one metric of each dimension set, and one datum of each value."""
    found = environment.invoke({"say": EMBEDDED}).metrics
    assert [(m.name, m.value, dict(m.dimensions)) for m in found] == [
        *(("M", 2.0, {"a": "x"}), ("L", 3.0, {"a": "x"}), ("L", 4.0, {"a": "x"})),
        *(
            ("M", 2.0, {"a": "x", "b": "y"}),
            ("L", 3.0, {"a": "x", "b": "y"}),
            ("L", 4.0, {"a": "x", "b": "y"}),
        ),
    ]


def test_start_and_memory_are_measured(environment: Environment) -> None:
    """The benchmark leans on these: the times of a start, and a peak that no smaller process could have."""
    assert 0 < environment.init_cpu_seconds <= environment.init_seconds * 2
    assert 5 < environment.peak_mib < 100


def test_handler_that_cannot_be_loaded_is_an_error_of_the_start(settings: Settings) -> None:
    """A function that does not start answers with the reason, each time it is asked."""
    with pytest.raises(InitError, match="Handler 'nobody' missing"):
        Environment(replace(settings, handler="app.nobody"))
    function = Function(replace(settings, handler="nowhere.handler"))
    for _ in range(2):
        assert function.invoke("hello").payload["errorType"] == "Runtime.ImportModuleError"
    assert function.opened == []


def test_missed_deadline_ends_the_environment_and_the_next_event_gets_another(settings: Settings) -> None:
    """Lambda kills what runs longer than its timeout."""
    function = Function(replace(settings, timeout=0.3))
    late = function.invoke("sleep")
    assert (late.ok, late.payload["errorType"]) == (False, "Sandbox.Timedout")
    assert 0.3 <= late.seconds < 3
    assert not function.opened[0].alive
    assert function.invoke("hello").payload == "hello"
    assert len(function.opened) == 2
    function.close()


@pytest.mark.parametrize("way", ["exit", "kill"])
def test_death_in_mid_run_is_an_error_and_the_next_event_gets_another_environment(
    settings: Settings, way: str
) -> None:
    """A process that ends without an answer, by itself or by a hand, is told apart from a function error."""
    function = Function(settings)
    function.invoke("hello")
    killer = threading.Timer(0.2, function.kill if way == "kill" else lambda: None)
    killer.start()
    died = function.invoke("sleep" if way == "kill" else "exit")
    killer.join()
    assert (died.ok, died.payload["errorType"]) == (False, "Runtime.ExitError")
    assert ("SIGKILL" if way == "kill" else "exit status 3") in died.payload["errorMessage"]
    assert function.invoke("hello").payload == "hello"
    assert [environment.alive for environment in function.opened] == [False, True]
    function.close()


def test_idle_environment_is_used_again_and_a_busy_one_is_not_waited_for(
    settings: Settings, tmp_path: Path
) -> None:
    """Two events at once need two environments, which then serve whatever comes."""
    function = Function(replace(settings, variables={"MEETING": f"{tmp_path}/"}))
    first = function.invoke("pid").payload
    assert function.invoke("pid").payload == first
    both = [threading.Thread(target=function.invoke, args=("meet",)) for _ in range(2)]
    for thread in both:
        thread.start()
    for thread in both:
        thread.join()
    assert len(function.opened) == 2
    function.invoke("hello")
    assert len(function.opened) == 2
    function.close()


def test_closed_function_leaves_no_process(settings: Settings) -> None:
    """What a test starts ends with it."""
    function = Function(settings)
    pid = function.invoke("pid").payload
    function.close()
    with pytest.raises(ProcessLookupError):
        os.kill(pid, 0)
