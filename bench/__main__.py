"""`make bench`: measure, print the table, keep it in build/bench.json. `make bench QUICK=1` is for a first look."""

from __future__ import annotations

import sys

from bench import growth, importing, proving, single, starting
from bench.figures import IS_QUICK, Figure, format_table, write_figures


def main() -> int:
    """Measure everything; returns 0 whatever the figures are: a slow machine is no error."""
    figures: list[Figure] = []
    for subject in (starting, importing, growth, single, proving):
        print(f"measuring {subject.__name__.removeprefix('bench.')} ...", file=sys.stderr, flush=True)
        figures += subject.measure()
    print(format_table(figures))
    path = write_figures(figures)
    missed = [figure.name for figure in figures if figure.met is False]
    print(f"\nKept in {path.parent.name}/{path.name}." + (" QUICK: small sets, rough figures." if IS_QUICK else ""))
    if missed:
        print(f"Below target: {', '.join(missed)}.")
    return 0


if __name__ == "__main__":
    sys.exit(main())
