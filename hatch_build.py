"""Compiles the kernel (src/kernel) where there is a compiler, for a wheel and for an installation from the checkout.

Without a compiler or Python's headers nothing fails: the package then hashes in Python. `CARNET_KERNEL=off` leaves it
out on purpose. It refuses to fetch anything. See docs/adr/0024-a-kernel-in-c.md.
"""

from __future__ import annotations

import os
import shlex
import shutil
import subprocess
import sys
import sysconfig
from hashlib import sha256
from pathlib import Path
from typing import Any

from hatchling.builders.hooks.plugin.interface import BuildHookInterface

# One binary for every Python from 3.11 on: the sources keep to its stable interface.
_TAG = "cp311-abi3"
_BINARY = "carnet/_kernel.abi3.so"
_FLAGS = (
    "-std=c11", "-O3", "-Wall", "-Wextra", "-fPIC", "-fvisibility=hidden", "-fno-strict-aliasing", "-shared", "-g0",
    # What Python's headers assert would bring their paths into the binary.
    "-DNDEBUG",
)  # fmt: skip


class CustomBuildHook(BuildHookInterface):  # type: ignore[type-arg]
    """Hatchling's name for it."""

    def initialize(self, version: str, build_data: dict[str, Any]) -> None:
        """Build the kernel beside the package's own files and, in a wheel, take it along."""
        sources = Path(self.root) / "src"
        target = sources / _BINARY
        why = compile_kernel(sources, target)
        if why is not None:
            target.unlink(missing_ok=True)
            print(f"carnet: the kernel is left out: {why}", file=sys.stderr)
        elif version != "editable":
            build_data["artifacts"].append(f"src/{_BINARY}")
            build_data["pure_python"] = False
            build_data["tag"] = f"{_TAG}-{sysconfig.get_platform().replace('-', '_').replace('.', '_')}"


def describe_sources(sources: Path) -> str:
    """What the kernel is built from: the name of each file and the beginning of its digest.

    `carnet/kernel.py` reads the same files again when it is imported, as far as they are there.
    """
    package = sources / "carnet"
    files = [package / "__init__.py", package / "_kernel.pyi", *sorted((sources / "kernel").glob("*.[ch]"))]
    return " ".join(f"{file.relative_to(sources)}={sha256(file.read_bytes()).hexdigest()[:16]}" for file in files)


def find_obstacle() -> str | None:
    """Why nothing can be compiled here, and what to install, or None."""
    if os.environ.get("CARNET_KERNEL") == "off":
        return "CARNET_KERNEL is off"
    if sys.platform == "win32":
        return "it has no way to be built on this platform yet"
    headers = Path(sysconfig.get_path("include"), "Python.h")
    if not headers.exists():
        return f"Python's headers are not there ({headers}); on Debian: apt-get install python3-dev"
    compiler = get_compiler()[0]
    if shutil.which(compiler) is None:
        return f"there is no compiler ({compiler}); on Debian: apt-get install gcc libc6-dev"
    return None


def get_compiler() -> list[str]:
    """The command of the C compiler: `cc`, or what $CC says."""
    return shlex.split(os.environ.get("CC", "")) or ["cc"]


def compile_kernel(sources: Path, target: Path, *flags: str) -> str | None:
    """Compile into `target`, which stays as it is until that succeeded; or why it could not be done. `sources` is the
    folder `src`, `flags` stand behind our own."""
    obstacle = find_obstacle()
    if obstacle is not None:
        return obstacle
    made = target.with_name(f"{target.name}.{os.getpid()}.part")
    folder = sources / "kernel"
    # What the sources' own names are must not depend on the folder that they are compiled in.
    names = sorted(path.name for path in folder.glob("*.c"))
    extra = ("-undefined", "dynamic_lookup") if sys.platform == "darwin" else ("-Wl,--build-id=none",)
    built_from = f'-DCARNET_BUILT_FROM="{describe_sources(sources)}"'
    command = [*get_compiler(), *_FLAGS, *flags, built_from, f"-I{sysconfig.get_path('include')}", *names]
    try:
        ran = subprocess.run(
            [*command, "-o", str(made), *extra], cwd=folder, capture_output=True, text=True, check=False
        )
    except OSError as error:
        return f"{command[0]} could not be run: {error.strerror}"
    if ran.returncode:
        made.unlink(missing_ok=True)
        return (
            f"{command[0]} ended with {ran.returncode}; on Debian: apt-get install gcc libc6-dev\n{ran.stderr}".strip()
        )
    made.replace(target)
    return None


def tell(sources: Path) -> str:
    """One line on whether the kernel was built, and if not, what to do."""
    target = sources / _BINARY
    # Whoever installed has hidden why it was not: it fails again, at once.
    why = None if target.exists() else compile_kernel(sources, target)
    if why is None:
        return "The kernel in C was built."
    hint = "" if os.environ.get("CARNET_KERNEL") == "off" else ", then make kernel"
    return f"The kernel in C was not built, so Python does its work, more slowly: {why.splitlines()[0]}{hint}."


if __name__ == "__main__":
    here = Path(__file__).resolve().parent / "src"
    if sys.argv[1:] == ["--tell"]:
        print(tell(here))
    else:
        failed = compile_kernel(here, here / _BINARY)
        sys.exit(None if failed is None else f"the kernel was not compiled: {failed}")
