"""How connections of the server end."""

from __future__ import annotations

from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol


class Protocol(HttpToolsProtocol):
    """One connection, which a node that stops does not wait for once it is idle."""

    def shutdown(self) -> None:
        """
        End the connection, after the answer that is being given.

        TLS says goodbye and then waits for the other side's; a client that keeps an idle connection
        for later does not listen, and every stop would last until the time for it is over.
        """
        # Before the first request there is no cycle, which the library's types leave out.
        idle = self.cycle is None or self.cycle.response_complete  # type: ignore[redundant-expr]
        if idle and not self.transport.is_closing() and not self.transport.get_write_buffer_size():
            self.transport.abort()
        else:
            super().shutdown()
