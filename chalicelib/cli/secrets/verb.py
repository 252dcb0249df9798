"""The verbs that keep the tunnel's secrets: judge and store them, and look how they stand. Neither ever shows one."""

from collections.abc import Iterator, Mapping
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Annotated

import typer
from rich.text import Text

from chalicelib.cli.errors import UnfitSecrets, UsageError
from chalicelib.cli.files import read
from chalicelib.cli.named import declared
from chalicelib.cli.office.verb import tunnel_of
from chalicelib.cli.options import Name, verb
from chalicelib.cli.shell import Shell
from chalicelib.cli.terminal import line
from chalicelib.core.machines.certificate import PARTS, RENEW_WITHIN, CertificateRecord, Part, StoredSecret
from chalicelib.core.network.topology import Topology, Tunnel

if TYPE_CHECKING:
    from chalicelib.cli.secrets.identity import Identity  # OpenSSL takes longer to load than --help may

app = typer.Typer(
    name="secrets",
    help="Keep the tunnel's secrets: certificate, keys and CA.",
    no_args_is_help=True,
    rich_markup_mode=None,
)

_HELP = "in PEM, or a profile that holds it; - is standard input."


def put(  # noqa: PLR0913 - a parameter for each option
    shell: Shell,
    name: Name = None,
    *,
    ca: Annotated[
        str, typer.Option(metavar="FILE", help=f"The CA's certificate, {_HELP}", show_default=False)
    ],
    cert: Annotated[str, typer.Option(metavar="FILE", help="The router's certificate.", show_default=False)],
    key: Annotated[
        str, typer.Option(metavar="FILE", help="Its private key, not encrypted.", show_default=False)
    ],
    tls_crypt: Annotated[
        str, typer.Option(metavar="FILE", help="The server's TLS key (tls-crypt).", show_default=False)
    ],
    kms_key: Annotated[
        str | None,
        typer.Option(
            metavar="ID",
            help="A KMS key of your own; without it each keeps the key it has.",
            show_default=False,
        ),
    ] = None,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Judge the files, and stop.")] = False,
) -> int:
    """Judge the secrets of a tunnel together and store them, all four or none.

    What is stored already is not written anew. Shows no secret. Exit status: 0 they are stored (or would be), 1 they are not.
    """
    files: dict[Part, str] = {"ca": ca, "cert": cert, "key": key, "tls-crypt": tls_crypt}
    if [*files.values()].count("-") > 1:
        raise UsageError(
            "only one file can be standard input", hint="a profile may be named four times by its name"
        )
    topology = declared(shell.edge, name)
    tunnel = tunnel_of(topology)
    names: dict[Part, str] = {part: f"--{part} {file}" for part, file in files.items()}
    identity = _judge({part: read(file) for part, file in files.items()}, names, tunnel)
    record = identity.record(dict.fromkeys(PARTS, 0))
    shell.say(_certificate(topology, identity, record))
    answer = {"name": topology.name, "certificate": _document(identity, record)}
    if dry_run:
        shell.show([line("dry run: nothing was stored")], answer | {"secrets": {}, "changed": []})
        return 0
    done = shell.edge.secrets.store(topology.name, identity.texts, identity.record, kms_key)
    shell.show(
        _stored(done.stored, done.written),
        answer | {"secrets": _secrets(done.stored), "changed": list(done.written)},
    )
    return 0


def check(shell: Shell, name: Name = None) -> int:
    """Look whether a router could connect with what is stored, and for how long.

    Needs the right to decrypt. Shows no secret. Exit status: 0 all is well, 2 something is missing, unfit or ends within
    30 days, 1 it could not be seen.
    """
    topology = declared(shell.edge, name)
    tunnel = tunnel_of(topology)
    secrets = shell.edge.secrets
    stored, record = secrets.read(topology.name), secrets.record(topology.name)
    problems = [f"{part} is not stored" for part in PARTS if part not in stored]
    identity: Identity | None = None
    if not problems:
        try:
            texts = {part: one.value.encode() for part, one in stored.items()}
            identity = _judge(texts, {part: part for part in PARTS}, tunnel)
        except UnfitSecrets as error:
            problems += error.problems
    if identity is not None:
        problems += _lasting(identity, stored, record)
    shown = identity.record({part: one.version for part, one in stored.items()}) if identity else None
    shell.say(_certificate(topology, identity, shown) if identity and shown else ())
    shell.say(_stored(stored))
    shell.show(
        [line(("problem   ", "bold red"), one) for one in problems]
        or [line(f"{topology.name} is ready to connect")],
        {
            "name": topology.name,
            "certificate": _document(identity, shown) if identity and shown else None,
            "secrets": _secrets(stored),
            "problems": problems,
        },
    )
    return 2 if problems else 0


for _verb in (put, check):
    app.command()(verb(_verb))


def _judge(files: Mapping[Part, bytes], names: Mapping[Part, str], tunnel: Tunnel) -> "Identity":
    from chalicelib.cli.secrets.identity import judge  # noqa: PLC0415 - OpenSSL takes longer to load than --help may

    return judge(files, names, tunnel, datetime.now(UTC))


def _lasting(
    identity: "Identity", stored: Mapping[Part, StoredSecret], record: CertificateRecord | None
) -> Iterator[str]:
    now = datetime.now(UTC)
    actual = identity.record({part: one.version for part, one in stored.items()})
    if record != actual:
        yield "the record of the certificate is missing or older than the secrets: run mooring secrets put again"
    if actual.wants_renewal(now):
        who = "its CA" if actual.ca_expires <= actual.expires else "the certificate"
        yield f"{who} ends in {actual.days_left(now)} days, fewer than {RENEW_WITHIN.days}: renew it now"


def _certificate(topology: Topology, identity: "Identity", record: CertificateRecord) -> Iterator[Text]:
    now = datetime.now(UTC)
    soon = ": renew it now" if record.wants_renewal(now) else ""
    yield line(
        f"{topology.name}: {identity.common_name}, signed by {identity.issuer}, "
        f"valid until {identity.expires:%Y-%m-%d} ({record.days_left(now)} days{soon})"
    )
    if identity.ca_expires < identity.expires:
        yield line(f"its CA ends before it, on {identity.ca_expires:%Y-%m-%d}")


def _stored(stored: Mapping[Part, StoredSecret], written: tuple[Part, ...] | None = None) -> Iterator[Text]:
    """Tell how each is stored, and of a storing whether it was written."""
    for part in PARTS:
        one = stored.get(part)
        if one is None:
            yield line(f"  {part:<10} not stored")
            continue
        note = "" if written is None else "written" if part in written else "unchanged"
        advanced = "advanced tier, which costs money" if one.tier == "Advanced" else ""
        parts = (f"version {one.version}", f"key {one.key_id}", advanced, note)
        yield line(f"  {part:<10} {', '.join(filter(None, parts))}")


def _document(identity: "Identity", record: CertificateRecord) -> dict[str, object]:
    return {
        "common_name": record.common_name,
        "issuer": identity.issuer,
        "expires": record.expires.isoformat(),
        "ca_expires": record.ca_expires.isoformat(),
        "days_left": record.days_left(datetime.now(UTC)),
        "fingerprint": record.fingerprint,
    }


def _secrets(stored: Mapping[Part, StoredSecret]) -> dict[str, object]:
    return {
        part: {"version": one.version, "kms_key": one.key_id, "tier": one.tier}
        for part, one in stored.items()
    }
