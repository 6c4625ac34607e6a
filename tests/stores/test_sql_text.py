"""Which text can be kept."""

import pytest

from bearer_guard.errors import InvalidRequest
from bearer_guard.stores._sql_text import check_storable, storable


@pytest.mark.parametrize("text", ["", "alice", "\u00fc", "\U0001f511", " ", "\ufffe", "\x01"])
def test_text_can_be_kept(text: str) -> None:
    assert storable(text)
    check_storable([text, None, 5, b"\0"])


@pytest.mark.parametrize("text", ["\0", "a\0", "\ud800", "\udfff\ud800", "a\udc80"])
def test_what_is_no_text_can_not(text: str) -> None:
    assert not storable(text)
    with pytest.raises(InvalidRequest):
        check_storable(["fine", text])
