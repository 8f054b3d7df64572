"""Every function as one ASGI application, for a host that brings a web server.

AWS Lambda Web Functions load `main:app`; so does any ASGI server: `uvicorn main:app`. Nothing here
starts our Lambda runtime. docs/web-functions.md is the manual.
"""

import os
import sys

from functions.web import FunctionRoutes
from services.pauses import shorten_pauses
from services.settings import read_log_format
from services.streaming import ShutdownNotice
from services.telemetry.lines import configure_logging

shorten_pauses()
configure_logging(sys.stdout, as_json=read_log_format(os.environ) == "json")
app = ShutdownNotice(FunctionRoutes())
