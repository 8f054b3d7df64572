"""`python -m deploy.policy [template.yaml ...]`: a line for each finding, and exit status 1."""

import sys
from collections.abc import Sequence
from pathlib import Path

from deploy.policy import check
from deploy.template import read_template
from services.errors import SetupError


def main(arguments: Sequence[str]) -> int:
    """Check each template named, or `template.yaml`. 2 when one cannot be read."""
    status = 0
    for path in map(Path, arguments or ["template.yaml"]):
        try:
            findings = check(read_template(path))
        except SetupError as error:
            print(f"{path}: {error.message}", file=sys.stderr)
            return 2
        for finding in findings:
            print(f"{path}: {finding}")
            status = 1
    return status


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
