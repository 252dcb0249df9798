"""The ways in: every handler is a Lambda of its own and a few lines into Mooring.

`on_event` has no event source here. A Chalice decorator gives a function exactly one, and this one has many: EC2, Spot,
Auto Scaling, Parameter Store and the minute's schedule. They are added in .chalice/resources.yaml, the schedule among
them, so that every minute's tick keeps the function that a failover needs first warm.
"""

from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

from chalice.app import Chalice, ConvertToMiddleware, IAMAuthorizer, Response

from chalicelib import api
from chalicelib.aws import telemetry
from chalicelib.bootstrap import deployed
from chalicelib.controller.ingest import ingest
from chalicelib.controller.worker import Worker
from chalicelib.core.messages.event import Ignored

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from chalice.app import Request, SQSEvent

LONGEST = timedelta(seconds=45)
"""How long the worker's run may take, whatever its timeout is."""

RESERVE = timedelta(seconds=12)
"""What a run leaves of the worker's timeout: for a call that hangs at its very end, the report and the answer."""

app = Chalice(app_name="mooring", configure_logs=False)
edge = deployed()
worker = Worker(edge)
app.register_middleware(
    ConvertToMiddleware(telemetry.logger.inject_lambda_context(clear_state=True, log_event=False))
)
iam = IAMAuthorizer()


@app.lambda_function(name="on_event")
def on_event(event: object, context: Any) -> dict[str, Any]:  # noqa: ANN401 - Lambda's own context
    """Pass an event on to the topologies it concerns; what an event says is never acted on."""
    account = context.invoked_function_arn.split(":")[4]
    try:
        names = ingest(event, edge, account, edge.region)
    except Ignored as reason:
        telemetry.ignored("event ignored", str(reason))
        return {"woken": []}
    return {"woken": names}


@app.on_sqs_message(queue="mooring-reconcile.fifo", batch_size=1, name="reconcile")
def reconcile(event: SQSEvent) -> dict[str, Any]:
    """Reconcile the topologies whose messages arrived, one after the other."""
    context: Any = event.context
    left = timedelta(milliseconds=context.get_remaining_time_in_millis()) - RESERVE
    deadline = datetime.now(UTC) + min(LONGEST, left)
    failed = worker.handle_batch(event.to_dict()["Records"], deadline)
    return {"batchItemFailures": [{"itemIdentifier": message_id} for message_id in failed]}


@app.route("/topologies", methods=["GET"], authorizer=iam)
def topologies() -> Response:
    """List the declared topologies."""
    return _answer(lambda _: api.list_topologies(edge))


@app.route("/topologies/{name}", methods=["GET"], authorizer=iam)
def topology(name: str) -> Response:
    """Look now: verdict, router, drift, advice, and the last run."""
    return _answer(lambda caller: api.show(edge, caller, name))


@app.route("/topologies/{name}/plan", methods=["GET"], authorizer=iam)
def plan(name: str) -> Response:
    """Return what a run would do."""
    return _answer(lambda caller: api.plan(edge, caller, name))


@app.route("/topologies/{name}/reconcile", methods=["POST"], authorizer=iam)
def ask_reconcile(name: str) -> Response:
    """Ask for a run."""
    return _answer(lambda caller: api.reconcile(edge, caller, name, _body()))


@app.route("/topologies/{name}/switchover", methods=["POST"], authorizer=iam)
def switchover(name: str) -> Response:
    """Ask for another router."""
    return _answer(lambda caller: api.switchover(edge, caller, name, _body()))


@app.route("/topologies/{name}/push", methods=["POST"], authorizer=iam)
def push(name: str) -> Response:
    """Ask for the routers' configuration to be pushed now."""
    return _answer(lambda caller: api.push(edge, caller, name, _body()))


@app.route("/topologies/{name}/confirm", methods=["POST"], authorizer=iam)
def confirm(name: str) -> Response:
    """Keep what was pushed on condition."""
    return _answer(lambda caller: api.confirm(edge, caller, name, _body()))


@app.route("/topologies/{name}/pause", methods=["POST"], authorizer=iam)
def pause(name: str) -> Response:
    """Look and do not touch, for a while."""
    return _answer(lambda caller: api.pause(edge, caller, name, _body()))


@app.route("/topologies/{name}/resume", methods=["POST"], authorizer=iam)
def resume(name: str) -> Response:
    """End a pause."""
    return _answer(lambda caller: api.resume(edge, caller, name, _body()))


@app.route("/topologies/{name}/history", methods=["GET"], authorizer=iam)
def history(name: str) -> Response:
    """Return the latest runs that decided something."""
    query: Mapping[str, str] = _request().query_params or {}
    return _answer(lambda _: api.history(edge, name, query))


@app.route("/requests/{request_id}", methods=["GET"], authorizer=iam)
def request(request_id: str) -> Response:
    """Return how far a request has come."""
    return _answer(lambda _: api.request(edge, request_id))


@app.middleware("http")
def problems(event: Any, get_response: Callable[[Any], Response]) -> Response:  # noqa: ANN401 - Chalice's request
    """Word Chalice's own refusals, such as of a method or a content type, as all others are."""
    if event.path not in app.routes:  # Chalice would make it one
        return _respond(404, api.problem("UnknownRoute", "there is nothing here", "see docs/openapi.yaml"))
    response = get_response(event)
    if isinstance(response.body, dict):
        said = response.body["Message"]
        response.body = json.dumps(api.problem(response.body["Code"], said, "see docs/openapi.yaml"))
        response.headers["Content-Type"] = "application/json"
    return response


def _request() -> Request:
    if app.current_request is None:
        raise RuntimeError("a route is being served without a request")
    return app.current_request


def _body() -> bytes:
    raw = _request().raw_body
    return raw.encode() if isinstance(raw, str) else bytes(raw)


def _answer(serve: Callable[[str], api.Answer]) -> Response:
    """Serve a request for an IAM identity; one that nobody signed is not served, however the API is set up."""
    caller = _request().context.get("identity", {}).get("userArn")
    if not caller:
        return _respond(403, api.problem("Unsigned", "the request is not signed", "sign it with SigV4"))
    return _respond(*api.reply(lambda: serve(caller), telemetry))


def _respond(status: int, body: dict[str, Any]) -> Response:
    return Response(json.dumps(body), status_code=status, headers={"Content-Type": "application/json"})
