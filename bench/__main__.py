"""`make bench`: measure, print the table, keep it in build/bench.json.

`make bench QUICK=1` is for a first look, `make bench ONLY="importing proofs"` for some of it (which is not kept).
"""

from __future__ import annotations

import sys
from importlib import import_module

SUBJECTS = (
    "starting",
    "importing",
    "postgres",
    "growth",
    "single",
    "http",
    "submissions",
    "tenants",
    "desk",
    "census",
    "proofs",
)


def main() -> int:
    """Measure everything; returns 0 whatever the figures are: a slow machine is no error."""
    # Imported here: each process that is started from this one looks at this module first.
    from bench.figures import IS_QUICK, Figure, format_table, write_figures
    from carnet.kernel import STATE

    wanted = sys.argv[1:] or list(SUBJECTS)
    unknown = sorted(set(wanted) - set(SUBJECTS))
    if unknown:
        print(f"there is no bench {', '.join(unknown)}; there are {', '.join(SUBJECTS)}", file=sys.stderr)
        return 2
    # Without it, and a change of its sources is enough, all figures are those of Python alone.
    print(f"the kernel in C: {STATE}", file=sys.stderr, flush=True)
    figures: list[Figure] = []
    for name in wanted:
        print(f"measuring {name} ...", file=sys.stderr, flush=True)
        figures += import_module(f"bench.{name}").measure()
    print(format_table(figures))
    if len(wanted) < len(SUBJECTS):
        return 0
    path = write_figures(figures)
    missed = [figure.name for figure in figures if figure.met is False]
    print(f"\nKept in {path.parent.name}/{path.name}." + (" QUICK: small sets, rough figures." if IS_QUICK else ""))
    if missed:
        print(f"Below target: {', '.join(missed)}.")
    return 0


if __name__ == "__main__":
    sys.exit(main())
