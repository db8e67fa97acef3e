"""The one writer of a home."""

from carnet.node.writer.transacting import MAX_CLOCK_STEP_MS
from carnet.node.writer.writer import Writer, open_writer

__all__ = ["MAX_CLOCK_STEP_MS", "Writer", "open_writer"]
