"""Text messages as WebSocket frames and back, beside the library: pure, bytes in and bytes out.

Only whole text messages in single frames are built and taken here; both are self-contained (RFC 6455 section 5.2).
Whatever is special, large or wrong is left to the library.
"""

from collections.abc import Callable
from math import inf
from typing import Final

# Mask keys drawn at a time: one call to the entropy source per 1,024 frames.
_KEY_BLOCK_SIZE: Final = 4096

_CONTINUATION, _TEXT, _BINARY, _PING, _PONG = 0x0, 0x1, 0x2, 0x9, 0xA  # opcodes (RFC 6455 section 5.2)
_WHOLE_TEXT: Final = 0x80 | _TEXT  # first byte of a frame: final, no extension bit, opcode text
_HEADS: Final = [bytes((_WHOLE_TEXT, 0x80 | length)) for length in range(126)]  # masked, 7-bit length

# The largest text taken beside the library: all that a 16-bit length can say.
_TEXT_LIMIT: Final = 0xFFFF


class TextFramer:
    """Builds masked client text frames (RFC 6455 sections 5.2 and 5.3)."""

    def __init__(self, entropy: Callable[[int], bytes]) -> None:
        """entropy: that many unpredictable bytes. A guessable mask key lets a payload forge traffic for proxies."""
        self._entropy = entropy
        self._keys = b""
        self._next_key = 0

    def frame(self, payload: bytes) -> bytes:
        """One unfragmented text frame; `payload` is UTF-8 by the caller's word."""
        start = self._next_key
        if start == len(self._keys):
            self._keys = self._entropy(_KEY_BLOCK_SIZE)
            start = 0
        self._next_key = start + 4
        key = self._keys[start : start + 4]
        length = len(payload)
        if length < 126:
            head = _HEADS[length]
        elif length < 65536:
            head = b"\x81\xfe" + length.to_bytes(2, "big")
        else:
            head = b"\x81\xff" + length.to_bytes(8, "big")
        # One exclusive-or of two long integers masks the whole payload without a Python loop.
        mask = int.from_bytes((key * (length // 4 + 1))[:length], "little")
        return head + key + (int.from_bytes(payload, "little") ^ mask).to_bytes(length, "little")


class TextSieve:
    """Takes whole text messages out of a server's byte stream; what it does not take is the library's to decode.

    It takes a frame only if the library could do nothing but give its text: final, unmasked, shortest form of length,
    valid UTF-8, not too large, and nothing before it still on its way through the library. So order is kept, and
    everything that is special or wrong is seen by the library in one piece.
    """

    def __init__(self, limit: int) -> None:
        """limit: bytes of the largest text to take."""
        self._limit = min(limit, _TEXT_LIMIT)
        self._held = b""  # the beginning of a frame that is not complete
        self._owed: float = 0  # bytes still to come of a frame whose beginning was passed on; inf: all that comes
        self._fragmented = False  # the library has the first part of a message
        self._through_library = 0  # messages passed on whole and not yet reported by `library_gave_message`

    def library_gave_message(self) -> None:
        """The consumer has got one message that went through the library."""
        self._through_library -= 1

    def split(self, data: bytes) -> tuple[list[str], bytes]:
        """Of the next bytes of the stream: the texts taken, in order, and the bytes for the library."""
        texts: list[str] = []
        passed: list[bytes] = []
        at = 0
        if self._held:
            data = self._held + data
            self._held = b""
        elif self._owed:
            at = int(min(self._owed, len(data)))
            self._owed -= at
            passed.append(data[:at])
        size = len(data)
        while at < size:
            if size - at < 4 and (size - at < 2 or data[at + 1] == 126):
                break
            first, second = data[at], data[at + 1]
            # Lengths of 16 bits are common, those of 64 are not: a text that long is the library's in any case.
            body = at + 4 if second == 126 else at + 2
            length = int.from_bytes(data[at + 2 : body], "big") if second == 126 else second
            if (
                first == _WHOLE_TEXT
                and length <= self._limit
                and (second < 126 or (second == 126 and length >= 126))
                and not self._fragmented
                and not self._through_library
            ):
                end = body + length
                if end > size:
                    break
                try:
                    texts.append(data[body:end].decode())
                except UnicodeDecodeError:
                    pass  # the library's to refuse
                else:
                    at = end
                    continue
            if second == 127:
                body = at + 10
                if body > size:
                    break
                length = int.from_bytes(data[at + 2 : body], "big")
            frame_end = body + length if self._goes_on(first, second, length) else inf
            passed.append(data[at : int(min(frame_end, size))])
            self._owed = max(0, frame_end - size)
            at = int(min(frame_end, size))
        if at < size:
            self._held = data[at:]
        return texts, b"".join(passed)

    def _goes_on(self, first: int, second: int, length: int) -> bool:
        """Note a frame that the library gets. False when it ends the session: nothing behind it is a message."""
        final, reserved, opcode = first & 0x80, first & 0x70, first & 0x0F
        if reserved or second > 127 or length < (0, 126, 65536)[max(0, second - 125)]:
            return False
        if opcode in (_PING, _PONG):
            return bool(final) and length < 126
        if opcode not in (_CONTINUATION, _TEXT, _BINARY) or (opcode == _CONTINUATION) != self._fragmented:
            return False
        self._fragmented = not final
        if final:
            self._through_library += 1
        return True
