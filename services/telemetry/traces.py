"""A trace of a run for OpenTelemetry, by its conventions for generative AI.

The SDK is imported only where an exporter is named; without it `open_tracer` gives None and nothing
is done. Spans are made when a run has ended, with the times its own events have: a trace costs
nothing while an answer streams.
"""

import logging
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Protocol

from ..errors import SetupError
from ..public_settings import TelemetrySettings
from .record import RunRecord

logger = logging.getLogger("riverrun.traces")

_NANOS = 1_000_000


@dataclass(frozen=True, slots=True)
class TraceStep:
    """A step of a run: its name, and from when to when it took, in epoch milliseconds."""

    name: str
    start: int
    end: int
    failed: bool = False


class Tracer(Protocol):
    """Makes the spans of a run that has ended."""

    def trace_run(
        self, record: RunRecord, start: int, steps: Sequence[TraceStep], parent: str
    ) -> str:
        """Make them, below the span that the header `parent` names. Returns the trace's id."""

    def close(self) -> None:
        """Send what is left."""


def open_tracer(settings: TelemetrySettings, *, exporter: Any | None = None) -> Tracer | None:
    """Open the exporter of the settings; None where none is named.

    Raises `SetupError` when OpenTelemetry is not installed.
    """
    if not settings.otlp_endpoint and exporter is None:
        return None
    try:
        from opentelemetry.sdk.resources import Resource
        from opentelemetry.sdk.trace import TracerProvider
        from opentelemetry.sdk.trace.export import BatchSpanProcessor, SimpleSpanProcessor

        processor: Any
        if exporter is not None:
            processor = SimpleSpanProcessor(exporter)
        else:
            from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter

            processor = BatchSpanProcessor(OTLPSpanExporter())
    except ImportError as error:
        raise SetupError(
            "OTEL_EXPORTER_OTLP_ENDPOINT is set, and OpenTelemetry is not installed: "
            "pip install opentelemetry-sdk opentelemetry-exporter-otlp-proto-http"
        ) from error
    provider = TracerProvider(resource=Resource.create({"service.name": settings.service}))
    provider.add_span_processor(processor)
    return _OpenTelemetry(provider)


class _OpenTelemetry:
    def __init__(self, provider: Any) -> None:
        self._provider = provider
        self._tracer = provider.get_tracer("riverrun")

    def trace_run(
        self, record: RunRecord, start: int, steps: Sequence[TraceStep], parent: str
    ) -> str:
        from opentelemetry import trace
        from opentelemetry.trace.propagation.tracecontext import TraceContextTextMapPropagator

        context = TraceContextTextMapPropagator().extract({"traceparent": parent})
        root = self._tracer.start_span(
            "invoke_agent riverrun",
            context=context,
            kind=trace.SpanKind.SERVER,
            start_time=start * _NANOS,
            attributes=_attributes(record),
        )
        below = trace.set_span_in_context(root)
        for step in steps:
            span = self._tracer.start_span(
                _span_name(step.name, record),
                context=below,
                start_time=step.start * _NANOS,
                attributes=_step_attributes(step.name, record),
            )
            if step.failed:
                span.set_status(trace.StatusCode.ERROR)
            span.end(end_time=step.end * _NANOS)
        if record.code not in ("stop", "length", "budget", "cancelled", "paused"):
            root.set_status(trace.StatusCode.ERROR, record.code)
            root.set_attribute("error.type", record.code)
        root.end(end_time=(start + record.duration_ms) * _NANOS)
        return f"{root.get_span_context().trace_id:032x}"

    def close(self) -> None:
        self._provider.shutdown()


# The names of the pipeline's steps, in the convention's words.
_OPERATIONS = {"answer": "chat", "retrieval": "retrieval", "search": "retrieval"}


def _span_name(step: str, record: RunRecord) -> str:
    operation = _OPERATIONS.get(step)
    if operation == "chat" and record.model:
        return f"chat {record.model}"
    return operation or step


def _attributes(record: RunRecord) -> Mapping[str, Any]:
    said: dict[str, Any] = {
        "gen_ai.operation.name": "invoke_agent",
        "gen_ai.agent.name": "riverrun",
        "gen_ai.request.model": record.model,
        "gen_ai.response.model": record.model,
        "gen_ai.usage.input_tokens": record.input_tokens,
        "gen_ai.usage.output_tokens": record.output_tokens,
        "gen_ai.response.finish_reasons": (record.code,),
        "riverrun.run": record.run,
        "riverrun.cost_usd": record.cost_usd,
        "riverrun.first_event_ms": record.first_event_ms,
        "riverrun.first_token_ms": record.first_token_ms,
        "riverrun.resumed": record.resumed,
    }
    return {name: value for name, value in said.items() if value is not None}


def _step_attributes(step: str, record: RunRecord) -> Mapping[str, Any]:
    operation = _OPERATIONS.get(step)
    if operation is None:
        return {"riverrun.step": step}
    said: dict[str, Any] = {"gen_ai.operation.name": operation, "riverrun.step": step}
    if operation == "chat":
        said["gen_ai.request.model"] = record.model
        said["gen_ai.usage.input_tokens"] = record.input_tokens
        said["gen_ai.usage.output_tokens"] = record.output_tokens
    return {name: value for name, value in said.items() if value is not None}
