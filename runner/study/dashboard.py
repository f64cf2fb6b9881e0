"""Serves Optuna's dashboard on this machine alone, for looking only.

The attacks that this stops: another machine that asks, because nothing but the loopback is listened
on; a web page in the user's browser that asks under a name of its own which leads here (DNS
rebinding), because the name asked for must be this machine's; and any request that would change a
study, because only GET and HEAD pass and the storage itself refuses to write.
"""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterable
from socketserver import ThreadingMixIn
from typing import TYPE_CHECKING
from urllib.parse import urlsplit
from wsgiref.simple_server import WSGIRequestHandler, WSGIServer, make_server

from optuna.storages import BaseStorage
from optuna_dashboard import wsgi

from runner.errors import HostError

if TYPE_CHECKING:
    from wsgiref.types import StartResponse, WSGIApplication, WSGIEnvironment

ADDRESS = "127.0.0.1"
NAMES = {ADDRESS, "localhost"}
LOOKING = {"GET", "HEAD"}


class _Server(ThreadingMixIn, WSGIServer):
    daemon_threads = True


class _QuietHandler(WSGIRequestHandler):
    def log_message(self, *_: object) -> None:
        """Say nothing of each request."""


def serve(storage: BaseStorage, port: int, ready: Callable[[str], None]) -> None:
    """Serve the dashboard until Ctrl-C.

    Args:
        storage: the studies to show.
        port: the port on 127.0.0.1; 0 for any that is free.
        ready: is called with the address once it answers.

    Raises:
        HostError: the port cannot be had.
    """
    try:
        server = make_server(
            ADDRESS, port, only_looking(wsgi(storage)), _Server, handler_class=_QuietHandler
        )
    except OSError as error:
        raise HostError(
            f"opening port {port} of {ADDRESS}: {error.strerror or error}",
            hint="choose another one with PORT=",
        ) from error
    with server, contextlib.suppress(KeyboardInterrupt):
        ready(f"http://{ADDRESS}:{server.server_port}/dashboard")
        server.serve_forever()


def only_looking(app: WSGIApplication) -> WSGIApplication:
    """The application, for requests that ask this machine by its name and change nothing."""

    def guarded(environ: WSGIEnvironment, start_response: StartResponse) -> Iterable[bytes]:
        host = urlsplit(f"//{environ.get('HTTP_HOST', '')}").hostname
        if host not in NAMES:
            return _refuse(start_response, "403 Forbidden", "ask for localhost")
        if environ["REQUEST_METHOD"] not in LOOKING:
            return _refuse(start_response, "405 Method Not Allowed", "the study is only shown")
        return app(environ, start_response)

    return guarded


def _refuse(start_response: StartResponse, status: str, reason: str) -> Iterable[bytes]:
    headers = [("Content-Type", "application/json"), ("Allow", "GET, HEAD")]
    start_response(status, headers)
    return [f'{{"reason": "{reason}"}}'.encode()]
