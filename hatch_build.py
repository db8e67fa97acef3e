"""Compiles the kernel (src/kernel) where there is a compiler, for a wheel and for an installation from the checkout.

Without a compiler or Python's headers nothing fails: the package then hashes in Python. `CARNET_KERNEL=off` leaves it
out on purpose. It refuses to fetch anything. See docs/adr/0024-a-kernel-in-c.md.
"""

from __future__ import annotations

import os
import shlex
import subprocess
import sys
import sysconfig
from pathlib import Path
from typing import Any

from hatchling.builders.hooks.plugin.interface import BuildHookInterface

# One binary for every Python from 3.11 on: the sources keep to its stable interface.
_TAG = "cp311-abi3"
_FLAGS = (
    "-std=c11", "-O3", "-Wall", "-Wextra", "-fPIC", "-fvisibility=hidden", "-fno-strict-aliasing", "-shared", "-g0",
)  # fmt: skip


class CustomBuildHook(BuildHookInterface):  # type: ignore[type-arg]
    """Hatchling's name for it."""

    def initialize(self, version: str, build_data: dict[str, Any]) -> None:
        """Build the kernel beside the package's own files and, in a wheel, take it along."""
        root = Path(self.root)
        target = root / "src" / "carnet" / "_kernel.abi3.so"
        why = compile_kernel(root / "src" / "kernel", target)
        if why is not None:
            target.unlink(missing_ok=True)
            print(f"carnet: the kernel is left out: {why}", file=sys.stderr)
        elif version != "editable":
            build_data["artifacts"].append("src/carnet/_kernel.abi3.so")
            build_data["pure_python"] = False
            build_data["tag"] = f"{_TAG}-{sysconfig.get_platform().replace('-', '_').replace('.', '_')}"


def compile_kernel(sources: Path, target: Path) -> str | None:
    """Compile into `target`, which stays as it is until that succeeded; or why it could not be done."""
    if os.environ.get("CARNET_KERNEL") == "off":
        return "CARNET_KERNEL is off"
    if sys.platform == "win32":
        return "it has no way to be built on this platform yet"
    headers = sysconfig.get_path("include")
    if not (Path(headers) / "Python.h").exists():
        return f"Python's headers are not there ({headers}/Python.h; on Debian: apt-get install python3-dev)"
    made = target.with_name(f"{target.name}.{os.getpid()}.part")
    # What the sources' own names are must not depend on the folder that they are compiled in.
    names = sorted(path.name for path in sources.glob("*.c"))
    extra = ("-undefined", "dynamic_lookup") if sys.platform == "darwin" else ("-Wl,--build-id=none",)
    compiler = shlex.split(os.environ.get("CC", "cc"))
    try:
        ran = subprocess.run(
            [*compiler, *_FLAGS, f"-I{headers}", *names, "-o", str(made), *extra],
            cwd=sources, capture_output=True, text=True, check=False,
        )  # fmt: skip
    except OSError as error:
        return f"there is no compiler ({compiler[0]}: {error.strerror})"
    if ran.returncode:
        made.unlink(missing_ok=True)
        return f"{compiler[0]} ended with {ran.returncode}:\n{ran.stderr.strip()}"
    made.replace(target)
    return None


if __name__ == "__main__":
    here = Path(__file__).resolve().parent / "src"
    failed = compile_kernel(here / "kernel", here / "carnet" / "_kernel.abi3.so")
    sys.exit(None if failed is None else f"the kernel was not compiled: {failed}")
