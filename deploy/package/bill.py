"""The bill of materials of a package, as CycloneDX 1.6 JSON. Knows names, not files."""

import json
from collections.abc import Iterable

from deploy.package.requirements import Requirement


def write_bill(package: str, sha256: str, libraries: Iterable[Requirement]) -> str:
    """The bill of one package: its own hash, and every library with its version."""
    components = [
        {
            "type": "library",
            "bom-ref": f"pkg:pypi/{library.name}@{library.version}",
            "name": library.name,
            "version": library.version,
            "purl": f"pkg:pypi/{library.name}@{library.version}",
        }
        for library in sorted(libraries, key=lambda library: library.name)
    ]
    application = {
        "type": "application",
        "name": package,
        "hashes": [{"alg": "SHA-256", "content": sha256}],
    }
    document = {
        "bomFormat": "CycloneDX",
        "specVersion": "1.6",
        "version": 1,
        "metadata": {"component": application},
        "components": components,
    }
    return json.dumps(document, indent=2) + "\n"
