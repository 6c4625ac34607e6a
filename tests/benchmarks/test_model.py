"""The paper model: proportions, and a look-up that grows with the logarithm."""

from __future__ import annotations

from dataclasses import replace

from benchmarks.scale.model import Measured, World, model

MEASURED = Measured(
    poll_us=100, read_us=50, read_tokens=1_000_000, read_growth=1.3, row_bytes=300, entry_bytes=512
)
WORLD = World(processes=1000, tokens=10**9, active=600, requests_s=1000, ends_s=10)


def values(measured: Measured, world: World = WORLD) -> dict[str, list[str]]:
    found: dict[str, list[str]] = {}
    for line in model(measured, world):
        found.setdefault(line.what, []).append(line.value)
    return found


def test_what_is_asked_of_the_store_follows_from_the_processes() -> None:
    found = values(MEASURED)
    assert found["polls"] == ["1,000/s"]
    assert found["reads"] == ["10,000/s"]
    assert found["hits without the store"] == ["99.0%"]
    assert found["their processor time"][0] == "0.10 cores"
    assert found["the store"] == ["279 GiB"]


def test_a_read_grows_with_every_decade_of_tokens() -> None:
    # 0.3 more over three decades is 0.1 a decade; a billion is six decades from a thousand.
    assert values(MEASURED)["a read"] == ["80 µs"]
    assert values(MEASURED)["their processor time"][1] == "0.80 cores"


def test_noise_makes_no_read_cheaper_among_more_tokens() -> None:
    assert values(replace(MEASURED, read_growth=0.9))["a read"] == ["50 µs"]
