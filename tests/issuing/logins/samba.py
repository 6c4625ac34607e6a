"""Samba as a domain controller of Active Directory, on a loopback address of its own.

It listens on the ports of LDAP and no others, so it takes root and an address that nobody uses.
"""

from __future__ import annotations

import base64
import os
import secrets
import shutil
import socket
import subprocess
import tempfile
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Final

from tests.support import missing, require, running

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tests.issuing.logins.certificates import Authority, Files

BASE: Final = "DC=example,DC=com"
USERS: Final = f"CN=Users,{BASE}"
ADMINISTRATOR: Final = f"CN=Administrator,{USERS}"
ADMINISTRATOR_PASSWORD: Final = "Adm1nistrator's words"

_PORTS: Final = (389, 636, 3268, 3269)
_CONFIG: Final = """\
[global]
    bind interfaces only = yes
    interfaces = {address}/8
    netbios name = DC
    realm = EXAMPLE.COM
    workgroup = EXAMPLE
    server role = active directory domain controller
    server services = ldap
    private dir = {folder}/private
    state directory = {folder}/state
    cache directory = {folder}/cache
    lock directory = {folder}
    pid directory = {folder}
    ncalrpc dir = {folder}/ncalrpc
    vfs objects = dfs_samba4 acl_xattr xattr_tdb
    tls certfile = {cert}
    tls keyfile = {key}
    tls cafile = {ca}
"""


@dataclass(frozen=True, slots=True, kw_only=True)
class DomainController:
    """A domain that runs."""

    address: str
    authority: Authority

    @property
    def url(self) -> str:
        return f"ldaps://{self.address}"

    def add(self, ldif: str) -> None:
        """Add entries, as the domain's administrator."""
        who = ["-x", "-H", self.url, "-D", ADMINISTRATOR, "-w", ADMINISTRATOR_PASSWORD]
        subprocess.run(
            ["ldapadd", *who],
            input=ldif.encode(),
            env={**os.environ, "LDAPTLS_CACERT": str(self.authority.ca_file)},
            check=True,
            capture_output=True,
        )


@contextmanager
def domain_controller(authority: Authority) -> Iterator[DomainController]:
    """Make a domain and run its controller until the block ends."""
    program = require("samba", "samba")
    require("samba-tool", "samba")
    require("ldapadd", "ldap-utils")
    _must_be_root()
    address = _free_address()
    folder = Path(tempfile.mkdtemp(prefix="samba-"))
    try:
        _provision(folder)
        config = _write_config(folder, address, authority)
        command = [program, "--interactive", "--no-process-group", "--debug-stdout"]
        command += ["--model=single", f"--configfile={config}"]
        with running(command, ready=lambda: _listens(address)):
            yield DomainController(address=address, authority=authority)
    finally:
        shutil.rmtree(folder)


def user(
    name: str, password: str, *, cn: str | None = None, upn: str | None = None, control: int = 512
) -> str:
    """LDIF of somebody with a password.

    Args:
        name: As Windows has it.
        password: Active Directory wants it in quotes, in UTF-16.
        cn: The name in the distinguished name, where it is another.
        upn: The user principal name.
        control: 512: a normal account; 514: a disabled one.
    """
    secret = base64.b64encode(f'"{password}"'.encode("utf-16-le")).decode()
    return f"""
dn: CN={cn or name},{USERS}
objectClass: user
sAMAccountName: {name}
userPrincipalName: {upn or f"{name}@example.com"}
unicodePwd:: {secret}
userAccountControl: {control}
"""


def group(name: str, *members: str) -> str:
    """LDIF of a group; the members are names within ``USERS``."""
    lines = "\n".join(f"member: CN={member},{USERS}" for member in members)
    return f"\ndn: CN={name},{USERS}\nobjectClass: group\nsAMAccountName: {name}\n{lines}\n"


def _must_be_root() -> None:
    if os.geteuid() != 0:
        missing("Samba listens on ports that only root may use")


def _provision(folder: Path) -> None:
    command = ["samba-tool", "domain", "provision", "--realm=EXAMPLE.COM", "--domain=EXAMPLE"]
    command += ["--server-role=dc", "--dns-backend=NONE", "--host-name=dc"]
    command += [f"--adminpass={ADMINISTRATOR_PASSWORD}", f"--targetdir={folder}"]
    command += ["--option=interfaces=lo", "--option=bind interfaces only=yes"]
    command += ["--option=vfs objects=dfs_samba4 acl_xattr xattr_tdb"]
    subprocess.run(command, check=True, capture_output=True)


def _write_config(folder: Path, address: str, authority: Authority) -> Path:
    made: Files = authority.issue("dc", host=address)
    key = folder / "dc.key"  # Samba refuses a key that others may read
    key.write_bytes(made.key.read_bytes())
    key.chmod(0o600)
    config = folder / "smb.conf"
    config.write_text(
        _CONFIG.format(
            address=address, folder=folder, cert=made.cert, key=key, ca=authority.ca_file
        )
    )
    return config


def _free_address() -> str:
    while True:
        address = "127." + ".".join(str(1 + secrets.randbelow(253)) for _ in range(3))
        if not any(_listens(address, port) for port in _PORTS):
            return address


def _listens(address: str, port: int = _PORTS[1]) -> bool:
    with socket.socket() as probe:
        probe.settimeout(1)
        return probe.connect_ex((address, port)) == 0
