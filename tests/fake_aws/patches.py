"""Changes to moto's classes that are made together and undone together."""

from __future__ import annotations

import contextlib
import functools
from typing import TYPE_CHECKING, Any, TypeAlias
from unittest import mock

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

# One of moto's own objects: moto is untyped to us (mypy skips it).
Moto: TypeAlias = Any
Original: TypeAlias = "Callable[..., Any]"


class Patches:
    """A list of (owner, name, replacement), filled at import and applied only while a world lives."""

    def __init__(self) -> None:
        self._patches: list[tuple[object, str, object]] = []

    def attribute(self, owner: object, name: str, value: object) -> None:
        """Return `owner` another value under `name`, whether or not it has one."""
        if any(patch[:2] == (owner, name) for patch in self._patches):
            raise ValueError(f"{owner!r}.{name} is patched already")
        self._patches.append((owner, name, value))

    def around(self, owner: object, name: str) -> Callable[[Original], Original]:
        """Decorate a function that replaces `owner.name` and gets the original as first argument."""
        original = getattr(owner, name)

        def decorate(replacement: Original) -> Original:
            @functools.wraps(original)
            def patched(*args: object, **kwargs: object) -> object:
                return replacement(original, *args, **kwargs)

            self.attribute(owner, name, patched)
            return replacement

        return decorate

    def attributes_of(self, owner: object) -> Callable[[Original], Original]:
        """Decorate a function that computes, on each reading, the attribute it is named after."""

        def decorate(compute: Original) -> Original:
            self.attribute(owner, compute.__name__, property(compute))
            return compute

        return decorate

    @contextlib.contextmanager
    def applied(self) -> Iterator[None]:
        """Apply every patch for the duration of the block."""
        with contextlib.ExitStack() as stack:
            for owner, name, value in self._patches:
                stack.enter_context(mock.patch.object(owner, name, value, create=True))
            yield

    @contextlib.contextmanager
    def without(self, owner: object, name: str) -> Iterator[None]:
        """Forget one patch for the duration of the block: how a test proves that the patch matters."""
        kept = list(self._patches)
        self._patches[:] = [patch for patch in kept if patch[:2] != (owner, name)]
        if len(kept) == len(self._patches):
            raise LookupError(f"nothing patches {owner!r}.{name}")
        try:
            yield
        finally:
            self._patches[:] = kept


truth = Patches()
