"""The lock without the tools of development: what an installed Carnet needs, with the same pins and hashes.

`python .ci/runtime_lock.py [EXTRA ...]` prints it for the core and these extras. It refuses to choose a version: each
line is copied from `requirements.lock`.
"""

from __future__ import annotations

import sys

from locked import find_reach, read_lock, read_wanted


def main(extras: list[str]) -> int:
    """Print the part of the lock; 2 when an extra is unknown."""
    packages, wanted = read_lock(), read_wanted()
    unknown = [extra for extra in extras if extra not in wanted]
    if unknown:
        print(f"no such extra: {', '.join(unknown)}; there are: {', '.join(sorted(wanted))}", file=sys.stderr)
        return 2
    roots = frozenset().union(*(wanted[group] for group in ["core", *extras]))
    print(f"# Cut from requirements.lock: core{''.join(f' + {extra}' for extra in extras)}")
    for name in sorted(find_reach(packages, roots)):
        print(packages[name].text, end="")
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
