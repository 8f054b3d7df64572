"""Error names of model services, as codes of the contract."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from services.chat.provider import CHAT_CODES
from services.chat.provider_errors import (
    ERROR_MEANINGS,
    _find_by_name,
    is_error_name,
    list_error_names,
    make_chat_error,
)

EXPECTED = [
    ("ThrottlingException", "provider_throttled", True),
    ("ServiceUnavailableException", "provider_error", True),
    ("InternalServerException", "provider_error", True),
    ("ModelTimeoutException", "provider_timeout", True),
    ("ModelStreamErrorException", "provider_error", False),
    ("ModelErrorException", "provider_error", False),
    ("ValidationException", "provider_error", False),
    ("AccessDeniedException", "provider_error", False),
    ("ResourceNotFoundException", "provider_error", False),
    ("provider_truncated", "provider_truncated", True),
    ("content_filtered", "content_filtered", False),
]


@pytest.mark.parametrize(("name", "code", "retryable"), EXPECTED)
def test_a_name_has_its_code_in_either_letter_case(name: str, code: str, retryable: bool) -> None:
    """Bedrock capitalises an error before a stream and not inside one."""
    spellings = [name] if name in CHAT_CODES else [name, name[0].lower() + name[1:]]
    for spelling in spellings:
        error = make_chat_error(spelling, retry_after_ms=5)
        assert is_error_name(spelling)
        assert (error.code, error.retryable, error.retry_after_ms) == (code, retryable, 5)


def test_every_code_can_be_asked_for_verbatim() -> None:
    """The contract's own codes are names too."""
    assert [make_chat_error(code).code for code in CHAT_CODES] == list(CHAT_CODES)
    assert set(list_error_names()) == {*ERROR_MEANINGS, *CHAT_CODES}


@given(
    st.text(max_size=40)
    .filter(lambda name: _find_by_name(name) is None)
    .filter(lambda name: name not in CHAT_CODES)
)
def test_an_unknown_name_is_a_provider_error_not_worth_repeating(name: str) -> None:
    """A service may invent errors; their names do not reach the message."""
    error = make_chat_error(name)
    assert (error.code, error.retryable) == ("provider_error", False)
    assert error.message == make_chat_error("provider_error").message
