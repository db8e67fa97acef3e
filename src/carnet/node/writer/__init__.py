"""The one writer of a home."""

from carnet.node.writer.transacting import MAX_CLOCK_STEP_MS, format_moment
from carnet.node.writer.writer import Writer, open_writer

__all__ = ["MAX_CLOCK_STEP_MS", "Writer", "format_moment", "open_writer"]
