"""The kernel under test: as it is installed, and compiled again in another way into a folder of the test's own."""

from __future__ import annotations

import os
import subprocess
from importlib.machinery import ExtensionFileLoader
from importlib.util import module_from_spec, spec_from_file_location
from pathlib import Path
from types import ModuleType

import pytest

from carnet.kernel import STATE, kernel
from hatch_build import compile_kernel, find_obstacle, get_compiler
from tests.shared import ROOT

PLAIN = "-DCARNET_PLAIN"
"""Leaves out what a processor may have for hashing: what is left is what runs on one that has nothing."""


def get_kernel() -> ModuleType:
    """The one that is installed; skips, saying why, where there is none."""
    if kernel is None:
        pytest.skip(f"the kernel in C is {STATE}: {find_obstacle() or 'run `make kernel`'}")
    return kernel


def compile_into(folder: Path, *flags: str) -> Path:
    """The kernel, compiled from the sources as they stand with these flags too; skips where nothing can be compiled."""
    if (obstacle := find_obstacle()) is not None:
        pytest.skip(f"nothing can be compiled: {obstacle}")
    target = folder / "_kernel.abi3.so"
    why = compile_kernel(ROOT / "src", target, *flags)
    assert why is None, why
    return target


def load(path: Path) -> ModuleType:
    """The module of a binary, beside any other one of the same name."""
    loader = ExtensionFileLoader("_kernel", str(path))
    spec = spec_from_file_location("_kernel", path, loader=loader)
    assert spec is not None
    module = module_from_spec(spec)
    loader.exec_module(module)
    return module


def find_library(name: str) -> Path | None:
    """A library of the compiler's own, such as `libasan.so`."""
    if find_obstacle() is not None:
        return None
    told = subprocess.run([*get_compiler(), f"-print-file-name={name}"], capture_output=True, text=True, check=False)
    path = Path(told.stdout.strip())
    return path if told.returncode == 0 and os.path.isabs(path) and path.exists() else None
