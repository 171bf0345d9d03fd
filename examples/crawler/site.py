"""The running Python's documentation as a site of this process.

Its URLs name a host that exists nowhere; this process' client sends them to the port that the OS has given
to this process' server. So they are the same after a restart, and several processes can work on one crawl,
each with a server of its own over the same folder.
"""

import sys
from collections.abc import Callable, Generator
from contextlib import contextmanager
from functools import partial
from http import HTTPStatus
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Thread
from typing import Any
from zlib import crc32

import httpx
import trio

HOST = f"python-{sys.version_info.major}.{sys.version_info.minor}.localhost"
START = f"http://{HOST}/"
RENDERER = Path(__file__).with_name("render.py")

MODULES = Path(__file__).with_name("modules.txt").read_text().split()
"""Some cannot be imported everywhere: the links to their pages are broken ones."""

PARTS = 8
"""Into how many steps rendering is cut."""


def parts() -> list[list[str]]:
    """The modules, dealt out to the steps that render them."""
    return [MODULES[n::PARTS] for n in range(PARTS)]


async def render(folder: Path, modules: list[str]) -> int:
    """Write the pages of these modules that are missing, in a process of its own; answers how many exist."""
    missing = [name for name in modules if not (folder / f"{name}.html").exists()]
    if missing:
        command = [sys.executable, "-I", "-W", "ignore", str(RENDERER), str(folder), *missing]
        await trio.run_process(command, capture_stdout=True, capture_stderr=True)
    return sum((folder / f"{name}.html").exists() for name in modules)


@contextmanager
def local_site(folder: Path, log: Path) -> Generator[httpx.AsyncBaseTransport]:
    """Serve the pages in this folder for the time of the block; answers the way for a client to get there.

    Each request that was answered becomes a line in the log.
    """
    folder.mkdir(parents=True, exist_ok=True)
    with log.open("a", buffering=1, encoding="utf-8") as lines:
        handler = partial(_Pages, directory=str(folder), write=lines.write)
        with _Server(("127.0.0.1", 0), handler) as server:
            Thread(target=server.serve_forever, args=(0.05,), daemon=True).start()
            try:
                yield _Loopback(server.server_port)
            finally:
                server.shutdown()


class _Server(ThreadingHTTPServer):
    def handle_error(self, request: object, client_address: object) -> None:
        """A client that went away in the middle of an answer was stopped, and says so itself."""


class _Loopback(httpx.AsyncHTTPTransport):
    """Sends every request to a port of this machine, whatever host it is for."""

    def __init__(self, port: int) -> None:
        super().__init__()
        self._port = port

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        request.url = request.url.copy_with(host="127.0.0.1", port=self._port)
        return await super().handle_async_request(request)


class _Pages(SimpleHTTPRequestHandler):
    """The folder, an index, and robots.txt. One page in twenty is too busy at first."""

    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True
    _was_busy: set[str] = set()  # noqa: RUF012 - shared by all requests on purpose

    def __init__(self, *args: Any, directory: str, write: Callable[[str], object]) -> None:
        self._write = write
        super().__init__(*args, directory=directory)

    def do_GET(self) -> None:
        if self.path == "/robots.txt":
            self._send("text/plain", "User-agent: *\nDisallow: /posixpath.html\n")
        elif self.path == "/":
            self._send("text/html; charset=utf-8", _index())
        elif self._is_busy():
            self.send_response(HTTPStatus.SERVICE_UNAVAILABLE)
            self.send_header("Retry-After", "1")
            self.send_header("Content-Length", "0")
            self.end_headers()
        else:
            super().do_GET()

    def _is_busy(self) -> bool:
        is_busy = crc32(self.path.encode()) % 20 == 0 and self.path not in self._was_busy
        self._was_busy.add(self.path)
        return is_busy

    def _send(self, content_type: str, text: str) -> None:
        body = text.encode()
        self.send_response(HTTPStatus.OK)
        self.send_header("Content-Type", content_type)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_request(self, code: int | str = "-", size: int | str = "-") -> None:
        self._write(f"{int(code)} {self.path}\n")

    def log_message(self, format: str, *args: Any) -> None:
        """The screen is the worker's."""


def _index() -> str:
    items = "\n".join(f'<li><a href="{name}.html">{name}</a></li>' for name in MODULES)
    return f"<!doctype html><title>Python's modules</title><h1>Python's modules</h1><ul>\n{items}\n</ul>"
