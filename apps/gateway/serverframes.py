"""WebSocket frames as a server sends them (RFC 6455 section 5.2): unmasked, whole messages, no extensions. Pure."""

import struct
from typing import Final

FIN_TEXT: Final = 0x81
_SHORT: Final = 125
_MEDIUM: Final = 0xFFFF
_MEDIUM_HEAD: Final = struct.Struct("!BBH")
_LONG_HEAD: Final = struct.Struct("!BBQ")


def text_frame(payload: bytes) -> bytes:
    """One text message; `payload` is UTF-8."""
    length = len(payload)
    if length <= _SHORT:
        return bytes((FIN_TEXT, length)) + payload
    if length <= _MEDIUM:
        return _MEDIUM_HEAD.pack(FIN_TEXT, 126, length) + payload
    return _LONG_HEAD.pack(FIN_TEXT, 127, length) + payload
