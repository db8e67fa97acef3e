"""Logs of the service: one JSON object a line on standard error, and nothing in it that anybody has sent.

Our own lines name what they say. Of a library's line only its template is kept, never what was filled in; of an
exception its kind and its places in the code, never its words. Design: security 25.
"""

from __future__ import annotations

import logging
import sys
import traceback
from typing import Any, Final, TextIO

import structlog

LEVELS: Final = {"debug": 10, "info": 20, "warning": 30, "error": 40}
_PLACES: Final = 8


def start_logs(level: str, process: str, stream: TextIO | None = None) -> None:
    """Log from `level` on; `process` is `writer` or `worker`. For this process, from now on."""
    out = stream or sys.stderr
    structlog.configure(
        processors=[
            structlog.contextvars.merge_contextvars,
            structlog.processors.add_log_level,
            structlog.processors.TimeStamper(fmt="iso", utc=True),
            _name_process(process),
            structlog.processors.JSONRenderer(sort_keys=True, default=lambda value: type(value).__name__),
        ],
        wrapper_class=structlog.make_filtering_bound_logger(LEVELS[level]),
        logger_factory=structlog.PrintLoggerFactory(out),
        cache_logger_on_first_use=True,
    )
    handler = _Bridge()
    logging.basicConfig(handlers=[handler], level=max(LEVELS[level], logging.WARNING), force=True)
    logging.captureWarnings(True)


def get_log(name: str) -> Any:
    """A logger: `log.info("what happened", fact=value)`. Facts are never what somebody has sent."""
    return structlog.get_logger(name)


def find_places(error: BaseException) -> list[str]:
    """The last places of a traceback, as `file:line function`: no values, no words of the error."""
    frames = traceback.extract_tb(error.__traceback__)[-_PLACES:]
    return [f"{'/'.join(frame.filename.split('/')[-3:])}:{frame.lineno} {frame.name}" for frame in frames]


def _name_process(process: str) -> Any:
    def add(logger: object, method: str, event: dict[str, Any]) -> dict[str, Any]:
        event["process"] = process
        return event

    return add


class _Bridge(logging.Handler):
    """What libraries log, in our form."""

    def emit(self, record: logging.LogRecord) -> None:
        """Log the template of a line, and where its exception came from."""
        facts: dict[str, Any] = {"library": record.name}
        if record.exc_info and record.exc_info[1] is not None:
            facts |= {"at": find_places(record.exc_info[1]), "kind": type(record.exc_info[1]).__name__}
        # Without arguments a line may have been put together beforehand: only its beginning is safe.
        template = record.msg if isinstance(record.msg, str) and record.args else str(record.msg).split("\n")[0][:60]
        log = get_log("library")
        (log.error if record.levelno >= logging.ERROR else log.warning)(template, **facts)
