"""The template against everything that has a word in it: the code, AWS's linters, the emulator."""

import json
import re
import subprocess
import sys
from collections.abc import Mapping
from importlib import import_module
from pathlib import Path
from typing import Any

import pytest

from deploy.policy.alarms import render_dashboard
from deploy.policy.permissions import statements
from deploy.policy.violation import functions, variables, web_functions
from deploy.template import broken_rules, choices, defaults, mapping, parse_template, resolve
from services import settings
from services.chat import open_chat
from services.context.stores.s3_vectors_writer import NOT_FILTERED
from services.embedding import open_embedder
from tests.deploy.conftest import ROOT

pytestmark = pytest.mark.slow

HANDLERS = {"chat": "chat", "runs": "runs", "health": "health", "dialects": "web"}
"""The module of each deployed function; that of `dialects` finds the others by itself."""


TEXT = (ROOT / "template.yaml").read_text()
DOCUMENT = parse_template(TEXT)
STACK = resolve(DOCUMENT, defaults(DOCUMENT))
NAMES = re.compile(r"RIVERRUN(?:_[A-Z]+)+")


def as_environ(properties: Mapping[str, Any]) -> dict[str, str]:
    """A function's variables; what only the cloud can fill in stays as it is written."""
    return {
        name: str(mapping(value).get("Fn::Sub", value))
        for name, value in variables(properties).items()
    }


def test_every_setting_is_in_the_template_or_has_its_reason_there() -> None:
    """A new one is decided on when it is written, not when it is missed in the cloud."""
    sources = [*(ROOT / "services").rglob("*.py"), *(ROOT / "functions").glob("*.py")]
    known = {name for path in sources for name in NAMES.findall(path.read_text("utf-8"))}
    known |= set(NAMES.findall((ROOT / "bootstrap").read_text()))
    assert set(NAMES.findall(TEXT)) == known


def test_what_the_template_sets_is_something_the_code_reads() -> None:
    """A misspelt variable is ignored everywhere."""
    code = "".join(path.read_text("utf-8") for path in (ROOT / "services").rglob("*.py"))
    for parameters in choices(DOCUMENT):
        for _, properties in functions(resolve(DOCUMENT, parameters)):
            for name in variables(properties):
                assert name == "AWS_LAMBDA_EXEC_WRAPPER" or f'"{name}"' in code


def test_a_value_that_the_code_does_not_know_yet_is_said_so() -> None:
    """docs/deploying.md names exactly the choices that a function would refuse."""
    known = {
        "Chat": settings.CHAT_PROVIDERS,
        "Embedding": settings.EMBEDDING_PROVIDERS,
        "Log": tuple(scheme.removesuffix("://") for scheme in settings.LOG_SCHEMES),
    }
    offered = {name: DOCUMENT["Parameters"][name]["AllowedValues"] for name in known}
    unknown = {
        f"{name}={value}" for name in known for value in offered[name] if value not in known[name]
    }
    text = (ROOT / "docs" / "deploying.md").read_text("utf-8")
    said = re.search(r"^Not yet in the code.*$", text, re.MULTILINE)
    assert set(re.findall(r"`(\w+=\w+)`", said[0] if said else "")) == unknown


def test_a_deploy_that_says_nothing_is_one_that_the_code_accepts() -> None:
    """The settings of every function, read as the function will read them."""
    for _, properties in functions(STACK):
        read = settings.read_settings(as_environ(properties))
        assert (read.chat, read.embedding) == ("extractive", "local")
        assert read.api_keys == ()
        assert read.log.startswith("dynamodb://")


def test_the_embedded_profile_makes_no_store() -> None:
    """Nothing is kept and nothing is paid for that was not asked for."""
    stores = {name for name, one in STACK.resources.items() if "S3" in str(one["Type"])}
    assert stores == set()


@pytest.mark.parametrize(
    ("store", "made", "chat", "health"),
    [
        (
            "s3",
            {"indexBucket", "indexBucketIsPrivate"},
            {"s3:GetObject"},
            {"s3:GetObject"},
        ),
        (
            "s3vectors",
            {"vectorBucket", "vectorIndex"},
            {"s3vectors:QueryVectors", "s3vectors:GetVectors"},
            {"s3vectors:GetVectors"},
        ),
    ],
)
def test_an_index_elsewhere_is_made_and_may_be_read_by_who_searches(
    store: str, made: set[str], chat: set[str], health: set[str]
) -> None:
    """No function may write it; `runs` may not even read it; the code knows its name."""
    stack = resolve(DOCUMENT, {**defaults(DOCUMENT), "IndexStore": store})
    assert {n for n, one in stack.resources.items() if "S3" in str(one["Type"])} == made
    allowed: dict[str, set[str]] = {}
    for where, statement in statements(stack):
        actions = statement["Action"]
        found = {actions} if isinstance(actions, str) else set(actions)
        kept = {action for action in found if action.startswith("s3")}
        allowed.setdefault(where, set()).update(kept)
    assert {name: found for name, found in allowed.items() if found} == {
        "chatRole": chat,
        "dialectsRole": chat,
        "healthRole": health,
    }
    (index,) = {str(variables(properties)["RIVERRUN_INDEX"]) for _, properties in functions(stack)}
    assert f"{store}://" in index


def test_the_vector_index_is_the_one_that_ingest_would_make() -> None:
    """What may not be filtered cannot be changed afterwards."""
    stack = resolve(DOCUMENT, {**defaults(DOCUMENT), "IndexStore": "s3vectors"})
    properties = stack.resources["vectorIndex"]["Properties"]
    hidden = properties["MetadataConfiguration"]["NonFilterableMetadataKeys"]
    assert tuple(hidden) == NOT_FILTERED
    assert (properties["DataType"], properties["DistanceMetric"]) == ("float32", "cosine")


def test_every_function_is_deployed_and_every_stanza_has_its_handler() -> None:
    """In a stanza of its own, or in that of `dialects`, which serves what has no other."""
    modules = {path.stem for path in (ROOT / "functions").glob("[a-z]*.py")}
    handlers = {name: str(one["Handler"]).split(".")[1] for name, one in functions(STACK)}
    assert handlers == HANDLERS
    assert set(handlers.values()) | {"openai", "ui", "agui"} == modules
    assert all(hasattr(import_module(f"functions.{name}"), "handler") for name in modules)


@pytest.mark.parametrize(
    ("chosen", "refused"),
    [
        ({}, set()),
        ({"AuthType": "NONE"}, {"AnOpenDoorNeedsKeys"}),
        ({"AuthType": "NONE", "ApiKeysSecret": "keys"}, set()),
        ({"ApiKeysSecret": "keys"}, set()),
        ({"AuthType": "NONE", "GatewaySecret": "between-us"}, {"AnOpenDoorNeedsKeys"}),
        ({"AuthType": "NONE", "GatewaySecret": "between-us", "ApiKeysSecret": "keys"}, set()),
        ({"VisitorRunsPerMinute": "20", "Log": "memory"}, {"LimitsNeedATable"}),
        (
            {"TotalUsdPerDay": "20", "BudgetUsd": "0.01", "Log": "memory"},
            {"LimitsNeedATable"},
        ),
        ({"TotalUsdPerDay": "20", "BudgetUsd": "0.01", "Log": "dynamodb"}, set()),
        ({"TotalUsdPerDay": "20", "Log": "dynamodb"}, {"DollarsOfADayNeedABudget"}),
        ({"VisitorUsdPerDay": "2", "Log": "dynamodb"}, {"DollarsOfADayNeedABudget"}),
        ({"Host": "web"}, set()),
        ({"Host": "web", "Log": "memory"}, {"AWebFunctionNeedsATable"}),
        (
            {"Host": "web", "WafRequestsPerFiveMinutes": "100"},
            {"AWebFunctionHasNoFilter"},
        ),
        ({"MonthlyBudgetUsd": "20"}, {"ABudgetNeedsATopic"}),
        ({"MonthlyBudgetUsd": "20", "AlarmTopic": "arn:…"}, set()),
        ({"Chat": "bedrock"}, {"BedrockChatNeedsModels"}),
        ({"Embedding": "bedrock"}, {"BedrockEmbeddingNeedsModels"}),
        ({"Chat": "bedrock", "Embedding": "bedrock", "BedrockModels": "arn:…"}, set()),
        ({"Chat": "openai"}, {"OpenAINeedsAKeyOrAnAddress"}),
        ({"Chat": "openai", "OpenAIKeySecret": "key"}, set()),
        ({"Chat": "openai", "OpenAIBaseUrl": "https://models.example/v1"}, set()),
        (
            {"Embedding": "openai", "EmbeddingDimension": "1536"},
            {"OpenAINeedsAKeyOrAnAddress"},
        ),
        (
            {"Embedding": "openai", "EmbeddingDimension": "1536", "OpenAIKeySecret": "key"},
            set(),
        ),
        ({"Embedding": "openai", "OpenAIKeySecret": "key"}, {"OpenAIVectorsAreLong"}),
        (
            {
                "Embedding": "openai",
                "EmbeddingModel": "text-embedding-3-small",
                "EmbeddingDimension": "512",
                "OpenAIKeySecret": "key",
            },
            set(),
        ),
        ({"OpenAIKeySecret": "key"}, {"AKeyIsForWhoAsks"}),
        (
            {"Chat": "bedrock", "BedrockModels": "arn:…", "OpenAIKeySecret": "key"},
            {"AKeyIsForWhoAsks"},
        ),
        ({"OpenAIBaseUrl": "https://models.example/v1"}, {"AnAddressIsForWhoAsks"}),
        ({"IndexStore": "s3"}, set()),
        ({"IndexStore": "s3vectors"}, {"LocalVectorsAreShort"}),
        ({"IndexStore": "s3vectors", "EmbeddingDimension": "384"}, set()),
        (
            {"IndexStore": "s3vectors", "Embedding": "bedrock", "BedrockModels": "arn:…"},
            set(),
        ),
    ],
)
def test_a_choice_that_cannot_work_is_refused_before_anything_changes(
    chosen: dict[str, str], refused: set[str]
) -> None:
    """By the template's own rules, which CloudFormation reads first."""
    assert broken_rules(DOCUMENT, {**defaults(DOCUMENT), **chosen}) == refused


def test_a_web_function_is_the_whole_product_and_nothing_beside_it() -> None:
    """No function, no API; what it is told is what the code accepts, and nothing is empty."""
    stack = resolve(DOCUMENT, {**defaults(DOCUMENT), "Host": "web"})
    kinds = {str(one["Type"]) for one in stack.resources.values()}
    assert not {kind for kind in kinds if kind.endswith(("::Function", "Api", "Permission"))}
    (web,) = [properties for _, properties in web_functions(stack)]
    read = settings.read_settings(as_environ(web))
    assert (read.signed, read.response_seconds, read.log) == (True, 108, "dynamodb://${runsTable}")
    assert "" not in variables(web).values()


NOVA = "arn:aws:bedrock:*::foundation-model/amazon.nova-lite-v1:0"
PROFILE = "arn:aws:bedrock:eu-west-1:123456789012:inference-profile/eu.amazon.nova-lite-v1:0"


@pytest.mark.parametrize(
    ("models", "allowed"),
    [
        ("", True),
        (NOVA, True),
        (f"{NOVA},{PROFILE}", True),
        ("*", False),
        ("arn:aws:bedrock:*::foundation-model/*", False),
        (f"{NOVA},*", False),
        (f"{NOVA},", False),
        (f"{NOVA}, {PROFILE}", False),
        ("arn:aws:s3:::bucket", False),
    ],
)
def test_models_are_named_one_by_one(models: str, allowed: bool) -> None:
    """The one place where a person's words become a permission."""
    pattern = DOCUMENT["Parameters"]["BedrockModels"]["AllowedPattern"]
    assert bool(re.fullmatch(pattern, models)) == allowed


REFERENCE = "{{resolve:secretsmanager:key:SecretString:::}}"
ASKING = ("chat", "runs", "dialects")
"""The functions that ask a model."""


@pytest.mark.parametrize("chosen", [{"Chat": "openai"}, {"Embedding": "openai"}])
@pytest.mark.parametrize("address", [None, "https://models.example/v1"])
def test_the_key_of_a_model_is_with_the_functions_that_ask_it(
    chosen: dict[str, str], address: str | None
) -> None:
    """By reference, as the keys of the door are; and every function opens what it is told to."""
    parameters = {**defaults(DOCUMENT), **chosen, "EmbeddingDimension": "1536"}
    parameters |= {"OpenAIKeySecret": "key", "OpenAIBaseUrl": address or ""}
    told = {}
    for name, properties in functions(resolve(DOCUMENT, parameters)):
        told[name] = variables(properties)
        read = settings.read_settings(as_environ(properties))
        open_chat(read)
        open_embedder(read)
    keys = {name: one["OPENAI_API_KEY"] for name, one in told.items() if "OPENAI_API_KEY" in one}
    assert keys == dict.fromkeys(ASKING, REFERENCE)
    # OpenAI's own endpoint is not named where it is asked: it takes other words than the rest.
    assert [told[name].get("OPENAI_BASE_URL") for name in ASKING] == [address] * len(ASKING)


@pytest.mark.parametrize("endpoint", [{}, {"OpenAIBaseUrl": "https://models.example/v1"}])
def test_a_stack_without_a_key_has_no_trace_of_one(endpoint: dict[str, str]) -> None:
    """An empty variable would be a key to the client."""
    chosen = {"Chat": "openai", **endpoint} if endpoint else {}
    for _, properties in functions(resolve(DOCUMENT, {**defaults(DOCUMENT), **chosen})):
        told = variables(properties)
        assert "OPENAI_API_KEY" not in told
        assert told.get("OPENAI_BASE_URL") == endpoint.get("OpenAIBaseUrl")


@pytest.mark.parametrize(
    ("parameter", "value", "allowed"),
    [
        ("OpenAIKeySecret", "", True),
        ("OpenAIKeySecret", "riverrun/openai", True),
        ("OpenAIKeySecret", "arn:aws:secretsmanager:eu-west-1:123456789012:secret:k-Ab1", True),
        ("OpenAIKeySecret", "sk-proj-abc_123", False),
        ("OpenAIKeySecret", "key}}", False),
        ("OpenAIBaseUrl", "", True),
        ("OpenAIBaseUrl", "https://models.example:8443/openai/v1", True),
        ("OpenAIBaseUrl", "http://models.example/v1", False),
        ("OpenAIBaseUrl", "https://user:secret@models.example/v1", False),
        ("OpenAIBaseUrl", "https://models.example/v1?key=secret", False),
    ],
)
def test_a_key_cannot_stand_in_a_parameter(parameter: str, value: str, allowed: bool) -> None:
    """Nor in an address; nor can one be sent in the clear."""
    pattern = DOCUMENT["Parameters"][parameter]["AllowedPattern"]
    assert bool(re.fullmatch(pattern, value)) == allowed


@pytest.mark.parametrize("host", DOCUMENT["Parameters"]["Host"]["AllowedValues"])
def test_a_dashboard_shows_what_its_host_counts(host: str) -> None:
    """Our own metrics by the names that the code writes, and AWS's by what is in the stack."""
    stack = resolve(DOCUMENT, defaults(DOCUMENT) | {"Host": host})
    ((_, dashboard),) = stack.of("AWS::CloudWatch::Dashboard")
    widgets = [one["properties"] for one in render_dashboard(dashboard)["widgets"]]
    metrics = [metric for widget in widgets for metric in widget["metrics"]]
    texts = {
        str(part.get("expression", "")) for m in metrics for part in m if isinstance(part, dict)
    }
    texts.discard("")
    named = {metric[1] for metric in metrics if metric[0] == "Riverrun"}
    named |= {
        found[1] for text in texts if (found := re.search(r'Service.*MetricName="(\w+)"', text))
    }
    code = (ROOT / "services" / "telemetry" / "reporter.py").read_text("utf-8")
    assert named >= {"CostUsd", "Runs", "Refused", "LimitsHit", "LoopLagMs", "FirstTokenMs"}
    assert all(f'"{name}"' in code for name in named)
    # What stands for a resource is one of this host's.
    said = json.dumps(widgets)
    assert ("AWS/Lambda/Web" in said) == (host == "web")
    assert ("Throttles" in said) == (host == "functions")
    of_others = set(DOCUMENT["Resources"]) - set(stack.resources)
    assert not {f'"{name}"' for name in of_others} & set(re.findall(r'"\w+"', said))


def test_cfn_lint_has_nothing_to_say() -> None:
    """Errors and warnings; what is waived has its reason in the file."""
    done = subprocess.run(
        [str(Path(sys.executable).with_name("cfn-lint")), "template.yaml"],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=False,
    )
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")


def test_the_emulator_serves_what_aws_would(tmp_path: Path) -> None:
    """Two readings of one template, by code that shares nothing, agree."""
    emulated = pytest.importorskip("emulator.template").read_template(ROOT / "template.yaml")
    assert {(f.name, f.handler, f.wrapper) for f in emulated.functions} == {
        (name, f"functions.{module}.handler", "/var/task/bootstrap")
        for name, module in HANDLERS.items()
    }
    reserved = {
        name: int(properties["ReservedConcurrentExecutions"])
        for name, properties in functions(STACK)
    }
    assert {f.name: f.reserved for f in emulated.functions} == reserved
    assert {(r.path, r.function, r.streaming) for r in emulated.rest_routes} == {
        ("/api/chat", "chat", True),
        ("/api/chat/runs", "runs", True),
        ("/api/chat/runs/{proxy+}", "runs", True),
        ("/api/chat/sessions/{proxy+}", "runs", True),
        ("/api/chat/visitors", "chat", True),
        ("/api/sources/{proxy+}", "chat", True),
        ("/api/health", "health", True),
        ("/api/agui", "dialects", True),
        ("/api/agui/{proxy+}", "dialects", True),
        ("/api/ui/{proxy+}", "dialects", True),
        ("/v1/{proxy+}", "dialects", True),
    }
    assert not emulated.rest_api.edge
