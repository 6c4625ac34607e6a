"""The shape of the package: floors, rooms, mirrored tests and public names."""

import __future__

import ast
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType
from typing import Final

import pytest

import bearer_guard

TESTS: Final = Path(__file__).resolve().parent.parent
PACKAGE: Final = TESTS.parent / "bearer_guard"

# Lowest first. "__init__" stands for the package itself: `import bearer_guard`.
FLOORS: Final[list[set[str]]] = [
    {"errors", "clock", "record", "_proxy_sso_catalogue"},
    {"token", "policy", "verdict", "proxy_sso", "events", "cache", "exempt", "user"},
    {"keyring", "judge", "credentials"},  # pure like those below, and built on them
    {"store"},  # the interface between the sides: issuing sees no higher
    {"tasks", "refusals"},
    {"lookup", "last_used", "feed"},
    {"verify"},
    {"hot_path", "answers", "lifespan", "long_lived"},  # parts of the guard
    {"guard"},
    {"__init__"},
]

ROOMS: Final = {
    "issuing",
    "stores",
    "endpoints",
    "integrations",
    "telemetry",
    "cli",
    "testing",
    "__main__",  # `python -m bearer_guard`, the command by another name
}
# Which rooms a room may reach into; None: all of them.
REACHES: Final[dict[str, set[str] | None]] = {
    "endpoints": {"issuing"},
    "cli": None,
    "testing": None,
    "__main__": None,
}

# Slow to import, or an extra's: a process that only validates has none of them in memory.
HEAVY: Final = {
    "alembic",
    "argon2",
    "asyncmy",
    "asyncpg",
    "click",
    "jinja2",
    "limits",
    "redis",
    "rich",
    "sqlalchemy",
}


def modules() -> list[Path]:
    return sorted(path.relative_to(PACKAGE) for path in PACKAGE.rglob("*.py"))


def part_of(module: Path) -> str:
    """The core module's own name, or the room that the module is in."""
    return module.parts[0].removesuffix(".py")


def core_modules() -> list[Path]:
    return [module for module in modules() if part_of(module) not in ROOMS]


def room_modules() -> list[Path]:
    return [module for module in modules() if part_of(module) in ROOMS]


def floor_of(name: str) -> int:
    for floor, names in enumerate(FLOORS):
        if name in names:
            return floor
    pytest.fail(f"bearer_guard/{name}.py has no floor: give it one here")


def statements_run(node: ast.AST) -> Iterator[ast.AST]:
    """Every node below, but for the bodies of `if TYPE_CHECKING:`, which never run."""
    for child in ast.iter_child_nodes(node):
        if isinstance(child, ast.If) and ast.unparse(child.test).endswith("TYPE_CHECKING"):
            for other in child.orelse:
                yield other
                yield from statements_run(other)
        else:
            yield child
            yield from statements_run(child)


def dotted_imports(module: Path) -> Iterator[str]:
    """The full names that a module imports, at its top or later, each name of a `from` apart."""
    package = ["bearer_guard", *module.parts[:-1]]
    for node in statements_run(ast.parse((PACKAGE / module).read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            above = package[: len(package) - node.level + 1] if node.level else []
            origin = ".".join([*above, *filter(None, [node.module])])
            yield from (f"{origin}.{alias.name}" for alias in node.names)


def parts_imported(module: Path) -> set[str]:
    """The core modules and rooms that a module imports; "__init__" for the package's own names."""
    found = set()
    for name in dotted_imports(module):
        first, *rest = name.split(".")
        if first == "bearer_guard":
            known = rest and ((PACKAGE / rest[0]).is_dir() or (PACKAGE / f"{rest[0]}.py").is_file())
            found.add(rest[0] if known else "__init__")
    return found


def loaded_by_the_guard() -> list[str]:
    code = "import sys, bearer_guard; print(*sys.modules)"
    return subprocess.check_output(
        [sys.executable, "-c", code], cwd=PACKAGE.parent, text=True
    ).split()


@pytest.mark.parametrize("module", core_modules(), ids=str)
def test_core_imports_lower_floors_only(module: Path) -> None:
    here = floor_of(part_of(module))
    core = parts_imported(module) - ROOMS
    assert {name for name in core if floor_of(name) >= here} == set()


@pytest.mark.parametrize("module", core_modules(), ids=str)
def test_core_imports_no_room(module: Path) -> None:
    assert parts_imported(module) & ROOMS == set()


@pytest.mark.parametrize("module", core_modules(), ids=str)
def test_only_the_store_interface_imports_by_name(module: Path) -> None:
    called = {
        ast.unparse(node.func).rpartition(".")[2]
        for node in ast.walk(ast.parse((PACKAGE / module).read_text(encoding="utf-8")))
        if isinstance(node, ast.Call)
    }
    by_name = called & {"import_module", "__import__"}
    assert not by_name or part_of(module) == "store"


@pytest.mark.parametrize("module", room_modules(), ids=str)
def test_rooms_do_not_import_each_other(module: Path) -> None:
    here = part_of(module)
    reached = REACHES.get(here, set())
    if reached is not None:
        assert (parts_imported(module) & ROOMS) - reached - {here} == set()


@pytest.mark.parametrize(
    "module", [module for module in room_modules() if part_of(module) == "issuing"], ids=str
)
def test_issuing_sees_nothing_above_the_store_interface(module: Path) -> None:
    core = parts_imported(module) - ROOMS
    assert {name for name in core if floor_of(name) > floor_of("store")} == set()


def test_importing_the_guard_brings_no_room() -> None:
    rooms = tuple(f"bearer_guard.{room}" for room in ROOMS)
    assert [name for name in loaded_by_the_guard() if name.startswith(rooms)] == []


def test_importing_the_guard_brings_no_heavy_library() -> None:
    assert HEAVY & set(loaded_by_the_guard()) == set()


@pytest.mark.parametrize(
    "module",
    [
        module
        for module in modules()
        if module.stem not in {"__init__", "__main__"} and "migrations" not in module.parts
    ],
    ids=str,
)
def test_every_module_has_its_tests(module: Path) -> None:
    """`X.py` has `core/test_X.py`, `ROOM/X.py` has `ROOM/test_X.py`, and so on down.

    A room of one module, `ROOM.py`, has `ROOM/test_ROOM.py`.
    """
    folder = module.parent
    if len(module.parts) == 1:
        folder = Path(module.stem if module.stem in ROOMS else "core")
    twin = TESTS / folder / f"test_{module.stem.removeprefix('_')}.py"
    assert twin.is_file(), f"{twin.relative_to(TESTS.parent)} is missing"


def test_the_public_names_are_few() -> None:
    assert 0 < len(bearer_guard.__all__) <= 25


def test_the_public_names_are_what_the_package_binds() -> None:
    bound = {
        name
        for name, value in vars(bearer_guard).items()
        if not name.startswith("_") and not isinstance(value, ModuleType | __future__._Feature)
    }
    assert {name for name in bearer_guard.__all__ if not name.startswith("_")} == bound
