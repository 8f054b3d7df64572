"""Traces of runs, as OpenTelemetry's own SDK exports them."""

import subprocess
import sys

import pytest
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter

from services.public_settings import TelemetrySettings
from services.telemetry import RunRecord
from services.telemetry.traces import TraceStep, open_tracer

PARENT = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"
START = 1_900_000_000_000


def test_a_run_is_a_span_with_one_for_each_step() -> None:
    """Below the caller's own span, with the convention's names and the events' times."""
    exporter = InMemorySpanExporter()
    tracer = open_tracer(TelemetrySettings(service="guide"), exporter=exporter)
    assert tracer is not None
    record = RunRecord(run="r1", model="m", code="stop", input_tokens=3, duration_ms=900)
    steps = [
        TraceStep("retrieval", START, START + 100),
        TraceStep("answer", START + 100, START + 900),
    ]
    assert tracer.trace_run(record, START, steps, PARENT) == PARENT.split("-")[1]
    search, chat, root = exporter.get_finished_spans()
    assert [span.name for span in (root, search, chat)] == [
        "invoke_agent riverrun", "retrieval", "chat m",
    ]  # fmt: skip
    assert root.parent is not None
    assert f"{root.parent.span_id:016x}" == PARENT.split("-")[2]
    assert root.context is not None
    assert {one.parent.span_id for one in (search, chat) if one.parent} == {root.context.span_id}
    assert (root.start_time, root.end_time) == (START * 1_000_000, (START + 900) * 1_000_000)
    assert chat.attributes is not None
    assert chat.attributes["gen_ai.operation.name"] == "chat"
    assert chat.attributes["gen_ai.usage.input_tokens"] == 3
    assert root.resource.attributes["service.name"] == "guide"


@pytest.mark.parametrize("parent", ["", "x", "00-0-0-00", PARENT + "\r\nX: y", "00-" + "f" * 5000])
def test_a_header_that_names_no_span_begins_a_trace(parent: str) -> None:
    """Whatever a stranger sends."""
    exporter = InMemorySpanExporter()
    tracer = open_tracer(TelemetrySettings(), exporter=exporter)
    assert tracer is not None
    record = RunRecord(run="r1", code="provider_error")
    assert len(tracer.trace_run(record, START, [], parent)) == 32
    (root,) = exporter.get_finished_spans()
    assert root.parent is None
    assert root.attributes is not None
    assert root.attributes["error.type"] == "provider_error"


def test_nothing_is_loaded_where_no_exporter_is_named() -> None:
    """A cold start pays for what it uses."""
    code = (
        "import sys; from services.telemetry import traces;"
        "from services.public_settings import TelemetrySettings as T;"
        "assert traces.open_tracer(T()) is None;"
        "assert not [m for m in sys.modules if m.startswith('opentelemetry')]"
    )
    subprocess.run([sys.executable, "-c", code], check=True)
