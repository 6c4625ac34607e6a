"""`_sample`: what an application behind the guard can look like."""

from pathlib import Path

import pytest
from starlette.testclient import TestClient
from starlette.websockets import WebSocketDisconnect

from bearer_guard.cli._application import Service, assemble
from bearer_guard.cli._workplace import Place
from tests.cli.support import Cli


@pytest.fixture
def service(alice: Cli) -> Service:
    del alice
    return Service(
        app="bearer_guard.cli._sample:app",
        place=Place(store_url="sqlite:///bearer-guard.db", keys_file=Path("bearer-guard.keys")),
        exempt=("/",),
        optional=False,
        staleness=5.0,
        realm="api",
        prefix="/v4",
    )


def test_it_knows_its_users_by_their_tokens(service: Service, alice: Cli) -> None:
    made = alice.create_token("alice", "--description", "demo", "--scope", "a")
    headers = {"authorization": f"Bearer {made['tokenValue']}"}
    with TestClient(assemble(service)) as client:
        assert client.get("/").text.startswith("The sample API")
        assert client.get("/whoami").status_code == 401
        assert client.get("/whoami", headers=headers).json() == {
            "user": "alice",
            "tokenId": made["tokenInfo"]["tokenId"],
            "description": "demo",
            "scopes": ["a"],
        }


def test_a_job_is_its_users_own(service: Service, alice: Cli) -> None:
    alice.add_user("root", "--admin")
    users = {
        name: {"authorization": f"Bearer {alice.create_token(name)['tokenValue']}"}
        for name in ("alice", "root")
    }
    with TestClient(assemble(service)) as client:
        assert client.post("/v4/jobGroups").status_code == 401
        job = client.post("/v4/jobGroups", json={}, headers=users["alice"])
        assert job.status_code == 201
        status = f"/v4/jobGroups/{job.json()['id']}/status"
        assert client.get(status, headers=users["alice"]).json() == "Complete"
        assert client.get(status, headers=users["root"]).status_code == 404


def test_its_websocket_says_everything_again(service: Service, alice: Cli) -> None:
    value = alice.create_token("alice")["tokenValue"]
    with TestClient(assemble(service)) as client:
        with pytest.raises(WebSocketDisconnect), client.websocket_connect("/echo"):
            pass
        headers = {"authorization": f"Bearer {value}"}
        with client.websocket_connect("/echo", headers=headers) as socket:
            socket.send_text("hello")
            assert socket.receive_text() == "hello"
