"""The application that a server is told to run: the form that the environment names."""

from __future__ import annotations

from ._served import build

app = build()
