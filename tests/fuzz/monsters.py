"""Documents that are no mutants of anything: deep, long, wide, or a promise of more than is there."""

from typing import Final

SMALL_BYTES: Final = 64 << 10
"""As long as documents get in service. Longer ones are taken too, and cost more."""

DEPTH: Final = 200_000


def monsters(size: int) -> dict[str, bytes]:
    """Monsters of about this many bytes, by name."""
    digits, wide = b"9" * size, size // 3
    deep = min(DEPTH, size)
    return {
        "nothing": b"",
        "zeros": bytes(size),
        "ones": b"\xff" * size,
        "spaces": b" " * size,
        "line ends": b"\n" * size,
        "deep lists": b"[" * deep,
        "deep lists that end": b"[" * (deep // 2) + b"]" * (deep // 2),
        "deep maps": b'{"a":' * (deep // 5),
        "deep in a member we skip": b'{"a":' + b"[" * deep,
        "deep in a member of ours": b'{"data":' + b"[" * (deep // 2) + b"]" * (deep // 2) + b',"type":"Order"}',
        "deep result": b'{"error":[],"result":{"open":' + b'{"a":' * (deep // 5),
        "a long number": digits,
        "a long number inside": b'{"reqid":%b,"event":"pong","method":"pong","type":"Pong"}' % digits,
        "a long fraction": b'{"req_id":0.%b,"cum_qty":0.%b}' % (digits[: size // 2], digits[: size // 2]),
        "a long exponent": b'{"reqid":1e%b}' % digits,
        "a long text": b'"%b"' % (b"x" * size),
        "a long text inside": b'{"event":"cancelOrderStatus","status":"error","errorMessage":"%b"}' % (b"x" * size),
        "a long escape": b'{"event":"%b"}' % (b"\\u0041" * (size // 6)),
        "a long text that does not end": b'{"event":"' + b"\\" * size,
        "half a surrogate": b'{"event":"%b"}' % (b"\\ud800" * (size // 6)),
        "bad text": b'{"event":"%b"}' % (b"\xed\xa0\x80" * wide),
        "one name many times": b"{" + b'"id":1,' * (size // 7) + b'"id":1}',
        "many names": b"{" + b",".join(b'"%x":1' % n for n in range(size // 9)) + b"}",
        "wide lists": b"[" + b"[]," * (wide // 2) + b"[]]",
        "msgpack: deep lists": b"\x91" * deep,
        "msgpack: deep maps": b"\x81\xa1a" * (deep // 3),
        "msgpack: deep names": b"\x81" * deep,
        "msgpack: a promise of lists": b"\xdd\xff\xff\xff\xff" + b"\x90" * size,
        "msgpack: a promise of members": b"\xdf\xff\xff\xff\xff" + b"\xa1a\xc0" * wide,
        "msgpack: a promise of text": b"\xdb\xff\xff\xff\xff" + b"a" * size,
        "msgpack: wide maps": b"\xdd" + size.to_bytes(4) + b"\x80" * size,
        "msgpack: empty orders": b"\x82\xa4type\xaccancel_batch\xa6orders\xdd" + size.to_bytes(4) + b"\x80" * size,
        "TOML: one line": b"x = " + b"[" * deep,
        "TOML: a long name": b"a." * (size // 2) + b"b = 1",
        "TOML: many tables": b"[a]\n" * (size // 4),
    }
