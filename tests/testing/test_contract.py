"""The contract as outsiders use it."""

from pathlib import Path

import pytest

from bearer_guard.testing import AccountStoreContract, NoteStoreContract, StoreContract, contract

pytest_plugins = ["pytester"]

PARTS = {
    StoreContract: {"fetch", "end", "poll", "announced", "page", "purge", "settings", "key"},
    AccountStoreContract: {"account", "disabled"},
    NoteStoreContract: {"note"},
}


@pytest.mark.parametrize("suite", PARTS)
def test_every_test_has_a_name_of_its_own(suite: type) -> None:
    """A part must not hide the test of another."""
    names = [name for part in suite.__mro__ for name in vars(part) if name.startswith("test_")]
    assert len(names) == len(set(names))


@pytest.mark.parametrize(("suite", "words"), PARTS.items())
def test_the_suites_are_whole(suite: type, words: set[str]) -> None:
    names = " ".join(name for name in dir(suite) if name.startswith("test_"))
    assert {word for word in words if word not in names} == set()


OUTSIDE = """
import pytest
from bearer_guard.stores.memory import MemoryStore
from bearer_guard.testing import AccountStoreContract, NoteStoreContract, StoreContract

@pytest.mark.asyncio
class TestTheirs(StoreContract, AccountStoreContract, NoteStoreContract):
    @pytest.fixture
    def store(self, clock):
        return MemoryStore(clock=clock)
"""


def test_it_runs_in_a_project_of_its_own(pytester: pytest.Pytester) -> None:
    """In pytest-asyncio's strict mode, which is its default."""
    pytester.makepyfile(OUTSIDE)
    result = pytester.runpytest_subprocess("-p", "no:cacheprovider", "-q")
    outcomes = result.parseoutcomes()
    assert outcomes["passed"] > 150
    assert outcomes == {"passed": outcomes["passed"], "skipped": 2}


def test_a_failure_tells_its_values(pytester: pytest.Pytester) -> None:
    broken = "\n    async def note(self, key, now_ms):\n        return None\n"
    pytester.makepyfile(
        OUTSIDE.replace("MemoryStore(clock", "Theirs(clock").replace(
            "@pytest.mark.asyncio", f"class Theirs(MemoryStore):{broken}\n@pytest.mark.asyncio"
        )
    )
    result = pytester.runpytest_subprocess("-p", "no:cacheprovider", "-q", "-k", "a_note_is_kept")
    result.stdout.fnmatch_lines(["*assert None == Note(*"])


def test_the_example_names_what_there_is() -> None:
    text = Path(contract.__file__).read_text(encoding="utf-8")
    for name in ("StoreContract, AccountStoreContract, NoteStoreContract", "def second"):
        assert name in text
