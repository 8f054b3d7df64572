"""The whole cloud profile on this machine: what `make cloud` runs.

    python -m fakes.cloud --port 8888

Starts the fakes, makes table and bucket, ingests the city guide into the bucket, and runs the
emulator with the settings of a deployed Bedrock profile. Everything in between is real: boto3,
signatures, sockets. It says what is not: there is no model behind it.
"""

import argparse
import os
import secrets
import signal
import subprocess
import sys
import threading
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from pathlib import Path
from types import FrameType
from typing import Any

from fakes.aws import aws
from fakes.bedrock import bedrock
from fakes.openai import openai

ROOT = Path(__file__).resolve().parents[1]

# Where the emulator says that its functions are.
REGION = "us-east-1"

NAME = "riverrun"

TABLE: dict[str, Any] = {
    "TableName": f"{NAME}-runs",
    "KeySchema": [
        {"AttributeName": "pk", "KeyType": "HASH"},
        {"AttributeName": "sk", "KeyType": "RANGE"},
    ],
    "AttributeDefinitions": [
        {"AttributeName": "pk", "AttributeType": "S"},
        {"AttributeName": "sk", "AttributeType": "S"},
    ],
    "BillingMode": "PAY_PER_REQUEST",
}

STOP = (signal.SIGINT, signal.SIGTERM)


def main(arguments: Sequence[str] | None = None) -> int:
    """Run until Ctrl-C. Returns the exit status of the step that failed, or of the emulator."""
    parser = argparse.ArgumentParser(prog="make cloud", description="A cloud of stand-ins.")
    add = parser.add_argument
    add("--port", default=os.environ.get("PORT") or "8888", help="of the page; 0: any")
    add("--chat", choices=["bedrock", "openai", "extractive"], default="bedrock")
    add("--embedding", choices=["bedrock", "openai", "local"], default="bedrock")
    add("--index", choices=["s3", "s3vectors"], default="s3")
    add("--docs", type=Path, default=ROOT / "knowledge", help="what to ingest")
    chosen = parser.parse_args(arguments)
    with cloud() as endpoints:
        environ = {**os.environ, **endpoints, **settings(chosen), "PORT": str(chosen.port)}
        make_resources(endpoints["AWS_ENDPOINT_URL"])
        _say(chosen)
        ingest = ["services.context", str(chosen.docs), "--index", environ["RIVERRUN_INDEX"]]
        for step in (ingest, ["functions", "--check"], ["emulator", "--port", str(chosen.port)]):
            if status := _run(step, environ):
                return status
    return 0


@contextmanager
def cloud() -> Iterator[dict[str, str]]:
    """The fakes, for as long as the block lasts; gives the variables by which they are found."""
    with ExitStack() as stack:
        kept = stack.enter_context(aws())
        model = stack.enter_context(bedrock())
        other = stack.enter_context(openai())
        yield {
            "AWS_ENDPOINT_URL": kept.url,
            "AWS_ENDPOINT_URL_BEDROCK_RUNTIME": model.url,
            "OPENAI_BASE_URL": f"{other.url}/v1",
            "OPENAI_API_KEY": "nobodys",
            "AWS_DEFAULT_REGION": REGION,
            "AWS_REGION": REGION,
            "AWS_ACCESS_KEY_ID": "nobodys",
            "AWS_SECRET_ACCESS_KEY": secrets.token_hex(8),
            "AWS_EC2_METADATA_DISABLED": "true",
        }


def settings(chosen: argparse.Namespace) -> dict[str, str]:
    """What a deployed function of this profile is told."""
    place = f"s3://{NAME}-index/guide" if chosen.index == "s3" else f"s3vectors://{NAME}/guide"
    kept = os.environ.get("RIVERRUN_DATA_DIR") or str(ROOT / ".riverrun")
    return {
        "RIVERRUN_CHAT": chosen.chat,
        "RIVERRUN_EMBEDDING": chosen.embedding,
        "RIVERRUN_INDEX": place,
        "RIVERRUN_LOG": f"dynamodb://{TABLE['TableName']}",
        # The vectors of the guide stay there, so a second start embeds nothing.
        "RIVERRUN_DATA_DIR": str(Path(kept) / "cloud" / chosen.embedding),
    }


def make_resources(url: str) -> None:
    """Make what template.yaml would: the table, the bucket, the vector bucket."""
    import boto3

    session = boto3.session.Session(
        aws_access_key_id="nobodys", aws_secret_access_key="nobodys", region_name=REGION
    )
    session.client("dynamodb", endpoint_url=url).create_table(**TABLE)
    session.client("s3", endpoint_url=url).create_bucket(Bucket=f"{NAME}-index")
    session.client("s3vectors", endpoint_url=url).create_vector_bucket(vectorBucketName=NAME)


def _say(chosen: argparse.Namespace) -> None:
    model = {"bedrock": "Bedrock", "openai": "OpenAI"}.get(chosen.chat)
    lines = ["", "  A cloud of stand-ins, on this machine alone:"]
    if model:
        lines.append(
            f"    {model} is a stand-in. It quotes the first passage and understands none."
        )
    if chosen.embedding != "local":
        lines.append("    Its vectors count words; they find less than a model's would.")
    lines.append("    DynamoDB, S3 and S3 Vectors are moto, in memory: at the end all is gone.")
    lines.append("  The way to them is the deployed one: boto3, signatures, sockets.\n")
    print("\n".join(lines), flush=True)  # noqa: T201 - a command prints


def _run(step: Sequence[str], environ: Mapping[str, str]) -> int:
    """Run one module to its end, and end it when this is to end."""
    process = subprocess.Popen([sys.executable, "-m", *step], cwd=ROOT, env=dict(environ))
    over = threading.Event()

    def end(_number: int, _frame: FrameType | None) -> None:
        over.set()
        process.terminate()

    before = {number: signal.signal(number, end) for number in STOP}
    try:
        status = process.wait()
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
    return 130 if over.is_set() and status != 0 else status


if __name__ == "__main__":
    sys.exit(main())
