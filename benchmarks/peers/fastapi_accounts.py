"""fastapi-users: the full example of its documentation, a JWT and a user in SQLite.

https://fastapi-users.github.io/fastapi-users/latest/configuration/full-example/
"""

from __future__ import annotations

import secrets
from typing import TYPE_CHECKING
from uuid import UUID

from fastapi import Depends, FastAPI
from fastapi_users import BaseUserManager, FastAPIUsers, UUIDIDMixin
from fastapi_users.authentication import AuthenticationBackend, BearerTransport, JWTStrategy
from fastapi_users.db import SQLAlchemyBaseUserTableUUID, SQLAlchemyUserDatabase
from sqlalchemy.ext.asyncio import (
    AsyncEngine,
    AsyncSession,
    async_sessionmaker,
    create_async_engine,
)
from sqlalchemy.orm import DeclarativeBase

from ._fastapi import BASE, add_route, bare_app
from ._peer import PEER_TOKENS, Peer, asgi_peer, name_of, scratch

if TYPE_CHECKING:
    from collections.abc import AsyncIterator
    from contextlib import AsyncExitStack

__all__ = ["peers"]

SECRET = secrets.token_urlsafe(32)


class Base(DeclarativeBase):
    pass


class User(SQLAlchemyBaseUserTableUUID, Base):
    pass


Users = SQLAlchemyUserDatabase[User, UUID]


class Manager(UUIDIDMixin, BaseUserManager[User, UUID]):
    reset_password_token_secret = SECRET
    verification_token_secret = SECRET


def _strategy() -> JWTStrategy[User, UUID]:
    return JWTStrategy(secret=SECRET, lifetime_seconds=86400)


async def peers(stack: AsyncExitStack) -> list[Peer]:
    engine = create_async_engine(f"sqlite+aiosqlite:///{scratch(stack)}/users.db")
    stack.push_async_callback(engine.dispose)
    sessions = async_sessionmaker(engine, expire_on_commit=False)
    tokens = await _fill(engine, sessions)

    async def session() -> AsyncIterator[AsyncSession]:
        async with sessions() as one:
            yield one

    async def database(
        one: AsyncSession = Depends(session),  # noqa: B008 - FastAPI's way
    ) -> AsyncIterator[Users]:
        yield SQLAlchemyUserDatabase(one, User)

    async def manager(
        users: Users = Depends(database),  # noqa: B008 - FastAPI's way
    ) -> AsyncIterator[Manager]:
        yield Manager(users)

    transport = BearerTransport(tokenUrl="auth/jwt/login")
    backend = AuthenticationBackend(name="jwt", transport=transport, get_strategy=_strategy)
    app = FastAPI()
    add_route(app, FastAPIUsers[User, UUID](manager, [backend]).current_user(active=True))
    setting = "the documentation's full example: JWTStrategy, users in SQLite by aiosqlite"
    name, base = name_of("fastapi-users"), (BASE, bare_app())
    return [await asgi_peer(name, app, tokens, setting=setting, base=base, calls=60)]


async def _fill(engine: AsyncEngine, sessions: async_sessionmaker[AsyncSession]) -> list[str]:
    async with engine.begin() as connection:
        await connection.run_sync(Base.metadata.create_all)
    users = [
        User(email=f"{n}@example.com", hashed_password="-")  # noqa: S106 - nobody logs in
        for n in range(PEER_TOKENS)
    ]
    async with sessions() as session:
        session.add_all(users)
        await session.commit()
    return [await _strategy().write_token(user) for user in users]
