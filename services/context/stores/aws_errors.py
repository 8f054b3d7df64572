"""What boto3's failures on the way to an index mean in our words.

Its exceptions come in here and none goes out; what they say stays their cause, for the log.
"""

from ...aws_errors import classify, code_of
from ...errors import RiverrunError, SetupError
from .store import RetrievalError

UNAVAILABLE = "The documents cannot be reached at the moment."


def is_missing(error: Exception) -> bool:
    """Tell whether what was asked for is not there."""
    return classify(code_of(error)) == "missing"


def translate_error(error: Exception, place: str, action: str) -> RiverrunError:
    """Translate a failure of boto3 into an error for the client; `action` is what was not done."""
    if isinstance(error, RiverrunError):
        return error
    again = f"Make it: make ingest DOCS=<your documents> INDEX={place}"
    if is_missing(error):
        return SetupError(f"There is no index in {place}. {again}")
    if classify(code_of(error)) == "credentials":
        return SetupError(
            f"{place} is not there, or these credentials may not {action}. Allow it, or: {again}"
        )
    if type(error).__name__ in ("NoCredentialsError", "PartialCredentialsError"):
        return SetupError(
            f"{place} needs AWS credentials. Set AWS_PROFILE, or the keys of an account."
        )
    if type(error).__name__ == "ParamValidationError":
        return SetupError(f"{place} is no name that AWS takes.")
    return RetrievalError(UNAVAILABLE, hint="Ask again in a moment.")
