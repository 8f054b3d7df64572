"""`python -m riverrun_client "question"`: the command. `--help` says what it can do."""

import os
import sys
from collections.abc import Sequence
from pathlib import Path


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command. Returns the exit status (docs/clients.md lists them)."""
    _open_standard_streams()
    try:
        return _main(sys.argv[1:] if arguments is None else arguments)
    except KeyboardInterrupt:  # while it was still importing
        return 130


def _open_standard_streams() -> None:
    """Give each of the three streams that was closed (`2>&-`) a place to write to."""
    for name, mode in (("stdin", "r"), ("stdout", "w"), ("stderr", "w")):
        if getattr(sys, name) is None:
            setattr(sys, name, Path(os.devnull).open(mode, encoding="utf-8"))  # noqa: SIM115 -- it stays


def _main(arguments: Sequence[str]) -> int:
    from riverrun_client.cli.arguments import UsageError, parse_arguments

    try:
        choice = parse_arguments(arguments, os.environ)
    except UsageError as error:
        print(f"riverrun: {error} (--help says what it can do)", file=sys.stderr)
        return 2
    from riverrun_client.cli.commands import run

    return run(choice)


if __name__ == "__main__":
    sys.exit(main())
