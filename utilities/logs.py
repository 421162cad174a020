"""How every program logs: one line per event on stderr, with UTC time and level."""

from __future__ import annotations

import logging
import time

FORMAT = "%(asctime)s.%(msecs)03dZ %(levelname)s %(name)s: %(message)s"


def configure_logging(level: str) -> None:
    """Log to stderr from ``level`` (a name such as INFO) on. For ``main()`` functions."""
    formatter = logging.Formatter(FORMAT, datefmt="%Y-%m-%dT%H:%M:%S")
    formatter.converter = time.gmtime
    handler = logging.StreamHandler()
    handler.setFormatter(formatter)
    logging.basicConfig(level=level, handlers=[handler], force=True)
    # One line per request to the hub would drown everything else.
    for chatty in ("httpx", "httpx2", "httpcore", "filelock"):
        logging.getLogger(chatty).setLevel(logging.WARNING)
