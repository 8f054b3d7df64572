"""moto's DynamoDB as a server on this machine."""

import asyncio
import subprocess
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from services.settings import ROOT
from tests.functions.serving import clean


def environ_for(address: str, table: str) -> dict[str, str]:
    """The settings of a process that keeps its runs there."""
    return {
        "RIVERRUN_LOG": f"dynamodb://{table}",
        "AWS_ENDPOINT_URL_DYNAMODB": address,
        "AWS_DEFAULT_REGION": "us-east-1",
        "AWS_REGION": "us-east-1",
        "AWS_ACCESS_KEY_ID": "testing",
        "AWS_SECRET_ACCESS_KEY": "testing",
        "AWS_EC2_METADATA_DISABLED": "true",
    }


@asynccontextmanager
async def moto() -> AsyncIterator[str]:
    """moto's DynamoDB in a process of its own, one request at a time. Yields its address."""
    process = subprocess.Popen(  # noqa: ASYNC220 - begun at once
        [sys.executable, "-c", _MOTO],
        cwd=ROOT,
        env=clean({}),
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
    )
    assert process.stdout is not None
    try:
        line = await asyncio.to_thread(process.stdout.readline)
        yield f"http://127.0.0.1:{int(line)}"
    finally:
        process.kill()
        process.wait()
        process.stdout.close()


# Several at once would let two puts pass one condition. What a frozen client has not sent yet is
# waited for outside the lock, so that it stops no other call.
# moto keeps a deep copy of the whole table for each transaction, to undo it: with some hundred runs
# that takes longer than a client waits, every try costs it the same again, and it never recovers.
# Ours only put items, which never change an item that is there, so a shallow copy undoes them.
# A query of a partition sorts the whole table, so a world that goes on for long has an ever slower
# store, in which no answer fits the life of its run: a query is given the partition alone.
# And it looks through its own folder for each request, which is as good when done once.
_MOTO = """
import io, logging, threading
from collections import defaultdict
from functools import cache
from moto import backends
from moto.dynamodb.models import Table
from moto.server import DomainDispatcherApplication, create_backend_app
from werkzeug.serving import WSGIRequestHandler, make_server
def shallow(table, memo):
    copied = Table.__new__(Table)
    copied.__dict__.update(table.__dict__)
    copied.items = defaultdict(dict, {key: dict(items) for key, items in table.items.items()})
    return copied
Table.__deepcopy__ = shallow
query = Table.query
def query_partition(table, hash_key, *asked, **more):
    part = table
    if hash_key is not None and asked[6] is None:
        part = Table.__new__(Table)
        part.__dict__.update(table.__dict__)
        part.items = {hash_key: table.items[hash_key]} if hash_key in table.items else {}
    return query(part, hash_key, *asked, **more)
Table.query = query_partition
found = backends.list_of_moto_modules
backends.list_of_moto_modules = cache(lambda: frozenset(found()))
logging.getLogger("werkzeug").setLevel(logging.ERROR)
WSGIRequestHandler.protocol_version = "HTTP/1.1"
inner = DomainDispatcherApplication(create_backend_app)
lock = threading.Lock()
def app(environ, start_response):
    size = int(environ.get("CONTENT_LENGTH") or 0)
    environ["wsgi.input"] = io.BytesIO(environ["wsgi.input"].read(size))
    with lock:
        return [b"".join(inner(environ, start_response))]
server = make_server("127.0.0.1", 0, app, threaded=True)
print(server.port, flush=True)
server.serve_forever()
"""
