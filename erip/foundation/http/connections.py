"""The connections of a web process: how many there may be, and how long one may be idle.

Note [Who holds a connection]
A connection costs us a file descriptor and some memory, and a client that opens one and stays silent pays nothing. So:

- The head of the first request has ERIP_HEAD_SECONDS to come in whole; that of a later one has the keep-alive time.
- One address has ERIP_CONNECTIONS_PER_ADDRESS at most, and all addresses together ERIP_CONNECTIONS. Beyond that the
  oldest connection that waits for a request is closed, or the new one if none waits. Trusted proxies, which serve many
  clients, count only towards the total.
- A client that takes no answer, or less than ERIP_BODY_MIN_RATE of it, is cut off after ERIP_STALL_SECONDS: the whole
  answer stays in memory for it, with whatever made it. The same holds for a client that does not take the last answer
  before its connection closes. We wait for at most ERIP_STALLED such clients; beyond that the oldest of the address
  that has the most is cut off at once.
- Where the body of a request was not read, the answer says that the connection closes, and what still comes in is
  thrown away for a moment first. A socket closed with unread bytes is reset, and the answer is lost with it. It is read
  slowly, so a client that sends without end waits for us and not we for it.
"""

import asyncio
from typing import Any

from django.conf import settings
from gunicorn.asgi.protocol import ASGIProtocol

from .addresses import address_group, is_trusted
from .crowd import Crowd

#: seconds for which input is thrown away after an answer
LINGER_SECONDS = 1.0
#: the same for a proxy, which reads the answer at once and has only a few connections to us
PROXY_LINGER_SECONDS = 0.1
#: seconds between two reads of it
LINGER_PAUSE = 0.25
#: bytes that one connection holds in memory before the application asks for them, and bytes that asyncio may add at
#: once
READ_AHEAD = 64 * 1024
#: seconds for which a proxy's idle connection stays open; HAProxy lets go of its own within a few times 5 s
PROXY_KEEPALIVE = 120
#: what all trusted proxies are counted under
_PROXIES = "proxies"


class Connections:
    """The connections of one process."""

    def __init__(self) -> None:
        #: by group, oldest first
        self._open: dict[str, dict[GuardedProtocol, None]] = {}
        self._count = 0
        #: connections whose clients have not taken their answer yet
        self.stalled = Crowd(settings.ERIP_STALLED)

    def enter(self, protocol: "GuardedProtocol") -> bool:
        """Count a new one, and close another one if there are too many. False: the new one has to be closed."""
        group = protocol.group
        own = self._open.setdefault(group, {})
        fits = True
        if group != _PROXIES and len(own) >= settings.ERIP_CONNECTIONS_PER_ADDRESS:
            fits = _close_idle(own)
        elif self._count >= settings.ERIP_CONNECTIONS:
            fits = _close_idle(max(self._open.values(), key=len))
        own[protocol] = None
        self._count += 1
        return fits

    def leave(self, protocol: "GuardedProtocol") -> None:
        own = self._open.get(protocol.group, {})
        if own.pop(protocol, self) is None:
            self._count -= 1
            if not own:
                del self._open[protocol.group]

    def all(self) -> "list[GuardedProtocol]":
        return [protocol for own in self._open.values() for protocol in own]


class GuardedProtocol(ASGIProtocol):
    """gunicorn's, with Note [Who holds a connection]."""

    def __init__(self, worker: Any) -> None:
        super().__init__(worker)
        self.group = ""
        self._keepalive: float
        self._max_buffer_size = READ_AHEAD
        self._head_timer: asyncio.TimerHandle | None = None
        self._stall_timer: asyncio.TimerHandle | None = None
        self._unsent = 0
        self._lingering = False

    @property
    def idle(self) -> bool:
        """Whether it waits for a request, or for the rest of its head."""
        return bool(self._awaiting_request and not self._finishing_calls)

    def connection_made(self, transport: Any) -> None:
        peer = transport.get_extra_info("peername")
        address = peer[0] if isinstance(peer, tuple) else ""
        self.group = _PROXIES if not address or is_trusted(address) else address_group(address)
        if self.group == _PROXIES:
            # The proxy must never send a request on a connection that we are closing: nobody would repeat that request.
            self._keepalive = max(self._keepalive, PROXY_KEEPALIVE)
        super().connection_made(transport)
        self._head_timer = self.worker.loop.call_later(settings.ERIP_HEAD_SECONDS, self._head_is_late)
        if not self.worker.connections.enter(self):
            transport.abort()

    def connection_lost(self, exc: Exception | None) -> None:
        self.worker.connections.leave(self)
        self._stop_watching()
        if self._head_timer is not None:
            self._head_timer.cancel()
        super().connection_lost(exc)

    def end(self) -> None:
        """Cut it off: others have waited less time for their client."""
        self.transport.abort()

    def close_idle(self) -> None:
        """Close a connection that waits for a request."""
        self._keepalive_timeout()

    # --- incoming ---------------------------------------------------------------------------------

    def data_received(self, data: bytes) -> None:
        if self._lingering:
            self._pause_reading()
            self.worker.loop.call_later(LINGER_PAUSE, self._read_on)
        else:
            super().data_received(data)

    def _on_headers_complete(self) -> bool:
        if self._head_timer is not None:
            self._head_timer.cancel()
            self._head_timer = None
        return bool(super()._on_headers_complete())

    def _head_is_late(self) -> None:
        self._head_timer = None
        if not self._closed:
            self._send_error_response(408, "The request did not come in in time.")
            self.close_idle()

    @property
    def _unread(self) -> bool:
        """Whether some of the request's body may still come in."""
        receiver = self._body_receiver
        return receiver is not None and not receiver._complete and not receiver._closed

    # --- outgoing ---------------------------------------------------------------------------------

    def pause_writing(self) -> None:
        super().pause_writing()
        self._watch_writing()

    def resume_writing(self) -> None:
        super().resume_writing()
        if not self._closed:
            self._stop_watching()

    def _watch_writing(self) -> None:
        if self._stall_timer is None:
            self.worker.connections.stalled.enter(self.group, self)
            self._await_progress()

    def _await_progress(self) -> None:
        self._unsent = self.transport.get_write_buffer_size()
        self._stall_timer = self.worker.loop.call_later(settings.ERIP_STALL_SECONDS, self._look_at_writing)

    def _look_at_writing(self) -> None:
        self._stall_timer = None
        left = self.transport.get_write_buffer_size()
        if left and self._unsent - left < settings.ERIP_STALL_SECONDS * settings.ERIP_BODY_MIN_RATE:
            self.transport.abort()
        elif left:
            self._await_progress()
        else:
            self._stop_watching()

    def _stop_watching(self) -> None:
        self.worker.connections.stalled.leave(self.group, self)
        if self._stall_timer is not None:
            self._stall_timer.cancel()
            self._stall_timer = None

    # --- the end ---------------------------------------------------------------------------------------

    def _will_close(self, request: Any, response_requires_close: bool) -> bool:
        return self._unread or bool(super()._will_close(request, response_requires_close))

    def _close_transport(self) -> None:
        if self.transport is None or self._closed:
            return
        if self._unread and not self.transport.is_closing():
            self._linger()
        else:
            super()._close_transport()
        if self.transport.get_write_buffer_size():
            self._watch_writing()

    def _linger(self) -> None:
        self._lingering = self._closed = True
        if self._body_receiver is not None:
            # What came in of the body meanwhile; nobody will ask for it.
            self._body_receiver._chunks.clear()
        if self.transport.can_write_eof():
            self.transport.write_eof()
        self._resume_reading()
        seconds = PROXY_LINGER_SECONDS if self.group == _PROXIES else LINGER_SECONDS
        self.worker.loop.call_later(seconds, self.transport.close)

    def _read_on(self) -> None:
        if not self.transport.is_closing():
            self._resume_reading()


def _close_idle(protocols: dict[GuardedProtocol, None]) -> bool:
    """Close the oldest that waits for a request. False if none does."""
    for protocol in protocols:
        if protocol.idle and not protocol._closed:
            protocol.close_idle()
            return True
    return False
