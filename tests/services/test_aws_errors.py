"""The codes by which AWS's services refuse a call, however a service spells them."""

import pytest

from services.aws_errors import classify, code_of


@pytest.mark.parametrize(
    ("code", "status", "expected"),
    [
        ("NoSuchBucket", 404, "missing"),
        ("ResourceNotFoundException", 400, "missing"),
        ("ExpiredTokenException", 400, "credentials"),
        ("InvalidSignatureException", 403, "credentials"),
        ("ThrottlingException", 400, "throttled"),
        ("Throttling", 400, "throttled"),
        ("SlowDown", 503, "throttled"),
        ("", 500, "unavailable"),
        ("", 429, "throttled"),
        ("ValidationException", 400, "other"),
        ("", 0, "other"),
    ],
)
def test_a_refusal_is_known_by_its_code_and_its_status(
    code: str, status: int, expected: str
) -> None:
    assert classify(code, status) == expected


def test_an_error_without_a_response_has_no_code() -> None:
    """As those of the connection have none."""
    refused = ValueError("no")
    assert code_of(refused) == ""
    refused.response = {"Error": {"Code": "NoSuchKey"}}  # type: ignore[attr-defined]
    assert code_of(refused) == "NoSuchKey"
