"""What can go wrong between an operator and a verb, before or beside AWS."""

from __future__ import annotations

from chalicelib.core.errors import ControllerError


class UsageError(ControllerError):
    """The command line asks for nothing that a verb can do."""

    code = "UsageError"


class ConsentNeeded(ControllerError):  # noqa: N818 - it names what to give, like the core's own such words
    """Something would be changed, and nobody was asked."""

    code = "ConsentNeeded"


class Unanswered(ControllerError):  # noqa: N818 - same
    """The worker's answer was not waited for to the end; what was asked goes on."""

    code = "Unanswered"


class ApiRefused(ControllerError):  # noqa: N818 - same
    """The deployed API did not do what was asked."""

    code = "ApiRefused"


class FileUnusable(ControllerError):  # noqa: N818 - same
    """A file cannot be read or written."""

    code = "FileUnusable"


class AlreadyClaimed(ControllerError):  # noqa: N818 - same
    """Another declared topology keeps the same thing: two keepers would fight over it."""

    code = "AlreadyClaimed"


class UnfitSecrets(ControllerError):  # noqa: N818 - same
    """Secrets that a router could not connect with; `problems` says of each file why, and no word of what is in it."""

    code = "UnfitSecrets"

    def __init__(self, problems: tuple[str, ...], *, hint: str = "") -> None:
        count = "1 problem" if len(problems) == 1 else f"{len(problems)} problems"
        super().__init__(f"the secrets have {count}: {'; '.join(problems)}", hint=hint)
        self.problems = problems


class NoTunnel(ControllerError):  # noqa: N818 - same
    """The topology declares no tunnel, so there is nothing to render."""

    code = "NoTunnel"
