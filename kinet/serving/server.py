"""The server, which ends without a word when it is told to."""

from __future__ import annotations

import logging
from types import FrameType

import uvicorn


class Server(uvicorn.Server):
    """As Uvicorn's; what breaks off because it ends is no fault, and is not told as one."""

    def handle_exit(self, sig: int, frame: FrameType | None) -> None:
        """Take the signal to end."""
        logging.getLogger("uvicorn.error").disabled = True
        super().handle_exit(sig, frame)
