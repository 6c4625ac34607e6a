"""`_config`: where the value of an option comes from, and what the file may say."""

from pathlib import Path

import pytest

from bearer_guard.cli._config import DEFAULT_FILE
from tests.cli.support import Cli, keywords_of

CREATE = ("token", "create")
NEEDED = ("--user", "alice", "--days", "1")


def write(text: str, name: str = DEFAULT_FILE) -> None:
    Path(name).write_text(text)


def test_option_over_environment_over_file_over_default(
    bare: Cli, monkeypatch: pytest.MonkeyPatch
) -> None:
    got = keywords_of(("user", "list"), monkeypatch)
    assert bare("user", "list").exit_code == 0
    assert got["place"].store_url == "sqlite:///bearer-guard.db"
    write('store = "sqlite:///file.db"')
    bare("user", "list")
    assert got["place"].store_url == "sqlite:///file.db"
    monkeypatch.setenv("BEARER_GUARD_STORE", "sqlite:///env.db")
    bare("user", "list")
    assert got["place"].store_url == "sqlite:///env.db"
    bare("--store", "sqlite:///before.db", "user", "list")
    assert got["place"].store_url == "sqlite:///before.db"
    bare("--store", "sqlite:///before.db", "user", "list", "--store", "sqlite:///after.db")
    assert got["place"].store_url == "sqlite:///after.db"


def test_the_same_for_an_option_of_one_command(bare: Cli, monkeypatch: pytest.MonkeyPatch) -> None:
    got = keywords_of(("serve",), monkeypatch)
    assert bare("serve", "a:b").exit_code == 0
    assert (got["port"], got["exempt"], got["optional"]) == (8000, (), False)
    write('port = 1000\nexempt = ["/a b", "/c"]\noptional = true')
    bare("serve", "a:b")
    assert (got["port"], got["exempt"], got["optional"]) == (1000, ("/a b", "/c"), True)
    write("port = 1000\n[serve]\nport = 1001")
    bare("serve", "a:b")
    assert got["port"] == 1001
    monkeypatch.setenv("BEARER_GUARD_PORT", "1002")
    monkeypatch.setenv("BEARER_GUARD_EXEMPT", "/ /static/*")
    bare("serve", "a:b")
    assert (got["port"], got["exempt"]) == (1002, ("/", "/static/*"))
    monkeypatch.setenv("BEARER_GUARD_SERVE_PORT", "1003")
    bare("serve", "a:b")
    assert got["port"] == 1003
    bare("serve", "a:b", "--port", "1004", "--exempt", "/x")
    assert (got["port"], got["exempt"]) == (1004, ("/x",))


def test_what_kubernetes_says_of_a_service_of_our_name_is_no_port(
    bare: Cli, monkeypatch: pytest.MonkeyPatch
) -> None:
    got = keywords_of(("serve",), monkeypatch)
    monkeypatch.setenv("BEARER_GUARD_PORT", "tcp://10.0.0.1:80")
    assert bare("serve", "a:b").exit_code == 0
    assert got["port"] == 8000


def test_an_option_of_a_subcommand_has_a_table_and_a_variable(
    bare: Cli, monkeypatch: pytest.MonkeyPatch
) -> None:
    got = keywords_of(CREATE, monkeypatch)
    write('[token.create]\ndescription = "from the file"\nscopes = ["a", "b"]')
    assert bare(*CREATE, *NEEDED).exit_code == 0
    assert (got["description"], got["scopes"]) == ("from the file", ("a", "b"))
    monkeypatch.setenv("BEARER_GUARD_TOKEN_CREATE_DESCRIPTION", "from the environment")
    bare(*CREATE, *NEEDED)
    assert got["description"] == "from the environment"


def test_json_can_be_asked_for_once_and_for_all(bare: Cli, monkeypatch: pytest.MonkeyPatch) -> None:
    got = keywords_of(("user", "list"), monkeypatch)
    for args in (("user", "list", "--json"), ("--json", "user", "list")):
        bare(*args)
        assert got["json"] is True
    bare("user", "list")
    assert got["json"] is False
    write("json = true")
    bare("user", "list")
    assert got["json"] is True


def test_an_empty_variable_is_none(bare: Cli, monkeypatch: pytest.MonkeyPatch) -> None:
    got = keywords_of(("user", "list"), monkeypatch)
    monkeypatch.setenv("BEARER_GUARD_STORE", "")
    bare("user", "list")
    assert got["place"].store_url == "sqlite:///bearer-guard.db"


@pytest.mark.parametrize("where", ["before", "after", "environment"])
def test_another_file_can_be_named(where: str, bare: Cli, monkeypatch: pytest.MonkeyPatch) -> None:
    got = keywords_of(("user", "list"), monkeypatch)
    write('store = "sqlite:///wrong.db"')
    write('store = "sqlite:///right.db"', "other.toml")
    before, after = [], []
    if where == "environment":
        monkeypatch.setenv("BEARER_GUARD_CONFIG", "other.toml")
    else:
        (before if where == "before" else after).extend(["--config", "other.toml"])
    bare(*before, "user", "list", *after)
    assert got["place"].store_url == "sqlite:///right.db"


def test_the_keys_come_from_the_option_then_the_environment_then_the_file(
    bare: Cli, monkeypatch: pytest.MonkeyPatch
) -> None:
    got = keywords_of(("user", "list"), monkeypatch)
    bare("user", "list", "--store", "sqlite:///some/where.db")
    assert got["place"].keys_file == Path("some/bearer-guard.keys")
    write('keys_file = "file.keys"')
    bare("user", "list")
    assert (got["place"].keys_file, got["place"].keys_text) == (Path("file.keys"), None)
    monkeypatch.setenv("BEARER_GUARD_KEYS_FILE", "env.keys")
    bare("user", "list")
    assert (got["place"].keys_file, got["place"].keys_text) == (Path("env.keys"), None)
    monkeypatch.setenv("BEARER_GUARD_KEYS", "the keys themselves")
    bare("user", "list")
    assert got["place"].keys_text == "the keys themselves"
    bare("user", "list", "--keys-file", "option.keys")
    assert (got["place"].keys_file, got["place"].keys_text) == (Path("option.keys"), None)


@pytest.mark.parametrize(
    ("text", "name"),
    [
        ("stroe = 'x'", "stroe"),
        ("[serve]\nprot = 1", "serve.prot"),
        ("[token.create]\nlifetime_seconds = 1", "token.create.lifetime_seconds"),
        ("[token]\ndays = 1", "token.days"),
        ("[nosuch]\nx = 1", "nosuch"),
        ("user = 1", "user"),
        ("config = 'other.toml'", "config"),
        ("description = 'x'", "description"),
        ("[logins.pasword]\nenabled = true", "logins.pasword"),
        ("[logins.password]\nenable = true", "logins.password.enable"),
        ("[store.check]\nseals = false", "store.check.seals"),
    ],
)
def test_an_unknown_key_is_an_error_that_names_it(text: str, name: str, cli: Cli) -> None:
    write(text)
    result = cli("user", "list")
    assert result.exit_code == 2
    assert result.stderr == f"bearer-guard: {DEFAULT_FILE}: unknown key {name}\n"


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        ("exempt = '/'", "exempt must be a list"),
        ("exempt = [1, true]", "exempt must be a list"),
        ("[serve]\nport = [1]", "serve.port must be a whole number"),
        ("port = true", "port must be a whole number"),
        ("[serve]\nworkers = 1.9", "serve.workers must be a whole number"),
        ("port = 70000", "port: 70000 is not in the range"),
        ("workers = 'many'", "workers: 'many' is not a valid integer"),
        ("optional = 1", "optional must be true or false"),
        ("store = {a = 1}", "unknown key store.a"),
        ("logins = 1", "logins must be a table"),
        ("[logins.password]\nenabled = 'no'", "logins.password.enabled must be true or false"),
    ],
)
def test_a_value_that_cannot_be_is_an_error_that_names_its_key(
    text: str, problem: str, cli: Cli
) -> None:
    """Also where another command is run: it would be found out too late."""
    write(text)
    result = cli("user", "list")
    assert result.exit_code == 2
    assert problem in result.stderr
    assert result.stderr.startswith(f"bearer-guard: {DEFAULT_FILE}: ")


def test_the_store_is_an_option_and_a_command(cli: Cli) -> None:
    write('store = "sqlite:///bearer-guard.db"')
    assert cli("store", "upgrade").exit_code == 0
    write("[store.check]")
    assert cli("store", "check").exit_code == 0


def test_a_file_that_is_not_toml_is_an_error(bare: Cli) -> None:
    write("store = ")
    result = bare("keys", "new")
    assert result.exit_code == 2
    assert f"{DEFAULT_FILE} is not TOML" in result.stderr


def test_a_file_that_was_named_must_be_there(bare: Cli) -> None:
    result = bare("keys", "new", "--config", "nosuch.toml")
    assert result.exit_code == 2
    assert result.stderr == (
        "bearer-guard: there is no file nosuch.toml: name another with --config\n"
    )


def test_a_file_that_cannot_be_read_is_an_error(bare: Cli) -> None:
    Path("folder").mkdir()
    result = bare("keys", "new", "--config", "folder")
    assert result.exit_code == 2
    assert result.stderr == "bearer-guard: folder can't be read: Is a directory\n"


def test_password_log_ins_can_be_switched_off(cli: Cli) -> None:
    cli.add_user("alice", "--may-generate")
    cli.create_token("alice")
    write("[logins.password]\nenabled = false")
    args = ("token", "create", "--user", "alice", "--days", "1", "--password-stdin")
    assert cli(*args, stdin="correct horse battery").exit_code == 1
