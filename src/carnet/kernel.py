"""The compiled kernel, where the installation has one: the hashes of entries and trees without an object in between.

Whoever has a function in Python that the kernel has too says so beside it, and takes the kernel's where it is there:
both give the same bytes for the same arguments, which tests hold them to. It refuses to know what is hashed.
"""

from __future__ import annotations

from types import ModuleType
from typing import Final

__all__ = ["kernel"]


def _find() -> ModuleType | None:
    try:
        from carnet import _kernel
    except ImportError:
        return None
    return _kernel


kernel: Final = _find()
"""`carnet._kernel`, or None where it was not built (docs/adr/0024-a-kernel-in-c.md)."""
