"""Options that come with a URL."""

import pytest

from bearer_guard.errors import ConfigurationError
from bearer_guard.stores._options import construct


class Adapter:
    def __init__(self, path: str, *, size: int = 1, colour: str = "red") -> None:
        self.made = (path, size, colour)


def test_an_adapter_is_made_with_its_options() -> None:
    assert construct(Adapter, "here", options={"size": 5}).made == ("here", 5, "red")


@pytest.mark.parametrize("name", ["sice", "path", "self"])
def test_an_unknown_option_is_named_together_with_those_there_are(name: str) -> None:
    with pytest.raises(ConfigurationError, match=f"{name}; there are size, colour$"):
        construct(Adapter, "here", options={name: 5})
