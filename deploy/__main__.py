"""`python -m deploy`: make the package, and build/template.yaml that deploys it."""

import sys
from collections.abc import Sequence

from deploy.built_template import write_built
from deploy.package import build
from deploy.package.__main__ import describe, read_plan
from deploy.policy import check
from deploy.template import read_template
from services.errors import SetupError
from services.settings import ROOT


def main(arguments: Sequence[str] | None = None) -> int:
    """Check, package, write. Returns the exit status: 1 when something is wrong, with what."""
    source, target = ROOT / "template.yaml", ROOT / "build" / "template.yaml"
    try:
        findings = check(read_template(source))
        if findings:
            print(*findings, sep="\n", file=sys.stderr)
            return 1
        plan = read_plan(arguments)
        package = build(plan)
        write_built(source, target, package.path, plan)
    except SetupError as error:
        print(error.message, file=sys.stderr)
        return 1
    print("\n".join([*describe(package, plan), str(target)]))
    return 0


if __name__ == "__main__":
    sys.exit(main())
