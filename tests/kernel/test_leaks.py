"""A hundred thousand calls of each function, good and bad, leave memory and references as they were."""

from __future__ import annotations

import ctypes
import gc
import resource
import sys
from array import array
from collections.abc import Callable, Iterator
from itertools import repeat
from types import ModuleType
from typing import Any

import pytest

from tests.kernel.built import get_kernel
from tests.kernel.case import Arguments, Case
from tests.kernel.cases import CASES

CALLS = 100_000
FEW_BLOCKS = 200
FEW_REFERENCES = 200
LITTLE_KIB = 512
"""What an interpreter that does other things takes by itself; a leak in each call is far beyond."""


class Allocations(ctypes.Structure):
    """What `mallinfo2` of the GNU C library tells."""

    _fields_ = [(name, ctypes.c_size_t) for name in "arena b c d mapped f g used i j".split()]


def get_size() -> int:
    """KiB that are in use; where the C library does not tell, those that the process has had at most."""
    tell = getattr(ctypes.CDLL(None), "mallinfo2", None)
    if tell is None:
        return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    tell.restype = Allocations
    told = tell()
    return int(told.used + told.mapped) // 1024


def repeat_call(function: Callable[..., Any], arguments: Arguments, times: int) -> None:
    try:
        function(*arguments)
    except Exception:
        for _ in repeat(None, times):
            try:
                function(*arguments)
            except Exception:
                continue
    else:
        for _ in repeat(None, times):
            function(*arguments)


def list_parts(given: Any) -> Iterator[object]:
    """The arguments and all that they hold."""
    yield given
    if isinstance(given, tuple | list):
        for one in given:
            yield from list_parts(one)


@pytest.mark.parametrize("name, case", CASES.items())
def test_kernel__leaks_nothing(name: str, case: Case) -> None:
    kernel: ModuleType = get_kernel()
    function = getattr(kernel, name)
    calls = [*case.small, *[arguments for arguments in case.bad if len(str(arguments)) < 10_000]]
    for arguments in calls:
        repeat_call(function, arguments, 100)
    parts = [part for arguments in calls for part in list_parts(arguments)]
    gc.collect()
    # Not in a list: it would hold references itself, to whichever number is a frequent count.
    references = array("q", map(sys.getrefcount, parts))
    blocks, size = sys.getallocatedblocks(), get_size()
    for arguments in calls:
        repeat_call(function, arguments, CALLS // len(calls))
    gc.collect()
    grown = sys.getallocatedblocks() - blocks
    assert grown < FEW_BLOCKS, f"{grown} blocks of memory are left of {CALLS} calls"
    assert get_size() - size < LITTLE_KIB
    moved = [
        (part, before, after)
        for part, before in zip(parts, references, strict=True)
        if abs((after := sys.getrefcount(part)) - before) > FEW_REFERENCES
    ]
    assert moved == []
