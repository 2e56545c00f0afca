"""A server of model files on this machine, which answers as a test has it."""

from __future__ import annotations

import re
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

Answer = Callable[[BaseHTTPRequestHandler], None]


class Server(ThreadingHTTPServer):
    """Answers every request as `answer` says; `asked` are the paths it was asked for, `ranges` the parts of them."""

    def __init__(self, content: bytes) -> None:
        super().__init__(("127.0.0.1", 0), Handler)
        self.answer: Answer = sending(content)
        self.asked: list[str] = []
        self.ranges: list[str] = []
        self.released = threading.Event()

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.server_port}"


class Handler(BaseHTTPRequestHandler):
    server: Server

    def do_GET(self) -> None:
        self.server.asked.append(self.path)
        self.server.ranges.append(self.headers.get("Range", ""))
        self.server.answer(self)

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002 -- its name in the base class
        """Not onto the test's stderr."""


def sending(content: bytes, *, length: int | None = None, status: int = 200) -> Answer:
    """An answer of that content; one of another `length` is promised where it is given, none where it is below 0."""

    def answer(handler: BaseHTTPRequestHandler) -> None:
        handler.send_response(status)
        promised = len(content) if length is None else length
        if promised >= 0:
            handler.send_header("Content-Length", str(promised))
        handler.end_headers()
        handler.wfile.write(content)

    return answer


def ranged(content: bytes, *, most: int | None = None) -> Answer:
    """An answer of a server that knows ranges; it breaks off after `most` bytes of what it promised."""

    def answer(handler: BaseHTTPRequestHandler) -> None:
        wanted = re.fullmatch(r"bytes=(\d+)-", handler.headers.get("Range", ""))
        begin = int(wanted[1]) if wanted else 0
        if begin >= len(content):
            handler.send_response(416)
            handler.send_header("Content-Range", f"bytes */{len(content)}")
            handler.end_headers()
            return
        handler.send_response(206 if wanted else 200)
        if wanted:
            handler.send_header("Content-Range", f"bytes {begin}-{len(content) - 1}/{len(content)}")
        handler.send_header("Content-Length", str(len(content) - begin))
        handler.end_headers()
        handler.wfile.write(content[begin:][:most])

    return answer


@contextmanager
def serving(content: bytes) -> Iterator[Server]:
    """A running server; it has this content under every path until it is told otherwise."""
    with Server(content) as server:
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        try:
            yield server
        finally:
            server.released.set()
            server.shutdown()
            thread.join(10)
