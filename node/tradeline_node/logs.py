"""
The diary of a node: one line an event, JSON or for the eye, never with content in it.

A line names what happened, to which request (its id), by which member and on which route. It
never holds a subject's identifier, tag, key, body or query string: fields are listed in `FIELDS`,
and what is not listed is left out before it is written.
"""

from __future__ import annotations

import logging
import sys
import traceback
from collections.abc import MutableMapping
from pathlib import Path
from typing import Any, Final, TextIO

import structlog

Log = structlog.stdlib.BoundLogger

FIELDS: Final = frozenset(
    {
        *("event", "level", "timestamp", "logger", "exception"),
        *("node", "member", "request_id", "method", "route", "status", "code", "duration_ms"),
        *("height", "size", "root", "index", "kind", "outcome", "peer", "reason", "count"),
        *("url", "path", "events", "attachments", "bytes", "signal", "version", "host", "port"),
        *("error", "finding", "where", "checkpoint_size", "feed", "seq"),
    }
)
"""What a line may hold; texts among them are of our own making, or made printable."""
TEXT_CHARS_MAX: Final = 1000
EXCEPTION_FRAMES_MAX: Final = 12
LEVELS: Final = {"debug": 10, "info": 20, "warning": 30, "error": 40}


def configure_logs(level: str, form: str, stream: TextIO | None = None) -> None:
    """
    Send all lines of this process, the server's included, to `stream`; by default to stderr.

    `form` is json, pretty, or auto: pretty on a terminal.
    """
    out = stream or sys.stderr
    pretty = form == "pretty" or (form == "auto" and out.isatty())
    renderer: Any = (
        structlog.dev.ConsoleRenderer(colors=out.isatty())
        if pretty
        else structlog.processors.JSONRenderer(ensure_ascii=True)
    )
    shared: list[Any] = [
        structlog.contextvars.merge_contextvars,
        structlog.stdlib.add_log_level,
        structlog.processors.TimeStamper(fmt="iso", utc=True),
        place_of_exception,
        keep_listed,
    ]
    handler = logging.StreamHandler(out)
    handler.setFormatter(
        structlog.stdlib.ProcessorFormatter(
            foreign_pre_chain=shared,
            processors=[structlog.stdlib.ProcessorFormatter.remove_processors_meta, renderer],
        )
    )
    root = logging.getLogger()
    root.handlers[:] = [handler]
    root.setLevel(LEVELS[level])
    for name in ("uvicorn", "uvicorn.error", "uvicorn.access", "httpx2", "httpcore2"):
        logger = logging.getLogger(name)
        logger.handlers.clear()
        logger.propagate = True
        # Their lines at INFO name every request with its query.
        logger.setLevel(max(LEVELS[level], logging.WARNING))
    structlog.configure(
        processors=[*shared, structlog.stdlib.ProcessorFormatter.wrap_for_formatter],
        wrapper_class=structlog.stdlib.BoundLogger,
        logger_factory=structlog.stdlib.LoggerFactory(),
        cache_logger_on_first_use=False,
    )


def node_log(name: str) -> Log:
    """Return the log of the node called `name`."""
    log: Log = structlog.stdlib.get_logger("tradeline_node").bind(node=name)
    return log


def keep_listed(
    _logger: Any, _method: str, event: MutableMapping[str, Any]
) -> MutableMapping[str, Any]:
    """Leave out fields that are not listed, make texts printable, and cut them to their limit."""
    for name in list(event):
        if name.startswith("_"):  # structlog's own
            continue
        if name not in FIELDS:
            del event[name]
        elif isinstance(event[name], str):
            event[name] = printable(event[name])
    return event


def place_of_exception(
    _logger: Any, _method: str, event: MutableMapping[str, Any]
) -> MutableMapping[str, Any]:
    """Write an exception as its types and places: its message may hold what came from outside."""
    given = event.pop("exc_info", None)
    error = sys.exc_info()[1] if given is True else given[1] if isinstance(given, tuple) else given
    if isinstance(error, BaseException):
        frames = traceback.extract_tb(error.__traceback__)[-EXCEPTION_FRAMES_MAX:]
        places = " < ".join(
            f"{Path(frame.filename).name}:{frame.lineno} {frame.name}" for frame in reversed(frames)
        )
        event["exception"] = f"{type(error).__name__} at {places}"
    return event


def printable(text: str) -> str:
    """Return `text` without control characters, cut to `TEXT_CHARS_MAX`."""
    return "".join(char if char.isprintable() else " " for char in text[:TEXT_CHARS_MAX])
