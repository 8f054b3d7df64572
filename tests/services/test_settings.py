"""What the environment says about models, and how a slip in it is told."""

from pathlib import Path

import pytest

from services.errors import SetupError
from services.settings import Settings, read_settings


def test_an_environment_that_says_nothing_gets_the_defaults() -> None:
    """But for the log, which is kept on disk."""
    assert read_settings({}) == Settings(log="sqlite://")


def test_everything_about_models() -> None:
    """Each variable where it belongs."""
    settings = read_settings(
        {
            "RIVERRUN_CHAT": "bedrock",
            "RIVERRUN_CHAT_MODEL": "a, b",
            "RIVERRUN_CHAT_TOKENS": "300",
            "RIVERRUN_CHAT_TEMPERATURE": "0",
            "RIVERRUN_CHAT_TIMEOUT": "20",
            "RIVERRUN_CHAT_INSTRUCTIONS": "x.txt",
            "RIVERRUN_CHAT_AFTER_TEXT": "restart",
            "RIVERRUN_CHAT_CACHE": "on",
            "RIVERRUN_GUARDRAIL": "g:1",
            "OPENAI_BASE_URL": "http://localhost:11434/v1",
            "OPENAI_API_KEY": "sk-1",
            "RIVERRUN_PRICES": "p.json",
            "RIVERRUN_BUDGET_USD": "0.05",
            "RIVERRUN_BUDGET_TOKENS": "5000",
        }
    )
    assert settings == Settings(
        log="sqlite://",
        chat="bedrock",
        chat_models=("a", "b"),
        chat_tokens=300,
        chat_temperature=0.0,
        chat_timeout=20.0,
        chat_instructions=Path("x.txt"),
        chat_after_text="restart",
        chat_cache="5m",
        guardrail="g:1",
        openai_base_url="http://localhost:11434/v1",
        openai_api_key="sk-1",
        prices=Path("p.json"),
        budget_usd=0.05,
        budget_tokens=5000,
    )
    assert "sk-1" not in repr(settings)


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("RIVERRUN_CHAT", "oracle"),
        ("RIVERRUN_CHAT_TOKENS", "0"),
        ("RIVERRUN_CHAT_TEMPERATURE", "hot"),
        ("RIVERRUN_CHAT_TEMPERATURE", "2.5"),
        ("RIVERRUN_CHAT_TIMEOUT", "0"),
        ("RIVERRUN_CHAT_AFTER_TEXT", "perhaps"),
        ("RIVERRUN_CHAT_CACHE", "yes"),
        ("RIVERRUN_BUDGET_USD", "-1"),
        ("RIVERRUN_BUDGET_USD", "nan"),
        ("RIVERRUN_BUDGET_USD", "inf"),
        ("RIVERRUN_BUDGET_TOKENS", "many"),
    ],
)
def test_a_slip_names_its_variable(name: str, value: str) -> None:
    """At start."""
    with pytest.raises(SetupError, match=name):
        read_settings({name: value})


@pytest.mark.parametrize(
    "name", ["RIVERRUN_API_KEYS", "RIVERRUN_GATEWAY_SECRETS", "RIVERRUN_ALLOWED_ORIGINS"]
)
@pytest.mark.parametrize("value", ["", ",", " ", "\n", " , ,\r\n", "\t,"])
def test_a_guard_that_is_set_and_empty_stops_the_start(name: str, value: str) -> None:
    """Read as absent, a slip in a secret would let every caller in."""
    with pytest.raises(SetupError, match=name):
        read_settings({name: value})


def test_keys_and_origins_are_read_with_blanks_and_line_ends_around_them() -> None:
    """A secret that was written with `echo` ends with a line end."""
    settings = read_settings(
        {
            "RIVERRUN_API_KEYS": " one , two\n",
            "RIVERRUN_ALLOWED_ORIGINS": "https://a.example, http://localhost:5173",
            "RIVERRUN_FRAME_ORIGINS": "https://b.example",
        }
    )
    assert settings.frame_origins == ("https://b.example",)
    assert settings.api_keys == ("one", "two")
    assert settings.allowed_origins == ("https://a.example", "http://localhost:5173")


@pytest.mark.parametrize(
    "origin",
    [
        "null",
        "a.example",
        "https://a.example/",
        "https://*.example",
        "https://u@a.example",
        "HTTPS://A",
    ],
)
def test_what_no_browser_sends_as_an_origin_is_refused(origin: str) -> None:
    """It would never match, and nothing would say why."""
    with pytest.raises(SetupError, match="no origin"):
        read_settings({"RIVERRUN_ALLOWED_ORIGINS": origin})


@pytest.mark.parametrize(
    ("environ", "seconds"),
    [
        ({"RIVERRUN_WEB_TIMEOUT": "900"}, 888),
        ({"RIVERRUN_WEB_TIMEOUT": "10"}, 5),
        ({"RIVERRUN_WEB_TIMEOUT": "10", "RIVERRUN_WEB_MARGIN": "0"}, 10),
        ({"RIVERRUN_WEB_TIMEOUT": "900", "RIVERRUN_RESPONSE_SECONDS": "60"}, 60),
        ({"RIVERRUN_WEB_MARGIN": "3"}, None),
    ],
)
def test_a_response_ends_before_its_web_function_is_cut(
    environ: dict[str, str], seconds: float | None
) -> None:
    """A margin is left for the wait before it began, at most half of the time."""
    assert read_settings(environ).response_seconds == seconds


@pytest.mark.parametrize(
    ("environ", "kind"),
    [
        ({}, "server"),
        ({"AWS_LAMBDA_FUNCTION_NAME": "chat"}, "function"),
        ({"AWS_LAMBDA_INITIALIZATION_TYPE": "native-http"}, "web-function"),
        # Set in both kinds of environment, and no sign of either.
        ({"AWS_LAMBDA_RUNTIME_API": "127.0.0.1:9001"}, "server"),
    ],
)
def test_the_host_is_known_by_what_only_it_sets(environ: dict[str, str], kind: str) -> None:
    """Which `/api/health` says."""
    assert read_settings(environ).host_kind == kind


@pytest.mark.parametrize("name", ["RIVERRUN_VISITOR_USD_PER_DAY", "RIVERRUN_TOTAL_USD_PER_DAY"])
def test_a_days_dollars_need_a_budget(name: str) -> None:
    """Without one an answer would reserve nothing, and a flood would pass the day's limit."""
    with pytest.raises(SetupError, match="RIVERRUN_BUDGET_USD"):
        read_settings({name: "5"})
    settings = read_settings({name: "5", "RIVERRUN_BUDGET_USD": "0.02"})
    assert settings.budget_usd == 0.02
