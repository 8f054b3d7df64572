"""`python -m riverrun_client "question"`: the command. `--help` says what it can do."""

import os
import sys
from collections.abc import Sequence


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command. Returns the exit status (docs/clients.md lists them)."""
    try:
        return _main(sys.argv[1:] if arguments is None else arguments)
    except KeyboardInterrupt:  # while it was still importing
        return 130


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
