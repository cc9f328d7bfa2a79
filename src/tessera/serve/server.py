"""The server: a listening socket, a limited number of threads, and their start and end."""

from __future__ import annotations

import errno
import os
import selectors
import socket
import ssl
import threading
import time
from pathlib import Path
from typing import TYPE_CHECKING, Self

from tessera.base import InputError, TesseraError

from ._answer import Site, loopback_hosts
from .connection import Connection, Limits, Served
from .page import page_folder

if TYPE_CHECKING:
    from collections.abc import Callable
    from types import TracebackType

_STORE = "tessera.json"
_MOST_CONNECTIONS = 256
_LOOK_UP = 0.5
"""Seconds."""
_PATIENCE_WAITING = 1.0
"""Seconds that a connection waiting for its client is not closed in favour of another."""
_PATIENCE_SENDING = 5.0
"""The same for one whose client does not receive what is sent."""


class Server:
    """A server of a folder; as a context manager it runs in a separate thread.

    Attributes
    ----------
    url : for clients on this machine, without a final slash
    is_local : whether only this machine can reach it
    """

    def __init__(
        self,
        site: Site,
        listener: socket.socket,
        tls: ssl.SSLContext | None,
        limits: Limits,
        seen: Callable[[Served], None],
    ) -> None:
        address, port = listener.getsockname()[:2]
        shown = {"0.0.0.0": "127.0.0.1", "::": "::1"}.get(address, address)  # noqa: S104 - compared, not bound
        self.url = f"{'http' if tls is None else 'https'}://{f'[{shown}]' if ':' in shown else shown}:{port}"
        self.is_local = site.hosts is not None
        self._site = site
        self._listener = listener
        self._tls = tls
        self._limits = limits
        self._most = limits.connections or _most_connections()
        self._seen = seen
        self._open: dict[Connection, threading.Thread] = {}
        self._changed = threading.Condition()
        self._stopping = False
        self._wake, self._woken = socket.socketpair()
        self._runner: threading.Thread | None = None

    def run(self) -> None:
        """Serve in this thread until `close` is called in another or this one is interrupted."""
        with selectors.DefaultSelector() as selector:
            selector.register(self._listener, selectors.EVENT_READ)
            selector.register(self._woken, selectors.EVENT_READ)
            while not self._stopping:
                # with a timeout, since an interrupt between two instructions would not end an endless wait
                ready = {key.fileobj for key, _ in selector.select(_LOOK_UP)}
                if self._listener in ready and self._has_room():
                    self._accept()

    def _has_room(self) -> bool:
        """Whether there is room for another connection; if not, close the one that has waited longest."""
        with self._changed:
            if len(self._open) < self._most:
                return True
            now = time.monotonic()
            ages = [
                (now - connection.wire.since, connection)
                for connection in self._open
                if now - connection.wire.since > (_PATIENCE_WAITING if connection.waits else _PATIENCE_SENDING)
            ]
            if ages:
                max(ages, key=lambda item: (item[1].waits, item[0]))[1].wire.stop()
            self._changed.wait(0.05)
            return len(self._open) < self._most

    def _accept(self) -> None:
        try:
            raw, _ = self._listener.accept()
        except OSError as error:
            if error.errno in (errno.EMFILE, errno.ENFILE, errno.ENOMEM, errno.ENOBUFS):
                time.sleep(0.05)
            return
        try:
            raw.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            connection = Connection(raw, self._site, self._limits, self._tls, self._seen)
            thread = threading.Thread(target=self._attend, args=(connection,), daemon=True)
            with self._changed:
                self._open[connection] = thread
            thread.start()
        except (OSError, RuntimeError):
            # the client has left already, or the system has no thread left
            raw.close()
            with self._changed:
                self._open = {kept: thread for kept, thread in self._open.items() if thread.ident is not None}

    def _attend(self, connection: Connection) -> None:
        try:
            connection.run()
        finally:
            with self._changed:
                del self._open[connection]
                self._changed.notify_all()

    def close(self) -> None:
        """End every connection and free the port."""
        if self._listener.fileno() < 0:
            return
        self._stopping = True
        self._wake.send(b"\0")
        if self._runner is not None:
            self._runner.join()
        with self._changed:
            threads = [thread for thread in self._open.values() if thread.ident is not None]
            for connection in self._open:
                connection.wire.stop()
        for thread in threads:
            thread.join(5)
        for each in (self._listener, self._wake, self._woken):
            each.close()

    def __enter__(self) -> Self:
        self._runner = threading.Thread(target=self.run, daemon=True)
        self._runner.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()


def make_server(
    folder: str | Path,
    *,
    host: str = "127.0.0.1",
    port: int = 0,
    tls: tuple[str | Path, str | Path] | None = None,
    limits: Limits | None = None,
    seen: Callable[[Served], None] | None = None,
    page: bool = True,
) -> Server:
    """A server of the files in a folder; it listens at once and answers as soon as it runs.

    Parameters
    ----------
    folder : everyone who reaches the server can read the files below it, except hidden ones
    host : address or name of this machine to listen at; 127.0.0.1 is only reachable from this machine
    port : 0 takes a free one
    tls : files of a certificate (with its chain) and its key, PEM, for https
    limits : for clients
    seen : called after each answer, from several threads
    page : whether the page answers at /page/, and / leads there, if the folder is a store or holds one and has no
        `page` and `index.html` of its own

    Raises
    ------
    InputError
        The folder, host, certificate or key does not exist; the port is in use or not permitted.
    TesseraError
        The system cannot open files relative to folders (Windows).
    """
    if os.open not in os.supports_dir_fd or not hasattr(os, "sendfile"):
        raise TesseraError("serving needs Linux or macOS; this system only reads")
    if not os.path.isdir(folder):  # noqa: PTH112 - a str or a Path
        raise InputError(f"{folder} cannot be served; expected a folder")
    context = None if tls is None else _tls_context(*tls)
    listener = _listen(host, port)
    try:
        hosts = loopback_hosts(listener.getsockname()[0].partition("%")[0], host)
        site = Site(os.path.realpath(folder), hosts, _page_of(folder) if page else None)
        return Server(site, listener, context, limits or Limits(), seen or _unseen)
    except BaseException:
        listener.close()
        raise


def serve(
    folder: str | Path,
    *,
    host: str = "127.0.0.1",
    port: int = 8000,
    tls: tuple[str | Path, str | Path] | None = None,
    ready: Callable[[Server], None] | None = None,
) -> None:
    """Serve the files in a folder until interrupted (Ctrl-C).

    Parameters
    ----------
    folder, host, port, tls : see `make_server`, also for errors
    ready : called once, when clients can connect
    """
    server = make_server(folder, host=host, port=port, tls=tls)
    try:
        if ready is not None:
            ready(server)
        server.run()
    except KeyboardInterrupt:
        return
    finally:
        server.close()


def _page_of(folder: str | Path) -> str | None:
    """The page's folder, for a store and for a folder that holds stores."""
    at = Path(folder)
    if (at / _STORE).is_file() or next(at.glob(f"[!.]*/{_STORE}"), None) is not None:
        return os.path.realpath(page_folder())
    return None


def _listen(host: str, port: int) -> socket.socket:
    if not 0 <= port <= 65535:
        raise InputError(f"port {port}; expected 1 to 65535, or 0 for a free one")
    name = host.strip("[]")
    try:
        family, _, _, _, address = socket.getaddrinfo(name or None, port, type=socket.SOCK_STREAM)[0]
    except (OSError, UnicodeError):
        raise InputError(f"host {host!r} is not known here; expected a name or address of this machine") from None
    listener = socket.socket(family, socket.SOCK_STREAM)
    try:
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listener.bind(address)
        listener.listen(socket.SOMAXCONN)
        # a client may leave before its connection is accepted
        listener.setblocking(False)
    except OSError as error:
        listener.close()
        if error.errno == errno.EADDRINUSE:
            raise InputError(f"port {port} of {host} is in use; expected a free one, or 0 for any") from None
        if error.errno == errno.EADDRNOTAVAIL:
            raise InputError(f"{host} is no address of this machine; expected one, such as 127.0.0.1") from None
        if error.errno in (errno.EACCES, errno.EPERM):
            raise InputError(f"port {port} of {host} may not be taken; expected one of 1024 to 65535") from None
        raise InputError(f"port {port} of {host}: {error.strerror}; expected a free port of this machine") from None
    return listener


def _tls_context(certificate: str | Path, key: str | Path) -> ssl.SSLContext:
    def no_password() -> str:
        raise InputError(f"the key {key} is encrypted; expected one without a password")

    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    context.set_alpn_protocols(["http/1.1"])
    for path in (certificate, key):
        if not os.path.isfile(path):  # noqa: PTH113 - a str or a Path
            raise InputError(f"{path} is no file; expected a certificate and its key, PEM")
    try:
        context.load_cert_chain(certificate, key, password=no_password)
    except OSError as error:
        reason = error.reason if isinstance(error, ssl.SSLError) else error.strerror
        raise InputError(f"{certificate} and {key} are no certificate and its key, PEM ({reason})") from None
    return context


def _most_connections() -> int:
    import resource

    files = resource.getrlimit(resource.RLIMIT_NOFILE)[0]
    return _MOST_CONNECTIONS if files < 0 else max(8, min(_MOST_CONNECTIONS, files // 4))


def _unseen(served: Served) -> None:
    """Ignore an answered request."""
