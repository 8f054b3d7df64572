"""`breakpoint()` in a function of `make dev`: pdb over a socket of this machine.

A function's process has no terminal. Its breakpoint prints the command that attaches one
(`python -m emulator.remote_pdb PORT`) and waits for it; `continue`, or leaving, lets it go on.
"""

import contextlib
import os
import pdb  # noqa: T100 - what this module is for
import socket
import sys
import threading
from typing import Any


class SocketPdb(pdb.Pdb):
    """A debugger whose terminal is a connection; it ends with the connection."""

    def __init__(self, connection: socket.socket) -> None:
        self._connection = connection
        super().__init__(
            stdin=connection.makefile("r", encoding="utf-8", errors="replace"),
            stdout=connection.makefile("w", encoding="utf-8", errors="replace"),
            nosigint=True,
            readrc=False,
        )
        self.use_rawinput = False
        self.prompt = "(Pdb) "

    def do_continue(self, arg: str) -> bool | None:
        """Let the function go on, and the terminal go."""
        self.clear_all_breaks()
        result = super().do_continue(arg)
        with contextlib.suppress(OSError):  # the terminal may have left first
            self.stdout.flush()
            self._connection.shutdown(socket.SHUT_RDWR)
        self._connection.close()
        return result

    do_c = do_cont = do_continue
    # To leave is no reason to end the function.
    do_q = do_quit = do_exit = do_EOF = do_continue  # noqa: N815 - pdb's own names


def stop() -> None:
    """Stop where `breakpoint()` stands until a terminal was attached and let go on."""
    frame: Any = sys._getframe(1)  # noqa: SLF001 - where `breakpoint()` stands
    with socket.create_server(("127.0.0.1", 0)) as listener:
        port = listener.getsockname()[1]
        where = f"{_shorten(frame.f_code.co_filename)}, line {frame.f_lineno}"
        attach = f"{_shorten(sys.executable)} -m emulator.remote_pdb {port}"
        sys.stderr.write(f"breakpoint() in {where}. Attach with: {attach}\n")
        sys.stderr.flush()
        connection, _ = listener.accept()
    SocketPdb(connection).set_trace(frame)


def _shorten(path: str) -> str:
    below = os.path.relpath(path)
    return path if below.startswith("..") else below


def attach(port: int) -> None:
    """Be the terminal of the breakpoint that waits on `port`, until it goes on."""
    with socket.create_connection(("127.0.0.1", port)) as connection:

        def send() -> None:
            for line in sys.stdin:
                connection.sendall(line.encode())
            connection.shutdown(socket.SHUT_WR)

        threading.Thread(target=send, daemon=True).start()
        while data := connection.recv(4096):
            sys.stdout.write(data.decode(errors="replace"))
            sys.stdout.flush()


if __name__ == "__main__":
    attach(int(sys.argv[1]))
