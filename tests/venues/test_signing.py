"""Signatures against the venue's published vectors, those of public clients, and others of the same keys."""

import pytest

from canceld.credentials import Secret
from canceld.venues.signing import (
    decode_spot_secret,
    futures_authent,
    futures_challenge,
    prime_headers,
    prime_signature,
    prime_timestamp,
    spot_signature,
)

# Kraken's published example key. Source: Spot REST "Authentication".
PRIVATE_KEY = "kQH5HW/8p1uGOVjbgWA7FunAmGO8lsSUXNsu3eow76sz84Q18fWxnyRzBHCd3pd5nE9qa99HAZtuZuj6F1huXg=="
NONCE = "1616492376594"


@pytest.mark.parametrize(
    ("path", "body", "signature"),
    [
        pytest.param(
            "/0/private/AddOrder",
            f"nonce={NONCE}&ordertype=limit&pair=XBTUSD&price=37500&type=buy&volume=1.25",
            "4/dpxb3iT4tp/ZCVEwSnEsLxx0bqyhLpdfOpc6fn7OR8+UClSV5n9E6aSS8MPtnRfp32bAb0nmbRn6H8ndwLUQ==",
            id="the published one",
        ),
        pytest.param(
            "/0/private/CancelOrder",
            f"nonce={NONCE}&txid=OHYO67-6LP66-HMQ437",
            "fQFa1ZX8+ZpQnIRLCJoDl4VBmI2UuIar6lhBQbfJlG18dfOGQ+2nu7TUq/bqJ+mKXb4jmFz5Si4GndEVvNy/mQ==",
            id="a form",
        ),
        pytest.param(
            "/0/private/CancelOrderBatch",
            f'{{"nonce":{NONCE},"orders":["OP5V2Y-RYKVL-ET3V3B","OP5V2Y-7YKVL-ET3V3B"]}}',
            "GqbaY5YcWQnIphtqzRcLBUP8mWkDYgR/MVn98NiTGv3dZkATqyp7WPvdhNEBp6HUI2zz4/dgVA6z910JbmSHUg==",
            id="a JSON body",
        ),
        pytest.param(
            "/0/private/GetWebSocketsToken",
            f"nonce={NONCE}",
            "+mRDmY9Ks0Moc1zjv/BjfvYa98buO0x1yHChZR5onlfAzAUbfIYlLggUZzdQ0RsmXm4Sh+Q8iAIZdo2wSeHeiA==",
            id="a token request",
        ),
        pytest.param(
            "/0/private/CancelAll",
            f"nonce={NONCE}",
            "OfXInJKG/CGUVlF8/2IGsoLjxoXdjGyjKbm/G/iWqfYNVVdF97YvCNsSn7F2MNZScPQycb4EsrhJFm5OtQCTYQ==",
            id="the same body on another path",
        ),
    ],
)
def test_signature_is_the_known_one(path: str, body: str, signature: str) -> None:
    secret = Secret(decode_spot_secret(PRIVATE_KEY))
    assert spot_signature(secret, path, NONCE, body.encode()) == signature


@pytest.mark.parametrize(
    "text",
    ["", PRIVATE_KEY[:-1], PRIVATE_KEY[1:], " " + PRIVATE_KEY, PRIVATE_KEY + "\n", "not base64!", "clé" * 4],
    ids=["empty", "end clipped", "start clipped", "leading space", "line end", "words", "not ASCII"],
)
def test_mangled_secret_is_refused_without_being_shown(text: str) -> None:
    with pytest.raises(ValueError, match="private key") as refused:
        decode_spot_secret(text)
    assert not text or text not in str(refused.value)


ROQ_SECRET = "DuWQ3317vPm8tlOoylWmhfQJwGkKiR+ABuNNocaPxU2DA5H9aZAKkGO0sYBSGKirtdlkm8dL9DAp6husEABgWyOr"
"""Source: unit tests of the roq-trading gateway."""

GUIDE_SECRET = "rttp4AzwRfYEdQ7R7X8Z/04Y4TZPa97pqCypi3xXxAqftygftnI6H9yGV+OcUOOJeFtZkr8mVwbAndU3Kz4Q+eG="
"""Source: Futures REST guide, whose print lacks the padding."""

FEED_SECRET = "7zxMEF5p/Z8l2p2U7Ghv6x14Af+Fx+92tPgUdVQ748FOIrEoT9bgT+bTRfXc5pz8na+hL/QdrCVG7bh9KpT0eMTm"
"""Source: Futures WebSockets guide."""


@pytest.mark.parametrize(
    ("secret", "post_data", "nonce", "path", "authent"),
    [
        pytest.param(
            ROQ_SECRET,
            "orderType=lmt&symbol=PI_XBTUSD&side=buy&size=1&limitPrice=44587.5&cliOrdId=123%2B%2F%3D&reduceOnly=false",
            "1629361663947",
            "/api/v3/sendorder",
            "YU08zbwSTBmsVOSQQh8EPPW6eAZUmqgpRy6t5EmO2j/5aEyX3LTw1G2H+CP0dqUWOhLIFoQAXuZQcK5vU/B/qQ==",
            id="a public client's, percent-encoded",
        ),
        pytest.param(
            GUIDE_SECRET,
            "symbol=fi_xbtusd_180615",
            "1415957147987",
            "/api/v3/orderbook",
            "DqUyz8Wh/72af7dimSXHw91IFxrAriTgVodyg2s67PU2mVStwLDQak+uIoCtfb43XONq0xVAp+vm5dqnhFAB1Q==",
            id="the guide's inputs",
        ),
        pytest.param(
            GUIDE_SECRET,
            "symbol=fi_xbtusd_180615",
            "",
            "/api/v3/orderbook",
            "BGOdiF//YXbOtKUkyFFRqKAft7gai33YfScxFrXMdMHGUJ6wSaMA6y0p6UzfYzj5Flgvv+SFQe53h2KrEe37Ng==",
            id="without a nonce",
        ),
        pytest.param(
            FEED_SECRET,
            "order_id=cb4e34f6-4eb3-4d4b-9724-4c3035b99d47",
            "",
            "/api/v3/cancelorder",
            "RsJUAGKHRANTCXN4yfIJ6YLZxUG3GFenqV/XrSrFYFmxosX9EWvg1P+Ja0kNBx8y/RXW1/tXTYKQmSxWzRH9cw==",
            id="a cancel",
        ),
        pytest.param(
            FEED_SECRET,
            "json=%7B%22batchOrder%22%3A%5B%7B%22order%22%3A%22cancel%22%2C%22order_id%22%3A%22"
            "cb4e34f6-4eb3-4d4b-9724-4c3035b99d47%22%7D%5D%7D",
            "",
            "/api/v3/batchorder",
            "ui6S65hm67tgtBd5ZbJu9YEtuCwdk4PFWfuVlG8uwyiHG/95WUvr0ekkmAYbV+BCEZgYH/9Y1y8rMuhBtWI/fA==",
            id="a batch",
        ),
        pytest.param(
            FEED_SECRET,
            "timeout=60",
            "",
            "/api/v3/cancelallordersafter",
            "Fy/R8IfTKZoUDUcQijs6KCU7r+PAoHHKtAFxhgnKNE2ErSs39cMyBWmmTRFkgRTf+rxHD9FgQDxNjyrDO8WMcQ==",
            id="a timer",
        ),
    ],
)
def test_authent_is_the_known_one(secret: str, post_data: str, nonce: str, path: str, authent: str) -> None:
    assert futures_authent(Secret(decode_spot_secret(secret)), post_data.encode(), nonce, path) == authent


def test_challenge_is_signed_as_published() -> None:
    signed = futures_challenge(Secret(decode_spot_secret(FEED_SECRET)), "c100b894-1729-464d-ace1-52dbce11db42")
    assert signed == "4JEpF3ix66GA2B+ooK128Ift4XQVtc137N9yeg4Kqsn9PI0Kpzbysl9M1IeCEdjg0zl00wkVqcsnG4bmnlMb3A=="


PRIME_TIME = "2019-02-13T05:17:32.000000Z"


# Kraken publishes inputs and no outputs: these are computed by the rule and hold it in place.
@pytest.mark.parametrize(
    ("secret", "host", "signature"),
    [
        (b"test-secret-0001", "wss.prime.kraken.com", "44nvMNe6i3jnbg8G3xHSUzCOkAITPn9m4yv7_8D26jk="),
        (b"test-secret-0001", "wss.sandbox.prime.kraken.com", "DDH1SX3j7rK8Xsb5AjsBZTboOrJP_sl344anBKdmp7I="),
        (b"test-secret-0018", "wss.prime.kraken.com", "IEiMdT8TgfV_sFEWYpVlhTEn-cYY7BajjJeKXqWSIOI="),
    ],
)
def test_prime_signature_holds(secret: bytes, host: str, signature: str) -> None:
    assert prime_signature(Secret(secret), PRIME_TIME, host, "/ws/v1") == signature
    assert prime_headers(Secret("the-public-key"), Secret(secret), PRIME_TIME, host, "/ws/v1") == (
        ("ApiKey", "the-public-key"),
        ("ApiSign", signature),
        ("ApiTimestamp", PRIME_TIME),
    )


@pytest.mark.parametrize(("utc_ns", "text"), [(1550035052_999_999_999, PRIME_TIME), (0, "1970-01-01T00:00:00.000000Z")])
def test_prime_timestamp_is_in_whole_seconds_with_six_zeros(utc_ns: int, text: str) -> None:
    assert prime_timestamp(utc_ns) == text
