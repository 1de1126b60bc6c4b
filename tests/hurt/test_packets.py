"""The line that loses packets: what comes back is what a network would bring, each weather as it is called."""

import struct
from itertools import pairwise
from typing import Final

import pytest

from tests.hurt.packets import ACK, FAIR, SYN, WEATHERS, Line

SERVER, CLIENT = 443, 50_000
COUNT: Final = 400
LONG_S: Final = 10.0


def packet(source: int, target: int, flags: int = ACK, mark: int = 0) -> bytes:
    """An IPv4 packet with a TCP header and its checksum."""
    near, far = bytes((10, 203, 0, 1)), bytes((10, 203, 0, 9))
    tcp = struct.pack("!HHIIBBHHH", source, target, mark, 0, 5 << 4, flags, 0, 0, 0)
    tcp = tcp[:16] + struct.pack("!H", checksum(near + far + struct.pack("!HH", 6, len(tcp)) + tcp)) + tcp[18:]
    return struct.pack("!BBHHHBBH4s4s", 0x45, 0, 20 + len(tcp), 0, 0, 64, 6, 0, near, far) + tcp


def checksum(octets: bytes) -> int:
    total: int = sum(struct.unpack(f"!{len(octets) // 2}H", octets))
    while total >> 16:
        total = (total & 0xFFFF) + (total >> 16)
    return ~total & 0xFFFF


def passed(weather: str) -> tuple[list[bytes], list[bytes]]:
    """What comes through in both directions, in the sequence of its arrival."""
    line = Line(1)
    line.take(packet(CLIENT, SERVER, SYN), 0.0)
    line.due(LONG_S)
    line.storms = True
    line.weather = next(one for one in (FAIR, *WEATHERS) if one.name == weather)
    line.until_s = LONG_S
    for number in range(COUNT):
        line.take(packet(CLIENT, SERVER, mark=number), number / 1000)
        line.take(packet(SERVER, CLIENT, mark=number), number / 1000)
    arrived = line.due(LONG_S)
    up = [one for one in arrived if struct.unpack("!H", one[22:24]) == (SERVER,)]
    return up, [one for one in arrived if one not in up]


def test_a_packet_comes_back_with_its_addresses_exchanged_and_its_checksum_right() -> None:
    up, down = passed("fair")
    for one in (*up, *down):
        assert one[12:16] == bytes((10, 203, 0, 9))
        assert one[16:20] == bytes((10, 203, 0, 1))
        assert checksum(one[12:20] + struct.pack("!HH", 6, len(one) - 20) + one[20:]) == 0


@pytest.mark.parametrize(
    ("weather", "least_up", "most_up", "least_down", "most_down"),
    [
        ("fair", 0.97, 1.02, 0.97, 1.02),
        ("lossy", 0.88, 0.99, 0.88, 0.99),
        ("foul", 0.65, 0.88, 0.65, 0.88),
        ("shuffled", 0.95, 1.05, 0.95, 1.05),
        ("nothing up", 0.0, 0.0, 1.0, 1.0),
        ("nothing down", 1.0, 1.0, 0.0, 0.0),
        ("nothing", 0.0, 0.0, 0.0, 0.0),
    ],
)
def test_each_weather_lets_through_what_it_should(
    weather: str, least_up: float, most_up: float, least_down: float, most_down: float
) -> None:
    up, down = passed(weather)
    assert least_up <= len(up) / COUNT <= most_up
    assert least_down <= len(down) / COUNT <= most_down


def test_the_shuffled_one_lets_packets_overtake_each_other() -> None:
    marks = [struct.unpack("!I", one[24:28])[0] for one in passed("shuffled")[0]]
    assert sum(later < before for before, later in pairwise(marks)) > COUNT / 10
