"""The order of a listing."""

from bearer_guard.stores._memory_order import Order
from bearer_guard.testing import a_record


def test_the_newest_come_first_and_ids_decide_within_a_millisecond() -> None:
    order = Order()
    records = [a_record(created_ms=at_ms) for at_ms in (5, 7, 5, 6)]
    for record in records:
        order.add(record)
    expected = sorted(records, key=lambda r: (r.created_ms, r.id), reverse=True)
    assert list(order) == [record.id for record in expected]


def test_it_goes_on_after_any_place_also_one_that_is_gone() -> None:
    order = Order()
    records = [a_record(created_ms=at_ms) for at_ms in (1, 2, 3)]
    for record in records:
        order.add(record)
    order.remove({records[1].id})
    assert len(order) == 2
    assert list(order.before((2, records[1].id))) == [records[0].id]
