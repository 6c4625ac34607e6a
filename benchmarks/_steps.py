"""How many steps of the interpreter a call takes: no clock, so no noise.

A step is a bytecode instruction; a call is one of a Python function, a resumed coroutine, or a
function in C. What a call does in C takes one step, however long: that is for the clock to tell.
"""

from __future__ import annotations

import sys
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable
    from types import FrameType

__all__ = ["Steps", "steps"]

_CALLS: Final = frozenset({"call", "c_call"})


@dataclass(frozen=True, slots=True)
class Steps:
    """What one request takes.

    Attributes:
        name: Of the form.
        steps: Bytecode instructions.
        calls: Calls among them.
    """

    name: str
    steps: int
    calls: int


_TIMES: Final = 5


async def steps(name: str, call: Callable[[], Awaitable[object]]) -> Steps:
    """Count, in a call that waits for nothing: the fewest of some, for some do more."""
    counts = [await _count(call()) for _ in range(_TIMES)]
    return Steps(name, *min(counts))


async def _count(awaitable: Awaitable[object]) -> tuple[int, int]:
    counted = {"opcode": 0, "call": 0}

    def trace(frame: FrameType, event: str, _: Any) -> Any:  # noqa: ANN401 - as sys has it
        frame.f_trace_opcodes = True
        counted["opcode"] += event == "opcode"
        return trace

    def profile(_: FrameType, event: str, __: Any) -> None:  # noqa: ANN401 - as sys has it
        counted["call"] += event in _CALLS

    before = sys.gettrace(), sys.getprofile()
    sys.settrace(trace)
    sys.setprofile(profile)
    try:
        await awaitable
    finally:
        sys.setprofile(before[1])
        sys.settrace(before[0])
    return counted["opcode"], counted["call"]
