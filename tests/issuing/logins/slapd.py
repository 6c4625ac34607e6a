"""OpenLDAP's slapd on loopback, with people and groups named as Active Directory names them."""

from __future__ import annotations

import shutil
import socket
import subprocess
import tempfile
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Final

from tests.support import LOOPBACK, Running, free_port, require, running

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tests.issuing.logins.certificates import Authority, Files

BASE: Final = "dc=example,dc=com"
PEOPLE: Final = f"ou=people,{BASE}"
GROUPS: Final = f"ou=groups,{BASE}"
ROOT_DN: Final = f"cn=root,{BASE}"
READER_DN: Final = f"cn=reader,{BASE}"
ROOT_PASSWORD: Final = "root's own words"
READER_PASSWORD: Final = "reader's own words"

_MODULES: Final = "/usr/lib/ldap"
_SCHEMA: Final = "/etc/ldap/schema"

# memberOf comes with the overlay. `allow bind_anon_dn`: a name without a password is taken for
# nobody in particular, and succeeds, as Active Directory has it.
_CONFIG: Final = """\
include {schema}/core.schema
include {schema}/cosine.schema
include {schema}/inetorgperson.schema
attributetype ( 1.2.840.113556.1.4.656 NAME 'userPrincipalName'
  EQUALITY caseIgnoreMatch SYNTAX 1.3.6.1.4.1.1466.115.121.1.15 SINGLE-VALUE )
attributetype ( 1.2.840.113556.1.4.221 NAME 'sAMAccountName'
  EQUALITY caseIgnoreMatch SYNTAX 1.3.6.1.4.1.1466.115.121.1.15 SINGLE-VALUE )
attributetype ( 1.2.840.113556.1.4.8 NAME 'userAccountControl'
  EQUALITY integerMatch SYNTAX 1.3.6.1.4.1.1466.115.121.1.27 SINGLE-VALUE )
attributetype ( 2.16.840.1.113730.3.1.610 NAME 'nsAccountLock'
  EQUALITY caseIgnoreMatch SYNTAX 1.3.6.1.4.1.1466.115.121.1.15 SINGLE-VALUE )
objectclass ( 1.3.6.1.4.1.4203.666.1 NAME 'adUser' SUP top AUXILIARY
  MAY ( userPrincipalName $ sAMAccountName $ userAccountControl $ nsAccountLock ) )
modulepath {modules}
moduleload back_mdb
moduleload memberof
allow bind_anon_dn
{tls}
database mdb
suffix "{base}"
rootdn "{root_dn}"
rootpw "{root_password}"
directory "{folder}"
overlay memberof
access to attrs=userPassword by anonymous auth by * none
access to * by users read by anonymous {anonymous}
"""


@dataclass(frozen=True, slots=True, kw_only=True)
class Slapd:
    """A directory that runs."""

    port: int
    tls_port: int
    authority: Authority
    child: Running

    @property
    def plain_url(self) -> str:
        return f"ldap://{LOOPBACK}:{self.port}"

    @property
    def tls_url(self) -> str:
        return f"ldaps://{LOOPBACK}:{self.tls_port}"

    def add(self, ldif: str) -> None:
        """Add entries, as the directory's own administrator."""
        self._run(["ldapadd"], ldif)

    def change(self, ldif: str) -> None:
        """Change or delete entries, by LDIF's `changetype`."""
        self._run(["ldapmodify"], ldif)

    def _run(self, command: list[str], ldif: str) -> None:
        who = ["-x", "-H", self.plain_url, "-D", ROOT_DN, "-w", ROOT_PASSWORD]
        subprocess.run([*command, *who], input=ldif.encode(), check=True, capture_output=True)


@contextmanager
def slapd(
    *, authority: Authority, cert: Files | None = None, anonymous: str = "auth"
) -> Iterator[Slapd]:
    """Run a directory that holds nothing but its branches and the reader, until the block ends.

    Args:
        authority: Whose certificates it shows.
        cert: Its own; ``None``: a good one for 127.0.0.1.
        anonymous: What those may do who have not logged in: ``auth`` or ``read``.
    """
    program = require("slapd", "slapd")
    require("ldapadd", "ldap-utils")
    cert = cert or authority.issue("slapd")
    folder = Path(tempfile.mkdtemp(prefix="slapd-"))
    try:
        port, tls_port = free_port(), free_port()
        config = _write_config(folder, authority, cert, anonymous)
        urls = f"ldap://{LOOPBACK}:{port}/ ldaps://{LOOPBACK}:{tls_port}/"
        command = [program, "-d", "0", "-f", config, "-h", urls]
        with running(command, ready=lambda: _listens(port), user="nobody") as child:
            server = Slapd(port=port, tls_port=tls_port, authority=authority, child=child)
            server.add(_BRANCHES)
            yield server
    finally:
        shutil.rmtree(folder)


_BRANCHES: Final = f"""\
dn: {BASE}
objectClass: dcObject
objectClass: organization
o: Example
dc: example

dn: {READER_DN}
objectClass: organizationalRole
objectClass: simpleSecurityObject
cn: reader
userPassword: {READER_PASSWORD}

dn: {PEOPLE}
objectClass: organizationalUnit
ou: people

dn: {GROUPS}
objectClass: organizationalUnit
ou: groups
"""


def person(
    uid: str, password: str, *, rdn: str | None = None, extra: str = "", base: str = PEOPLE
) -> str:
    """LDIF of somebody with a password, a UPN and a name as Windows has it."""
    return f"""
dn: {rdn or f"uid={uid}"},{base}
objectClass: inetOrgPerson
objectClass: adUser
uid: {uid}
cn: {uid}
sn: {uid}
userPassword: {password}
{extra}
"""


def group(cn: str, *members: str) -> str:
    """LDIF of a group; the members are DNs."""
    lines = "\n".join(f"member: {member}" for member in members)
    return f"\ndn: cn={cn},{GROUPS}\nobjectClass: groupOfNames\ncn: {cn}\n{lines}\n"


def _write_config(folder: Path, authority: Authority, cert: Files, anonymous: str) -> Path:
    data = folder / "data"
    data.mkdir()
    tls = []
    for name, source in (
        ("TLSCACertificateFile", authority.ca_file),
        ("TLSCertificateFile", cert.cert),
        ("TLSCertificateKeyFile", cert.key),
    ):
        copy = folder / source.name  # the test's own folder can't be entered by others
        copy.write_bytes(source.read_bytes())
        tls.append(f"{name} {copy}")
    config = folder / "slapd.conf"
    config.write_text(
        _CONFIG.format(
            schema=_SCHEMA,
            modules=_MODULES,
            tls="\n".join(tls),
            base=BASE,
            root_dn=ROOT_DN,
            root_password=ROOT_PASSWORD,
            folder=data,
            anonymous=anonymous,
        )
    )
    for path in (folder, *folder.rglob("*")):
        path.chmod(0o777 if path.is_dir() else 0o644)
    return config


def _listens(port: int) -> bool:
    with socket.socket() as probe:
        probe.settimeout(1)
        return probe.connect_ex((LOOPBACK, port)) == 0
