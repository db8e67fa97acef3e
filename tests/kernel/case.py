"""What a test of the kernel knows of one function: its reference in Python, and what it is called with."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from random import Random
from types import ModuleType
from typing import Any

Arguments = tuple[Any, ...]


@dataclass(frozen=True)
class Case:
    """A function: its reference in Python, some small arguments, many odd ones, and some that must be refused."""

    in_python: Callable[..., Any]
    small: Sequence[Arguments]
    odd: Callable[[Random], Iterator[Arguments]]
    bad: Sequence[Arguments]


@contextmanager
def without_kernel(module: ModuleType) -> Iterator[None]:
    """Within this, a module of ours goes Python's own way."""
    before, module.kernel = module.kernel, None  # type: ignore[attr-defined]
    try:
        yield
    finally:
        module.kernel = before  # type: ignore[attr-defined]


def call(function: Callable[..., Any], arguments: Arguments) -> Any:
    """What a call gives; or, of an error that it may raise, the type alone."""
    try:
        return function(*arguments)
    except (TypeError, ValueError, LookupError, OverflowError) as error:
        return type(error)
