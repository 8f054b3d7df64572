"""What the failures of DynamoDB mean in our words, and which are worth another try.

A table, a region or credentials that are at fault are the installation's (`SetupError`, before any
model is paid); what is busy or out of reach may be asked again. boto3's exceptions come in here and
none goes out.
"""

from collections.abc import Mapping, Sequence
from typing import Any

from ...aws_errors import classify
from ...errors import RiverrunError, SetupError
from ..errors import RunLogError

Item = dict[str, Any]
"""Attribute name -> typed value, as DynamoDB spells it: ``{"S": "text"}``."""

_BUSY_REASONS = frozenset(
    {"None", "TransactionConflict", "ThrottlingError", "ProvisionedThroughputExceeded"}
)


class SkewedClockError(RunLogError):
    """AWS refused the time of a signature: the clock is wrong, or this process was frozen."""

    def __init__(self) -> None:
        super().__init__("The run log is busy.", retry_after_ms=1000)


class RefusedError(Exception):
    """A condition did not hold. `items` are the items that stood in the way, where told."""

    def __init__(self, items: Sequence[Item | None]) -> None:
        super().__init__("The condition did not hold.")
        self.items = items


def translate_error(error: Exception, table: str) -> Exception:
    """`error` as one of `RefusedError`, `RunLogError`, `SetupError`; itself when none of AWS's."""
    from botocore.exceptions import BotoCoreError, ClientError

    if isinstance(error, ClientError):
        return _of_response(error.response, table)
    if isinstance(error, BotoCoreError):
        return _of_client(error)
    return error


def _of_response(response: Mapping[str, Any], table: str) -> Exception:
    code = str(response.get("Error", {}).get("Code", ""))
    if code == "ConditionalCheckFailedException":
        return RefusedError([response.get("Item")])
    if code == "TransactionCanceledException":
        return _of_transaction(response.get("CancellationReasons") or ())
    if _is_about_time(code, str(response.get("Error", {}).get("Message", ""))):
        return SkewedClockError()
    status = int(response.get("ResponseMetadata", {}).get("HTTPStatusCode", 0))
    if classify(code, status) in ("throttled", "unavailable"):
        return _busy()
    return _of_setup(code, table)


def _is_about_time(code: str, message: str) -> bool:
    # A wrong key has the same code and another message.
    return code in ("RequestExpired", "RequestTimeTooSkewed") or (
        classify(code) == "credentials"
        and message.startswith(("Signature expired", "Signature not yet current"))
    )


def _of_setup(code: str, table: str) -> RiverrunError:
    refusal = classify(code)
    if refusal == "missing":
        return SetupError(
            f"There is no DynamoDB table {table!r} in this region and account. Deploy the template,"
            " or set RIVERRUN_LOG to the table's name and AWS_REGION to its region."
        )
    if refusal == "credentials":
        return SetupError(
            f"AWS refused the credentials for the DynamoDB table {table!r} ({code}). Check the "
            "role or keys, their rights on the table, and this machine's clock."
        )
    if code == "ValidationException":
        return SetupError(
            f"The DynamoDB table {table!r} does not take our items. Its keys must be the strings "
            "pk (HASH) and sk (RANGE), as in the template; the log has what DynamoDB said."
        )
    return RunLogError("The run log failed.", code="internal", retryable=False)


def _of_transaction(reasons: Sequence[Mapping[str, Any]]) -> Exception:
    codes = {str(reason.get("Code", "None")) for reason in reasons}
    if "ConditionalCheckFailed" in codes:
        return RefusedError([reason.get("Item") for reason in reasons])
    if codes and codes <= _BUSY_REASONS:
        return _busy()
    return RunLogError("The run log failed.", code="internal", retryable=False)


def _of_client(error: Exception) -> RiverrunError:
    from botocore.exceptions import ConnectionError as NotConnectedError
    from botocore.exceptions import (
        HTTPClientError,
        IncompleteReadError,
        NoRegionError,
        ParamValidationError,
    )

    if isinstance(error, NoRegionError):
        return SetupError("No AWS region is set. Set AWS_REGION to the region of the table.")
    if isinstance(error, (HTTPClientError, IncompleteReadError, NotConnectedError)):
        return _busy()
    if isinstance(error, ParamValidationError):
        return RunLogError("The run log failed.", code="internal", retryable=False)
    return SetupError(
        f"AWS cannot be called ({type(error).__name__}). Give this process a role or keys, as for "
        "the AWS command line."
    )


def _busy() -> RunLogError:
    return RunLogError("The run log is busy.", retry_after_ms=1000)
