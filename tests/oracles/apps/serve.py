"""Serve ``module.attribute`` with uvicorn on a free port, and print the port: the reference."""

import socket
import sys

import uvicorn


def main() -> None:
    """Run until killed."""
    sys.path.insert(0, sys.argv[2])
    with socket.create_server(("127.0.0.1", 0)) as listener:
        print(listener.getsockname()[1], flush=True)
        config = uvicorn.Config(sys.argv[1], log_level="warning", timeout_graceful_shutdown=1)
        uvicorn.Server(config).run(sockets=[listener])


if __name__ == "__main__":
    main()
