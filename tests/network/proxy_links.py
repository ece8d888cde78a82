"""Members on loopback: between any two engines and in front of each HTTP port is a TCP proxy."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from itertools import permutations
from typing import Any, Final, Self

from tests.client.test_end_to_end import free_port
from tests.network.links import QUORUM_MISSES
from tests.network.proxy import HOST, Link, Proxies, Way

PORTS: Final = 140
"""HTTP links, engines as registered, then the real HTTP and engine ports, and 16 engine links."""
HTTP_AT, ENGINE_AT, LINKS_AT = 10, 20, 30


class ProxyLinks:
    """`Links` of TCP connections; what is lost can't be seen in them, since TCP sends it again."""

    def __init__(self, names: Sequence[str], seed: int = 0) -> None:
        """Delays are drawn by `seed`."""
        self._names = tuple(names)
        self.base_port = free_port(PORTS)
        self._proxies = Proxies(seed)
        self._opened = ExitStack()
        self._engine: dict[tuple[str, str], Link] = {}
        self._http: dict[str, Link] = {}

    def __enter__(self) -> Self:
        self._opened.enter_context(self._proxies)
        for name in self._names:
            port = self.base_port + self._names.index(name)
            self._http[name] = self._proxies.open(port, self._http_port(name))
        for here, there in permutations(self._names, 2):
            port = self._link_port(here, there)
            self._engine[here, there] = self._proxies.open(port, self._engine_port(there))
        return self

    def __exit__(self, *raised: object) -> None:
        self._opened.close()

    @property
    def hosts(self) -> tuple[str, ...]:
        """Address that the registry gets for all."""
        return (HOST,)

    def settings(self, name: str) -> Mapping[str, Any]:
        """Return what node.toml says about where this member's node listens."""
        return {"http.port": self._http_port(name), "engine.p2p_port": self._engine_port(name)}

    def url(self, name: str) -> str:
        """Return where observers reach its HTTP process, whatever is cut."""
        return f"https://{HOST}:{self._http_port(name)}"

    def within(self, _name: str) -> Sequence[str]:
        """Return what a command is begun with that runs where a node does: nothing."""
        return ()

    def engine_at(self, here: str, there: str) -> str:
        """Return `host:port` at which the engine of `here` finds that of `there`."""
        return f"{HOST}:{self._link_port(here, there)}"

    def partition(self, *groups: Sequence[str]) -> None:
        """Let engines reach only their own group, and close HTTP of groups without a quorum."""
        whole = len(self._names) - QUORUM_MISSES
        for (here, there), link in self._engine.items():
            if not any(here in group and there in group for group in groups):
                self._proxies.cut([link])
        if any(len(group) >= whole for group in groups):
            small = [name for group in groups if len(group) < whole for name in group]
            self._proxies.cut([self._http[name] for name in small])

    def silence(self, name: str) -> None:
        """Hold what the engine of `name` sends; it goes on hearing the others."""
        for (here, there), link in self._engine.items():
            if here == name:
                self._proxies.cut([link], Way.THERE)
            if there == name:
                self._proxies.cut([link], Way.BACK)

    def heal(self) -> None:
        """Let everything flow again."""
        self._proxies.heal([*self._engine.values(), *self._http.values()])

    def refuse(self, here: str, there: str, *, refused: bool = True) -> None:
        """Let the engine of `here` have no connection to that of `there`, or let it again."""
        self._proxies.refuse([self._engine[here, there]], refused=refused)

    def pull(self, name: str) -> None:
        """End all connections with the node `name`."""
        self._proxies.refuse(self._of(name))

    def plug(self, name: str) -> None:
        """Take back `pull`."""
        self._proxies.refuse(self._of(name), refused=False)

    @contextmanager
    def slowed(self, least_ms: int, most_ms: int) -> Iterator[None]:
        """Let all that engines send each other take so long, in order."""
        self._proxies.delay(self._engine.values(), least_ms, most_ms)
        yield
        self._proxies.delay(self._engine.values(), 0, 0)

    def _of(self, name: str) -> list[Link]:
        return [self._http[name], *(link for ends, link in self._engine.items() if name in ends)]

    def _http_port(self, name: str) -> int:
        return self.base_port + HTTP_AT + self._names.index(name)

    def _engine_port(self, name: str) -> int:
        return self.base_port + ENGINE_AT + self._names.index(name) + 1

    def _link_port(self, here: str, there: str) -> int:
        count = len(self._names)
        return (
            self.base_port
            + LINKS_AT
            + count * self._names.index(here)
            + self._names.index(there)
            + 1
        )
