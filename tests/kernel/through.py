"""Calls each function of one binary with all that the tests have, in a process of its own: `through.py BINARY`.

For a binary with sanitizers, which end the process at the first wrong step. With `--overrun` it takes such a step.
"""

from __future__ import annotations

import ctypes
import sys
from pathlib import Path
from random import Random

from tests.kernel.built import load
from tests.kernel.case import call
from tests.kernel.cases import CASES


def main(binary: str, *options: str) -> None:
    kernel, count = load(Path(binary)), 0
    for name, case in CASES.items():
        function = getattr(kernel, name)
        for arguments in (*case.small, *case.odd(Random(name))):
            assert function(*arguments) == case.in_python(*arguments), (name, arguments)
            count += 1
        for arguments in ((), (None,) * 9, *case.bad):
            assert isinstance(call(function, arguments), type), (name, arguments)
            count += 1
    print(f"{count} calls", flush=True)
    if "--overrun" in options:
        ctypes.memmove(ctypes.create_string_buffer(32), bytes(64), 64)
        print("nobody saw it")


if __name__ == "__main__":
    main(*sys.argv[1:])
