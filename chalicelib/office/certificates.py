"""Judges the certificates that a backup holds: each end refuses the other's when it is not good."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator
    from datetime import datetime

    from chalicelib.office.backup import Backup, Certificate, Entry
    from chalicelib.office.case import Case
    from chalicelib.office.finding import Finding


def certificates(case: Case, backup: Backup, server: Entry, at: datetime) -> Iterator[Finding]:
    """Judge the server's certificate, and the router's where the backup has it."""
    yield from _of_server(case, backup, server, at)
    mine = [c for c in backup.certificates if c.common_name == case.tunnel.common_name]
    judged = [list(_of_router(case, backup, server, certificate, at)) for certificate in mine]
    if judged and all(
        judged
    ):  # one that is good is enough; which of them the router has, the backup does not say
        yield from judged[-1]


def _of_server(case: Case, backup: Backup, server: Entry, at: datetime) -> Iterator[Finding]:
    certificate, tunnel, name = backup.certificate(server.text("certref")), case.tunnel, case.name
    if server.text("mode") == "p2p_shared_key":
        return
    if certificate is None:
        if backup.whole and not server.text("certref"):
            yield case.find(
                "missing", f"{name} has no certificate", "certref", mend=f"choose {tunnel.server_name}"
            )
        return
    if certificate.common_name != tunnel.server_name:
        what = f"{name} has a certificate of another name than {tunnel.server_name}, and the router will refuse it"
        mend = f"choose the one named {tunnel.server_name}, or declare the name of this one as tunnel.server_name"
        yield case.find("wrong", what, "certref", mend=mend)
    if why := _out_of_time(certificate, at):
        what = f"the certificate of {name} {why}, and the router refuses it"
        yield case.find("wrong", what, "certref", mend="renew it: System > Certificates > Certificates")
    if certificate.uses is not None and "server" not in certificate.uses:
        what = f"the certificate of {name} is none for servers, and the router refuses it"
        yield case.find("wrong", what, "certref", mend="make one of type Server Certificate")
    elif certificate.uses is None:
        what = f"the certificate of {name} names no use; the router takes none but a server's"
        yield case.find("unclear", what, "certref", mend="make one of type Server Certificate")


def _of_router(
    case: Case, backup: Backup, server: Entry, certificate: Certificate, at: datetime
) -> Iterator[Finding]:
    name = case.tunnel.common_name
    renew = "make another: System > Certificates > Certificates, and `mooring secrets put` it"
    if why := _out_of_time(certificate, at):
        yield case.find(
            "wrong", f"the certificate of {name} {why}, and the server refuses it", "caref", mend=renew
        )
    strict = case.server.last("remote-cert-tls") is not None
    if strict and certificate.uses is not None and "client" not in certificate.uses:
        what = f"the certificate of {name} is none for clients, and {case.name} enforces that"
        yield case.find("wrong", what, "remote_cert_tls", mend="make one of type User Certificate")
    authority = server.text("caref")
    if authority and certificate.authority and certificate.authority != authority:
        what = f"the certificate of {name} is of another authority than {case.name} trusts"
        yield case.find("wrong", what, "caref", mend="choose the authority that signed it")
    listed = next(
        (r for r in backup.revocations if r.reference and r.reference == server.text("crlref")), None
    )
    if listed and (certificate.reference in listed.references or certificate.serial in listed.serials):
        what = f"the certificate of {name} is on the revocation list of {case.name}"
        yield case.find(
            "wrong",
            what,
            "crlref",
            mend="make a new certificate for the router, or take this one off the list",
        )


def _out_of_time(certificate: Certificate, at: datetime) -> str:
    if at > certificate.ends:
        return f"expired on {certificate.ends:%Y-%m-%d}"
    return f"is good from {certificate.begins:%Y-%m-%d} on alone" if at < certificate.begins else ""
