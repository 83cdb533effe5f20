"""Structured logs for every process: structlog for our lines, the same renderer for those of libraries.

No line tells the token of a mailed link: Django names the path of whatever it refused, and a link lets one in.
Lines go to standard error; the supervisor prefixes, colours and stores them. LOG_FORMAT=json makes one object a line.
"""

import logging
import re
import sys
from typing import Any, Final

import structlog
from structlog.typing import Processor

# Whatever follows, also a token that a mail program put a full stop behind; JSON keeps its escapes. A test holds this
# to the link pages.
_LINKS: Final = re.compile(
    r"""(/account/(?:confirm|recover|reset-password|email|let-me-in|lock|lost-factor|stop-lost-factor)/)[^\s"'/?&\\]+"""
)


def configure_logging(*, process: str, level: str, style: str) -> None:
    """Called once by the settings. `process` is added to JSON lines; on a console the supervisor's prefix says it."""
    shared: list[Processor] = [
        structlog.contextvars.merge_contextvars,
        structlog.stdlib.add_log_level,
        structlog.stdlib.add_logger_name,
        structlog.stdlib.PositionalArgumentsFormatter(),
        structlog.processors.StackInfoRenderer(),
    ]
    final: list[Processor]
    if style == "json":
        shared += [structlog.processors.TimeStamper(fmt="iso", utc=True), _name_process(process)]
        final = [structlog.processors.format_exc_info, structlog.processors.JSONRenderer(), _hide_tokens]
    else:
        final = [
            structlog.dev.ConsoleRenderer(
                colors=False, pad_event_to=0, exception_formatter=structlog.dev.plain_traceback
            ),
            _hide_tokens,
        ]
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(
        structlog.stdlib.ProcessorFormatter(
            foreign_pre_chain=shared,
            processors=[structlog.stdlib.ProcessorFormatter.remove_processors_meta, *final],
        )
    )
    root = logging.getLogger()
    root.handlers[:] = [handler]
    root.setLevel(level)
    # A traceback each second while redis-edge is away, which its health check says; it goes on by itself after it.
    logging.getLogger("channels_redis.pubsub").setLevel("CRITICAL")
    for noisy in ("uvicorn.error", "uvicorn.access", "asyncio", "httpx", "httpcore", "urllib3"):
        logging.getLogger(noisy).setLevel("WARNING")
    structlog.configure(
        processors=[*shared, structlog.stdlib.ProcessorFormatter.wrap_for_formatter],
        logger_factory=structlog.stdlib.LoggerFactory(),
        wrapper_class=structlog.stdlib.BoundLogger,
        cache_logger_on_first_use=True,
    )


def without_tokens(text: str) -> str:
    """`text` without the tokens of mailed links."""
    return _LINKS.sub(r"\1[token]", text)


def _hide_tokens(_logger: object, _method: str, line: Any) -> str:
    """The last processor: it gets the line as it will be written, tracebacks and all."""
    return without_tokens(line)


def _name_process(process: str) -> Processor:
    def add(_logger: object, _method: str, event: structlog.typing.EventDict) -> structlog.typing.EventDict:
        event["process"] = process
        return event

    return add
