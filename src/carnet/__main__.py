"""`carnet` and `python -m carnet`: the same command."""

import sys


def run() -> int:
    """Run the command line; the process's exit code. Loading it takes a moment, and Ctrl-C may come in that one too."""
    try:
        from carnet.cli import main
        from carnet.cli.stopping import stop_heeding

        code = main()
    except KeyboardInterrupt:
        return 130
    stop_heeding(code)
    return code


if __name__ == "__main__":
    sys.exit(run())
