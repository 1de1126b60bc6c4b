"""Ids that no order has and every venue can read."""

import uuid

from canceld.contract.ids import Target, fault_of
from canceld.engine.nobody import txid_of_nobody, uuid_of_nobody


def test_txid_is_well_formed_and_none_of_krakens() -> None:
    txid = txid_of_nobody("CHECKS", bytes(range(11)))
    assert fault_of("spot", Target("order_id", txid)) is None
    assert [len(group) for group in txid.split("-")] == [6, 5, 6]
    assert not txid.startswith("O")


def test_uuid_is_a_random_one_by_its_form() -> None:
    text = uuid_of_nobody(bytes(16))
    assert fault_of("futures", Target("order_id", text)) is None
    assert uuid.UUID(text).version == 4
