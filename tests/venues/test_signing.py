"""Signatures against Kraken's published vector and others of the same key."""

import pytest

from daemon.credentials import Secret
from daemon.venues.signing import decode_spot_secret, spot_signature

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
