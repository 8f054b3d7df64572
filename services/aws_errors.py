"""The codes by which AWS's services refuse a call, in one table for all callers.

A service spells one refusal in several ways, and two services spell it differently; what a refusal
means to a client is each caller's to say. Knows no service and imports no boto3.
"""

from typing import Literal

Refusal = Literal["missing", "credentials", "throttled", "unavailable", "other"]

_MISSING = (
    "404",
    "NoSuchBucket",
    "NoSuchKey",
    "NoSuchVectorBucket",
    "NotFoundException",
    "ResourceNotFoundException",
    "TableNotFoundException",
)
_CREDENTIALS = (
    "403",
    "AccessDenied",
    "AccessDeniedException",
    "ExpiredToken",
    "ExpiredTokenException",
    "IncompleteSignature",
    "IncompleteSignatureException",
    "InvalidAccessKeyId",
    "InvalidClientTokenId",
    "InvalidSignatureException",
    "MissingAuthenticationToken",
    "MissingAuthenticationTokenException",
    "NotAuthorized",
    "OptInRequired",
    "RequestExpired",
    "SignatureDoesNotMatch",
    "UnrecognizedClientException",
)
_THROTTLED = (
    "LimitExceededException",
    "ProvisionedThroughputExceededException",
    "RequestLimitExceeded",
    "ServiceQuotaExceededException",
    "SlowDown",
    "TooManyRequestsException",
)
_UNAVAILABLE = (
    "InternalServerError",
    "ItemCollectionSizeLimitExceededException",
    "ReplicatedWriteConflictException",
    "RequestTimeout",
    "RequestTimeoutException",
    "ServiceUnavailable",
    "ServiceUnavailableException",
    "TransactionConflictException",
    "TransactionInProgressException",
)

_REFUSALS: dict[str, Refusal] = {
    **dict.fromkeys(_MISSING, "missing"),
    **dict.fromkeys(_CREDENTIALS, "credentials"),
    **dict.fromkeys(_THROTTLED, "throttled"),
    **dict.fromkeys(_UNAVAILABLE, "unavailable"),
}


def code_of(error: BaseException) -> str:
    """Return the service's own code of a failed call; "" where it has none."""
    response = getattr(error, "response", None)
    return str(response.get("Error", {}).get("Code", "")) if isinstance(response, dict) else ""


def classify(code: str, status: int = 0) -> Refusal:
    """Return what the refusal `code`, with the HTTP `status` of its response, comes from."""
    if (refusal := _REFUSALS.get(code)) is not None:
        return refusal
    if code.startswith("Throttl") or status == 429:
        return "throttled"
    return "unavailable" if status >= 500 else "other"
