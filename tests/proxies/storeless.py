"""The forward-auth endpoint over a store where nobody listens."""

from bearer_guard import Keyring
from bearer_guard.endpoints.forward_auth import forward_auth_app
from tests.support import free_port

keyring = Keyring.from_env()
app = forward_auth_app(f"redis://127.0.0.1:{free_port()}/0", keyring)
