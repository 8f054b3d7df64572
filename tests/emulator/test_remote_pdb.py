"""A breakpoint in a function under the emulator is reached by a terminal, and let go on."""

import os
import re
import socket
import threading
import time
from pathlib import Path

from services.settings import ROOT
from tests.emulator.support import ask, run_cloud

FUNCTION = """
from services.lambda_runtime import export_handler
from services.streaming import answer_app, shut_down

async def stop(question):
    secret = question.query.upper()
    breakpoint()
    yield secret

app = answer_app("/stop", stop)
handler = export_handler(app, on_shutdown=shut_down)
"""
TEMPLATE = """
Transform: AWS::Serverless-2016-10-31
Resources:
  stop:
    Type: AWS::Serverless::Function
    Properties:
      Handler: functions.stop.handler
      Runtime: python3.13
      CodeUri: .
      Timeout: 120
      Environment: {Variables: {AWS_LAMBDA_EXEC_WRAPPER: /var/task/bootstrap}}
      FunctionUrlConfig: {AuthType: NONE, InvokeMode: RESPONSE_STREAM}
"""
PATIENCE = 60.0


def test_a_breakpoint_waits_for_a_terminal_and_goes_on(tmp_path: Path) -> None:
    """Its line says how to attach; there the function's own names are seen; the answer is whole."""
    for name in ("services", "emulator", "bootstrap", "knowledge"):
        (tmp_path / name).symlink_to(ROOT / name)
    (tmp_path / "functions").mkdir()
    (tmp_path / "functions" / "stop.py").write_text(FUNCTION)
    (tmp_path / "template.yaml").write_text(TEMPLATE)
    environ = os.environ | {"PYTHONBREAKPOINT": "emulator.remote_pdb.stop"}
    with run_cloud(tmp_path / "template.yaml", options={"environ": environ}) as cloud:
        got: list[bytes] = []
        url = f"{cloud.url('netlify')}/api/stop?query=word&streaming=true"
        asked = threading.Thread(target=lambda: got.append(ask(url).body))
        asked.start()
        deadline = time.monotonic() + PATIENCE
        while not (lines := cloud.log_lines("Attach with")):
            assert time.monotonic() < deadline, cloud.lines
            time.sleep(0.02)
        assert "functions/stop.py, line 7" in lines[0]
        port = re.search(r"remote_pdb (\d+)", lines[0])
        assert port is not None
        with socket.create_connection(("127.0.0.1", int(port[1])), PATIENCE) as terminal:
            terminal.sendall(b"p secret\ncontinue\n")
            seen = b""
            try:
                while data := terminal.recv(4096):
                    seen += data
            except TimeoutError:
                raise AssertionError([seen, cloud.lines[-20:]]) from None
        assert b"'WORD'" in seen
        asked.join(PATIENCE)
        assert b'"answer":"WORD"' in got[0]
