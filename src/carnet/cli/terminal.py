"""Writing for a person: colours, shapes and tables on a terminal; plain, stable text anywhere else.

Off a terminal nothing depends on its width, the locale or the time, so that a script may read it, though `--json` is
what scripts should read. It refuses to know what is written.
"""

from __future__ import annotations

import sys
from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING, Any

import click

if TYPE_CHECKING:
    from rich.console import Console

Piece = str | tuple[str, str]
"""A text, or a text and its style ("bold green"); the style says nothing that the words do not."""

Rows = Sequence[Sequence[Piece]]

SHAPES = {"good": ("✔", "+"), "bad": ("✘", "x"), "unsure": ("?", "?"), "other": ("≠", "!"), "none": ("·", "-")}
STYLES = {"good": "green", "bad": "bold red", "unsure": "yellow", "other": "magenta", "none": "dim"}


class Terminal:
    """Standard output as a person, or a pipe, sees it."""

    def __init__(self) -> None:
        self.is_tty = sys.stdout.isatty()
        self._console: Console | None = None

    @property
    def console(self) -> Console:
        """The terminal's own; loaded when something is first drawn."""
        if self._console is None:
            from rich.console import Console

            self._console = Console(highlight=False, markup=False, emoji=False)
        return self._console

    @property
    def is_unicode(self) -> bool:
        """Whether shapes beyond ASCII can be written."""
        return (sys.stdout.encoding or "").lower().replace("-", "") == "utf8"

    def shape(self, name: str) -> Piece:
        """A shape for a state, in its colour: colour is never alone in saying something."""
        return (SHAPES[name][0 if self.is_unicode else 1], STYLES[name])

    def say(self, *pieces: Piece, indent: int = 0) -> None:
        """One line of text; wrapped at words on a terminal."""
        if not self.is_tty:
            click.echo(" " * indent + "".join(piece if isinstance(piece, str) else piece[0] for piece in pieces))
            return
        from rich.padding import Padding

        self.console.print(Padding(_to_text(pieces), (0, 0, 0, indent)))

    def rule(self, title: str) -> None:
        """The title of a part."""
        self.say("")
        self.say((title, "bold"))

    def facts(self, pairs: Iterable[tuple[str, str]], *, indent: int = 2) -> None:
        """Names and values under each other."""
        kept = [(name, value) for name, value in pairs if value]
        width = max((len(name) for name, _ in kept), default=0)
        for name, value in kept:
            self.say((name.ljust(width), "dim"), "  ", value, indent=indent)

    def table(
        self,
        headings: Sequence[str],
        rows: Sequence[Sequence[Piece]],
        *,
        right: Sequence[int] = (),
        whole: Sequence[int] = (),
    ) -> None:
        """Rows under headings. Columns numbered in `right` are set flush right; those and `whole` ones are not
        wrapped.
        """
        if self.is_tty:
            self._draw(headings, rows, right, (*right, *whole))
            return
        texts = [[cell if isinstance(cell, str) else cell[0] for cell in row] for row in rows]
        # A row is one line here. What a terminal shows below a cell stands at the end of the row, so that a long detail
        # does not push the columns apart.
        lines = [[cell.split("\n")[0] for cell in row] for row in texts]
        details = [[part for cell in row for part in cell.split("\n")[1:] if part] for row in texts]
        widths = [max([len(heading), *(len(row[at]) for row in lines)]) for at, heading in enumerate(headings)]
        for row, more in zip([list(headings), *lines], [[], *details], strict=True):
            columns = enumerate(zip(row, widths, strict=True))
            cells = [cell.rjust(width) if at in right else cell.ljust(width) for at, (cell, width) in columns]
            click.echo("  ".join([*cells, "; ".join(more)]).rstrip())

    def _draw(
        self, headings: Sequence[str], rows: Sequence[Sequence[Piece]], right: Sequence[int], whole: Sequence[int]
    ) -> None:
        from rich.box import ASCII2, SIMPLE_HEAD
        from rich.table import Table

        table = Table(box=SIMPLE_HEAD if self.is_unicode else ASCII2, pad_edge=False, header_style="bold")
        for at, heading in enumerate(headings):
            table.add_column(heading, justify="right" if at in right else "left", no_wrap=at in whole, overflow="fold")
        for row in rows:
            table.add_row(*(_to_cell(cell) for cell in row))
        self.console.print(table)

    def blocks(self, rows: Iterable[tuple[str, Sequence[Piece], str]]) -> None:
        """On a terminal: blocks of a left margin, lines that are wrapped between the margins, and a right margin."""
        from rich.table import Table
        from rich.text import Text

        grid = Table.grid(padding=(0, 2, 1, 0), expand=True)
        grid.add_column(no_wrap=True)
        grid.add_column(ratio=1, overflow="fold")
        grid.add_column(justify="right", no_wrap=True)
        for left, lines, right in rows:
            grid.add_row(Text(left, "cyan"), Text("\n").join([_to_text([line]) for line in lines]), Text(right, "bold"))
        self.console.print(grid)


def _to_text(pieces: Sequence[Piece]) -> Any:
    from rich.text import Text

    return Text.assemble(*pieces)


def _to_cell(cell: Piece) -> Any:
    """A cell: its first line as it is, the lines below it dim."""
    from rich.text import Text

    text, style = (cell, "") if isinstance(cell, str) else cell
    first, newline, rest = text.partition("\n")
    return Text.assemble((first, style), newline, (rest, "dim"))


def write_json_line(document: object) -> None:
    """One object on one line of standard output, in canonical JSON: names ascending, UTF-8. A file's name that is no
    text in it is escaped as Python spells it, `\\udce9` for the byte e9, and read back as that by `json.loads`."""
    from carnet.encoding import encode_trusted

    try:
        line = encode_trusted(document)
    except UnicodeEncodeError:
        import json

        line = json.dumps(document, sort_keys=True, separators=(",", ":")).encode()
    sys.stdout.buffer.write(line + b"\n")


def format_moment(at_ms: int) -> str:
    """A moment of the log for a person: `2026-11-24 19:21 UTC`."""
    from datetime import UTC, datetime

    return datetime.fromtimestamp(at_ms / 1000, UTC).strftime("%Y-%m-%d %H:%M UTC")


def format_age(age_ms: int) -> str:
    """How long ago, in the largest unit that is not zero; or how far ahead of this clock, which is wrong then, or the
    one that was written by."""
    seconds = abs(age_ms) // 1000
    for unit, size in (("day", 86_400), ("hour", 3_600), ("minute", 60)):
        if seconds >= size:
            count = seconds // size
            return f"{count:,} {unit}{'s' if count > 1 else ''} {'ago' if age_ms > 0 else 'ahead of the clock'}"
    return "just now"
