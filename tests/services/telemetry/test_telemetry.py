"""What is told of a run and of a refusal, and what never is."""

import json
import logging

import pytest
from hypothesis import given
from hypothesis import strategies as st

from services.public_settings import TelemetrySettings
from services.telemetry import Metrics, Reporter, RunRecord
from services.telemetry.lines import LONGEST, LineFormatter, escape_line

RECORD = RunRecord(
    run="r1",
    owner="an owner",
    model="a model",
    code="stop",
    input_tokens=10,
    output_tokens=20,
    cost_usd=0.25,
    first_event_ms=3,
    first_token_ms=40,
    duration_ms=1500,
    loop_lag_ms=2.5,
    eta_error_ms=120,
)


class Clock:
    now = 1_900_000_000.0

    def __call__(self) -> float:
        return self.now


def test_a_run_is_one_line_of_emf_that_cloudwatch_reads() -> None:
    """Its metrics by service, and by service and code; each metric has its value."""
    lines: list[str] = []
    settings = TelemetrySettings(metrics="emf", service="guide")
    Reporter(settings, write=lines.append, clock=Clock()).report_run(RECORD)
    (line,) = lines
    said = json.loads(line)
    (directive,) = said["_aws"]["CloudWatchMetrics"]
    assert said["_aws"]["Timestamp"] == 1_900_000_000_000
    assert directive["Namespace"] == "Riverrun"
    assert directive["Dimensions"] == [["Service"], ["Service", "Code"]]
    values = {one["Name"]: (said[one["Name"]], one["Unit"]) for one in directive["Metrics"]}
    assert values == {
        "Runs": (1, "Count"),
        "CostUsd": (0.25, "None"),
        "InputTokens": (10, "Count"),
        "OutputTokens": (20, "Count"),
        "DurationMs": (1500, "Milliseconds"),
        "FirstEventMs": (3, "Milliseconds"),
        "FirstTokenMs": (40, "Milliseconds"),
        "ModelUnavailable": (0, "Count"),
        "Resumes": (0, "Count"),
        "LoopLagMs": (2.5, "Milliseconds"),
        "EtaErrorMs": (120, "Milliseconds"),
    }
    assert (said["Service"], said["Code"], said["run"]) == ("guide", "stop", "r1")
    assert "an owner" not in line


def test_a_run_is_one_json_line_elsewhere(caplog: pytest.LogCaptureFixture) -> None:
    """The owner is a hash: the same for one owner, and of no use."""
    reporter = Reporter(TelemetrySettings())
    with caplog.at_level(logging.INFO, "riverrun.runs"):
        reporter.report_run(RECORD)
    said = json.loads(caplog.records[0].getMessage())
    assert said["durationMs"] == 1500
    assert said["owner"] != RECORD.owner
    assert set(said) == {
        "event", "run", "owner", "model", "code", "streaming", "inputTokens", "outputTokens",
        "costUsd", "sources", "firstEventMs", "firstTokenMs", "durationMs", "loopLagMs",
        "etaErrorMs",
    }  # fmt: skip


def test_a_flood_of_refusals_is_no_flood_of_lines() -> None:
    """A thousand in a second are told twice, and none is lost."""
    clock, lines = Clock(), list[str]()
    reporter = Reporter(TelemetrySettings(metrics="emf"), write=lines.append, clock=clock)
    for _ in range(1000):
        clock.now += 0.001
        reporter.refuse("unauthorized")
    clock.now += 5
    reporter.refuse("rate_limited", "total")
    said = [json.loads(line) for line in lines]
    assert sum(one.get("Refused", 0) for one in said) == 1001
    assert [one["LimitsHit"] for one in said if "LimitsHit" in one] == [1]
    assert len(lines) == 4


def test_prometheus_reads_what_is_written() -> None:
    """Types once, buckets that add up, labels that cannot break a line."""
    metrics = Metrics()
    metrics.count("runs_total", code='a"b\\c\nd')
    metrics.count("runs_total", 2, code="stop")
    metrics.set("event_loop_lag_ms", 1.5)
    for milliseconds in (0.5, 3, 3, 1_000_000):
        metrics.time("run_ms", milliseconds)
    lines = metrics.render().splitlines()
    assert 'riverrun_runs_total{code="a\\"b\\\\c\\nd"} 1' in lines
    assert "riverrun_event_loop_lag_ms 1.5" in lines
    assert 'riverrun_run_ms_bucket{le="5"} 3' in lines
    assert 'riverrun_run_ms_bucket{le="+Inf"} 4' in lines
    assert "riverrun_run_ms_count 4" in lines
    assert len([line for line in lines if line.startswith("# TYPE riverrun_runs_total")]) == 1
    assert metrics.value("runs_total", code="stop") == 2


@given(st.text())
def test_a_record_is_one_line_whatever_it_holds(text: str) -> None:
    """No line break, no escape sequence, nothing that turns the direction of a line."""
    record = logging.LogRecord("a", logging.ERROR, "f", 1, "%s", (text,), None)
    line = LineFormatter().format(record)
    assert len(line.splitlines()) <= 1
    assert not set(line) & set("\x00\x07\x1b\r\n\x85\u2028\u2029\u202e\x9b")
    line.encode()


def test_a_record_is_bounded_and_keeps_its_end() -> None:
    """Where a traceback says what happened."""
    said = "forged\r\nERROR root: all is well\x1b[2J" + "x" * 100_000 + "the end"
    with pytest.raises(KeyError) as caught:
        dict[str, str]()[said]
    exc_info = (caught.type, caught.value, caught.tb)
    line = LineFormatter().format(
        logging.LogRecord("a", logging.ERROR, "f", 1, "no %d", ("number",), exc_info)
    )
    assert len(line) < LONGEST + 1024
    assert line.startswith("ERROR a: no %d")
    assert line.endswith("the end'")
    assert "\n" not in line
    assert escape_line("a\tb\x1b[31m") == "a\\tb\\x1b[31m"
