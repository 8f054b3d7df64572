"""Refused parameters, errors in every shape, usage in odd places and small things, as sent."""
# ruff: noqa: E501 - rows of a table

import json

from tests.services.chat.providers.quirks import (
    COUNTED,
    DONE,
    EXTRA,
    HALF,
    PAGE,
    SECOND,
    STOP,
    WHOLE,
    Quirk,
    lines,
    refuse,
    says,
    stream,
    unless,
    whole,
)

PARAMETERS = [
    Quirk(name="max_tokens", source="opencode#37964 (Azure), dify#9746", calls=2,
          log="max_completion_tokens for max_tokens", reply=unless("max_tokens", refuse(400, says(
              "Unsupported parameter: 'max_tokens' is not supported with this model. Use "
              "'max_completion_tokens' instead.", param="max_tokens",
              code="unsupported_parameter")))),
    Quirk(name="max_tokens, FastAPI", source="php-mistral#76", calls=2, log="max_completion_tokens",
          reply=unless("max_tokens", refuse(422, {"detail": [
              {"type": "extra_forbidden", "loc": ["body", "max_tokens"], "msg": EXTRA,
               "input": 1024}]}))),
    Quirk(name="temperature", source="gpt-5; Kimi K2.6 (bike4mind#1089)", calls=2,
          settings={"temperature": 0.0}, log="no temperature",
          reply=unless("temperature", refuse(400, says(
              "invalid temperature: only 1 is allowed for this model")))),
    Quirk(name="temperature, OpenAI", source="OpenAI o-series", calls=2, log="no temperature",
          settings={"temperature": 0.0}, reply=unless("temperature", refuse(400, says(
              "Unsupported value: 'temperature' does not support 0 with this model. Only the "
              "default (1) value is supported.", param="temperature", code="unsupported_value")))),
    Quirk(name="stream_options, FastAPI", source="gpustack#429", calls=2, log="no stream_options",
          reply=unless("stream_options", refuse(422, {"detail": [
              {"type": "extra_forbidden", "loc": ["body", "stream_options"], "msg": EXTRA,
               "input": {"include_usage": True}}]}))),
    Quirk(name="stream_options, Azure", source="semantic-kernel#10510", calls=2,
          log="no stream_options", reply=unless("stream_options", refuse(400, {"error": {
              "code": "BadRequest",
              "message": f"Validation error at #/stream_options: {EXTRA}"}}))),
    Quirk(name="stream_options, Fireworks", source="Flowise#2866", calls=2, log="no stream_options",
          reply=unless("stream_options", refuse(400, {"error": {
              "object": "error", "type": "invalid_request_error",
              "message": f"{EXTRA}, field: 'stream_options'"}}))),
    Quirk(name="stream_options, NIM", source="garak#748", calls=2, log="no stream_options",
          reply=unless("stream_options", refuse(422, {
              "type": "urn:inference-service:problem-details:unprocessable-entity",
              "title": "Unprocessable Entity", "status": 422,
              "detail": f"body -> stream_options\n  {EXTRA} (type=extra_forbidden)"}))),
    Quirk(name="stream_options, a function", source="home-made servers", calls=2,
          log="no stream_options", reply=unless("stream_options", refuse(
              500, b"chat() got an unexpected keyword argument 'stream_options'",
              Content_Type="text/plain"))),
    Quirk(name="an effort it has not", source="Groq, gpt-oss", calls=2, log="reasoning_effort low",
          settings={"effort": "minimal"}, reply=lambda call: refuse(400, says(
              "`reasoning_effort` must be one of `low`, `medium`, or `high`, unsupported value"))
          if call.body.get("reasoning_effort") == "minimal" else whole()),
    Quirk(name="no effort at all", source="gpt-4.1", calls=2, log="no reasoning_effort",
          settings={"effort": "low"}, reply=unless("reasoning_effort", refuse(400, says(
              "Unrecognized request argument supplied: reasoning_effort")))),
    Quirk(name="a limit too high", source="gpt-4o, Groq", calls=2, log="a limit of 512 tokens",
          reply=lambda call: refuse(400, says(
              "max_tokens is too large: 1024. This model supports at most 512 completion tokens."))
          if call.body.get("max_tokens", 0) > 512 else whole()),
    Quirk(name="no room for thoughts", source="vLLM, fast-agent#621", calls=2,
          settings={"effort": "low"}, log="without room for thoughts",
          reply=lambda call: refuse(400, says(
              "This model's maximum context length is 4096 tokens. However, you requested 9916 tokens "
              "(700 in the messages, 9216 in the completion)."))
          if call.body["max_tokens"] > 3396 else whole()),
    Quirk(name="no system prompt", source="Gemma, o1-mini", calls=2, log="first question",
          reply=lambda call: refuse(400, says(
              "Unsupported value: 'messages[0].role' does not support 'system' with this model."))
          if call.body["messages"][0]["role"] == "system" else whole()),
    Quirk(name="two parameters, one by one", source="the kind", calls=3, log="no stream_options",
          reply=lambda call: refuse(422, {"detail": [{"loc": ["body", "stream_options"], "msg": EXTRA}]})
          if "stream_options" in call.body else refuse(
              400, says("Unknown field: max_tokens")) if "max_tokens" in call.body else whole()),
    Quirk(name="refuses everything", source="the kind", text="", code="provider_error", calls=2,
          reply=refuse(400, says("Unsupported parameter: 'stream_options'."))),
]  # fmt: skip

ERRORS = [
    Quirk(name="error as text", source="Ollama", text="", code="provider_error",
          reply=refuse(404, {"error": 'model "tiny" not found, try pulling it first'}),
          log="try pulling it first"),
    Quirk(name="message alone", source="API gateways", text="", code="provider_error",
          reply=refuse(403, {"message": "Forbidden"}), log="403: Forbidden"),
    Quirk(name="detail as text", source="FastAPI", text="", code="provider_error",
          reply=refuse(401, {"detail": "Invalid token"}), log="401: Invalid token"),
    Quirk(name="429 that is too long", source="vercel/ai#6534 (TPM)", text="",
          code="context_too_long", reply=refuse(429, says(
              "Request too large for gpt-4.1 on tokens per min (TPM): Limit 30000, Requested 35364. "
              "The input or output tokens must be reduced in order to run successfully.",
              code="rate_limit_exceeded"))),
    Quirk(name="too long, vLLM", source="vLLM", text="", code="context_too_long", reply=refuse(400, {
        "object": "error", "type": "BadRequestError", "code": 400, "message":
        "This model's maximum context length is 4096 tokens. However, you requested 5000 tokens"})),
    Quirk(name="too long, llama.cpp", source="llama.cpp", text="", code="context_too_long",
          reply=refuse(400, {"error": {"code": 400, "type": "exceed_context_size_error", "message":
                       "the request exceeds the available context size"}})),
    Quirk(name="too long, Anthropic", source="aibridge#56", text="", code="context_too_long",
          reply=refuse(400, {"type": "error", "error": {"type": "invalid_request_error",
                       "message": "prompt is too long: 205351 tokens > 200000 maximum"}})),
    Quirk(name="out of credits", source="OpenRouter", text="", code="provider_throttled",
          reply=refuse(402, says("This request requires more credits", code=402)), log="credits"),
    Quirk(name="a filter, Azure", source="Azure OpenAI", text="", code="content_filtered",
          reply=refuse(400, {"error": {"code": "content_filter", "status": 400, "message":
                       "The response was filtered due to the prompt triggering Azure OpenAI's "
                       "content management policy."}})),
    Quirk(name="a filter, DashScope", source="DashScope", text="", code="content_filtered",
          reply=refuse(400, says("Input data may contain inappropriate content.",
                       code="data_inspection_failed"))),
    Quirk(name="200 with a JSON error", source="octo-agent#910; MiniMax", text="",
          code="provider_error", reply=refuse(200, {"error": {"message": "invalid api key",
                       "type": "authentication_error"}}), log="invalid api key"),
    Quirk(name="200 with base_resp", source="MiniMax", text="", code="provider_error",
          reply=refuse(200, {"base_resp": {"status_code": 1004, "status_msg": "login fail"}}),
          log="1004: login fail"),
    Quirk(name="200 with a login page", source="captive portals, Azure AD", text="",
          code="provider_error", log="a page of HTML: Sign in to your account",
          reply=refuse(200, PAGE, Content_Type="text/html")),
    Quirk(name="a login page that says it streams", source="the kind", text="",
          code="provider_error", reply=stream(PAGE), log="a page of HTML"),
    Quirk(name="a gateway's page", source="nginx, Cloudflare", text="", code="provider_error",
          calls=3, reply=refuse(502, b"<html><head><title>502 Bad Gateway</title></head></html>",
                       Content_Type="text/html"), log="502: a page of HTML: 502 Bad Gateway"),
    Quirk(name="an error object in the stream", source="OmniRoute#8210", code="provider_throttled",
          text="Half an ", log="request limit reached", reply=stream(lines(HALF, {
              "choices": [], "error": {"code": 429,
                                       "message": "Worker local total request limit reached (33/32)"}}))),
    Quirk(name="an error and finish_reason error", source="local-operator#223", text="Half an ",
          code="provider_error", log="Provider disconnected", reply=stream(lines(HALF, {
              "error": {"code": 502, "message": "Provider disconnected"},
              "choices": [{"index": 0, "delta": {"content": ""}, "finish_reason": "error"}]}))),
    Quirk(name="an event named error", source="tidebreak#1122, gptel#1512", text="Half an ",
          code="provider_throttled", log="Overloaded", reply=stream(
              lines(HALF) + b'event: error\ndata: {"type": "error", "error": {"type": '
              b'"overloaded_error", "message": "Overloaded"}}\n\n')),
    Quirk(name="an event named error, in text", source="home-made servers", text="Half an ",
          code="provider_timeout", log="upstream timed out",
          reply=stream(lines(HALF) + b"event: error\ndata: upstream timed out\n\n")),
    Quirk(name="an error as text in the stream", source="TGI, Ollama", text="Half an ",
          code="provider_error", log="CUDA out of memory",
          reply=stream(lines(HALF, {"error": "CUDA out of memory", "error_type": "generation"}))),
    Quirk(name="FastAPI's detail in the stream", source="home-made servers", text="Half an ",
          code="provider_error", log="boom", reply=stream(lines(HALF, {"detail": "boom"}))),
    Quirk(name="a message and no success", source="gateways", text="Half an ",
          code="provider_throttled", log="rate limit",
          reply=stream(lines(HALF, {"success": False, "code": 1302, "msg": "rate limit reached"}))),
    Quirk(name="a greeting is no error", source="gateways",
          reply=stream(lines({"code": 0, "message": "success"}, *WHOLE, STOP, DONE))),
    Quirk(name="a redirect to a page", source="identity proxies", text="", code="provider_error",
          log="307", reply=lambda call: refuse(307, b"", Location="/login")
          if call.path.endswith("completions") else refuse(200, PAGE, Content_Type="text/html")),
    Quirk(name="an error after the end", source="the kind",
          reply=stream(lines(*WHOLE, STOP, {"error": {"message": "too late"}}))),
    Quirk(name="line by line", source="NDJSON gateways", reply=stream(
        b"".join(json.dumps(value).encode() + b"\n" for value in (HALF, SECOND, STOP)),
        kind="application/x-ndjson")),
    Quirk(name="Ollama's own lines", source="Ollama's /api/chat", usage=(9, 4, 0), reply=stream(
        b'{"message": {"role": "assistant", "content": "Half an "}, "done": false}\n',
        b'{"message": {"content": "answer."}, "done": false}\n{"message": {"content": ""}, "done": '
        b'true, "done_reason": "stop", "prompt_eval_count": 9, "eval_count": 4}\n',
        kind="application/x-ndjson")),
    Quirk(name="an error on a line", source="Ollama", text="", code="provider_error", calls=1,
          log="unexpected EOF", reply=stream(b'{"error": "unexpected EOF"}\n')),
    Quirk(name="a whole completion", source="servers that ignore stream", usage=(10, 4, 0),
          reply=refuse(200, {"object": "chat.completion", "choices": [{"index": 0, "message": {
              "role": "assistant", "content": "Half an answer."}, "finish_reason": "stop"}],
              "usage": {"prompt_tokens": 10, "completion_tokens": 4, "total_tokens": 14}})),
    Quirk(name="a whole completion, in lines", source="the kind", reply=refuse(200, json.dumps(
        {"choices": [{"message": {"content": "Half an answer."}, "finish_reason": "stop"}]},
        indent=2).encode())),
    Quirk(name="half a completion", source="the kind", text="", code="provider_truncated", calls=3,
          reply=refuse(200, b'{"choices": [{"message": {"content": "Half an')),
    Quirk(name="the error of another inside", source="LiteLLM, OpenRouter", text="",
          code="context_too_long", reply=refuse(400, {"error": {
              "message": "Provider returned error", "code": 400, "metadata": {
                  "raw": '{"error": {"message": "prompt is too long: 9 tokens > 8 maximum"}}'}}})),
    Quirk(name="a list of errors", source="Google", text="", code="provider_error",
          log="API key not valid", reply=refuse(400, [{"error": {"code": 400, "status":
                       "INVALID_ARGUMENT", "message": "API key not valid."}}])),
    Quirk(name="a key in the error", source="OpenAI", text="", code="provider_error",
          log="Incorrect API key provided: [redacted]",
          reply=refuse(401, says("Incorrect API key provided: sk-abcdef123456.",
                       code="invalid_api_key"))),
    Quirk(name="control characters in the error", source="the kind", text="", code="provider_error",
          log="bad \N{REPLACEMENT CHARACTER}[31m", reply=refuse(400, {"error": "bad \x1b[31m\r\nword"})),
    Quirk(name="Retry-After of a minute", source="OpenAI, Azure", text="", code="provider_throttled",
          reply=refuse(429, says("Rate limit reached"), Retry_After="60")),
    Quirk(name="no content", source="the kind", text="", code="provider_truncated", calls=3,
          reply=refuse(204, b"")),
    Quirk(name="an empty stream", source="octo-agent#910", text="", code="provider_truncated",
          calls=3, reply=stream()),
    Quirk(name="plain text and nothing else", source="home-made servers", text="",
          code="provider_throttled", calls=3, log="server is busy",
          reply=stream(b"data: server is busy\n\n")),
]  # fmt: skip

USAGE = [
    Quirk(name="zeros last", source="Cogtrix#2376; gateways", usage=(10, 4, 0), reply=stream(lines(
        *WHOLE, STOP, COUNTED, {"choices": [], "usage": {"prompt_tokens": 0, "completion_tokens": 0}},
        DONE))),
    Quirk(name="inside the choice", source="pi#2017, higress#1568 (Moonshot)", usage=(10, 79, 0),
          reply=stream(lines(*WHOLE, {"choices": [{"index": 0, "delta": {}, "finish_reason": "stop",
                       "usage": {"prompt_tokens": 10, "completion_tokens": 79}}]}, DONE))),
    Quirk(name="x_groq", source="Groq", usage=(10, 4, 0), reply=stream(lines(
        *WHOLE, {**STOP, "x_groq": {"usage": {"prompt_tokens": 10, "completion_tokens": 4}}}, DONE))),
    Quirk(name="in every chunk", source="vLLM continuous_usage_stats", usage=(10, 4, 0), reply=stream(
        lines({**HALF, "usage": {"prompt_tokens": 10, "completion_tokens": 1}},
              {**SECOND, "usage": {"prompt_tokens": 10, "completion_tokens": 4}},
              {**STOP, "usage": None}, DONE))),
    Quirk(name="Anthropic's names", source="gateways", usage=(10, 4, 0), reply=stream(lines(
        *WHOLE, STOP, {"choices": [], "usage": {"input_tokens": 10, "output_tokens": 4}}, DONE))),
    Quirk(name="thoughts apart", source="xAI", usage=(10, 24, 20), reply=stream(lines(
        *WHOLE, STOP, {"choices": [], "usage": {
            "prompt_tokens": 10, "completion_tokens": 4, "total_tokens": 34,
            "completion_tokens_details": {"reasoning_tokens": 20}}}, DONE))),
    Quirk(name="numbers that are none", source="the kind", reply=stream(lines(
        *WHOLE, STOP, {"choices": [], "usage": {"prompt_tokens": "many", "completion_tokens": -1}},
        DONE))),
]  # fmt: skip

SMALL = [
    Quirk(name="a second choice", source="n ignored by gateways", reply=stream(lines(
        {"choices": [{"index": 0, "delta": {"content": "Half an "}},
                     {"index": 1, "delta": {"content": "Another "}, "finish_reason": "length"}]},
        {"choices": [{"index": 1, "delta": {"content": "one."}, "finish_reason": "error"}]},
        SECOND, STOP, DONE))),
    Quirk(name="halves of a character", source="rakazo#416, eliza#30904", text="Half \U0001f600.",
          reply=stream(b'data: {"choices": [{"delta": {"content": "Half \\ud83d"}}]}\n\n'
                       b'data: {"choices": [{"delta": {"content": "\\ude00."}}]}\n\n' + lines(STOP))),
    Quirk(name="half a character alone", source="the kind", text="Half \N{REPLACEMENT CHARACTER}",
          reply=stream(b'data: {"choices": [{"delta": {"content": "Half \\ud83d"}}]}\n\n' + lines(STOP))),
    Quirk(name="null here and there", source="vLLM, LM Studio", reply=stream(lines(
        {"choices": None}, {"choices": [{"index": 0, "delta": None, "finish_reason": None}]},
        *WHOLE, {"id": None, "choices": []}, STOP, DONE))),
    Quirk(name="text of a completion", source="llama.cpp's /completion", reply=stream(lines(
        {"choices": [{"index": 0, "text": "Half an answer."}]}, STOP, DONE))),
    Quirk(name="half a chunk", source="the kind", text="Half an ", code="provider_truncated",
          reply=stream(lines(HALF) + b'data: {"choices": [{"del')),
    Quirk(name="no JSON", source="the kind", text="Half an ", code="provider_truncated",
          reply=stream(lines(HALF) + b"data: {half\n\n")),
]  # fmt: skip
