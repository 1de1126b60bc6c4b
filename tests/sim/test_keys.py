"""API keys and WebSocket tokens."""

from __future__ import annotations

import base64
import random

from canceld.sim.keys import TOKEN_FIRST_USE_S, Keyring


def test_a_token_must_be_used_within_its_time_and_lives_on_once_used() -> None:
    now_s = 0.0
    keyring = Keyring(now=lambda: now_s, rng=random.Random(1))
    key = keyring.issue("spot", "alice")
    used, unused = keyring.issue_token(key), keyring.issue_token(key)
    assert keyring.use_token(used) is key
    now_s = TOKEN_FIRST_USE_S + 1.0
    assert keyring.use_token(used) is key
    assert keyring.use_token(unused) is None


def test_tokens_die_with_their_key_and_when_all_are_revoked() -> None:
    keyring = Keyring(now=lambda: 0.0, rng=random.Random(1))
    key, other = keyring.issue("spot", "alice"), keyring.issue("spot", "bob")
    first, second = keyring.issue_token(key), keyring.issue_token(other)
    keyring.revoke("spot", key.key)
    assert keyring.find("spot", key.key) is None
    assert keyring.use_token(first) is None
    assert keyring.use_token(second) is other
    keyring.revoke_tokens()
    assert keyring.use_token(second) is None


def test_a_key_may_do_what_its_venue_knows_unless_told_less() -> None:
    keyring = Keyring(now=lambda: 0.0, rng=random.Random(1))
    assert keyring.issue("prime", "alice").rights == {"read::orders", "write::orders"}
    assert keyring.issue("futures", "alice").rights == {"read-only", "full"}
    assert keyring.issue("futures", "alice", rights=()).rights == frozenset()


def test_secrets_have_the_shape_each_venue_hands_out() -> None:
    keyring = Keyring(now=lambda: 0.0, rng=random.Random(1))
    assert len(base64.b64decode(keyring.issue("spot", "alice").secret, validate=True)) == 64
    assert "-" in keyring.issue("prime", "alice").secret
