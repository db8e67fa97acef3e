"""The compiled kernel, where the installation has one: the hashes of entries and trees without an object in between.

Whoever has a function in Python that the kernel has too says so beside it, and takes the kernel's where it is there:
both give the same bytes for the same arguments, which tests hold them to. A binary that was built from other sources
than those beside this file, or that hashes wrongly, is not taken: Python does the work then, and `carnet doctor` says
so. It refuses to know what is hashed, and reads nothing but the package's own sources.
"""

from __future__ import annotations

from hashlib import sha256
from importlib import import_module
from types import ModuleType
from typing import Final

__all__ = ["STATE", "kernel"]

_SOURCES: Final = __file__.rpartition("/")[0].rpartition("/")[0]
"""The folder of this package, and in a checkout of the kernel's sources too."""

_MESSAGE: Final = bytes(range(200))
_SHA256: Final = bytes.fromhex("1901da1c9f699b48f6b2636e65cbf73abf99d0441ef67f5c540a42f7051dec6f")
_SHAKE256: Final = bytes.fromhex("4ee1ca03272b05d3bfb1e1c79a967f823b9fc5e4bb3987b1ba9e9cb5afb07a5e")
"""The digests of `_MESSAGE`, which is longer than a block of either hash."""


def find_kernel() -> tuple[ModuleType | None, str]:
    """The kernel, and "used"; or None, and why not: "absent", "unloadable", "stale" or "wrong"."""
    try:
        found = import_module("carnet._kernel")
    except ModuleNotFoundError:
        return None, "absent"
    except ImportError:
        return None, "unloadable"
    if not is_built_from(getattr(found, "BUILT_FROM", ""), _SOURCES):
        return None, "stale"
    return (found, "used") if _is_right(found) else (None, "wrong")


def is_built_from(listed: str, folder: str) -> bool:
    """Whether the files under `folder` are those of a list such as "carnet/x.py=0123456789abcdef kernel/y.c=…".

    The sources in C need not be there at all: a wheel brings the binary without them.
    """
    files = [name_and_digest.split("=") for name_and_digest in listed.split()]
    is_checkout = _find_digest(f"{folder}/kernel/module.c") is not None
    digests = {name: _find_digest(f"{folder}/{name}") for name, _ in files if is_checkout or name.startswith("carnet/")}
    return bool(digests) and all(digests.get(name, digest) == digest for name, digest in files)


def _find_digest(path: str) -> str | None:
    try:
        with open(path, "rb") as file:
            return sha256(file.read()).hexdigest()[:16]
    except OSError:
        return None


def _is_right(found: ModuleType) -> bool:
    if found.sha256(_MESSAGE) != _SHA256 or found.shake256(_MESSAGE, 32) != _SHAKE256:
        return False
    # Messages that are hashed at once go another way.
    begun, ends = _MESSAGE[:100], [_MESSAGE[100:132], _MESSAGE[132:164]]
    if found.hash_each(begun, ends, b"") != b"".join([sha256(begun + end).digest() for end in ends]):
        return False
    secrets = [_MESSAGE[at : at + 32] for at in range(8)]
    together = _seal(found, secrets)
    return all(_seal(found, secrets[at : at + 1]) == [together[at]] for at in range(len(secrets)))


def _seal(found: ModuleType, secrets: list[bytes]) -> list[bytes]:
    """The ids of statements that differ in their secrets alone."""
    names = tuple([len(name).to_bytes(4, "big") + name for name in (b"kind", b"occurred", b"subject")])
    fields = b'{"kind":1,"occurred":{"at":2,"precision":3,"zone":4},"subject":5}'
    others = [[part] * len(secrets) for part in (bytes(16), bytes(2), bytes(32), b"")]
    every = range(len(secrets))
    ids: list[bytes] = found.seal_statements(
        bytes(51), bytes(49), [names for _ in every], [fields for _ in every], secrets, *others
    )[1]
    return ids


_FOUND: Final = find_kernel()

kernel: Final = _FOUND[0]
"""`carnet._kernel`, or None where it is not used (docs/adr/0024-a-kernel-in-c.md)."""

STATE: Final = _FOUND[1]
"""What `find_kernel` said of it."""
