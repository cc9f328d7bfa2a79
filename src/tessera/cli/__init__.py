"""The command `tessera`: one module a command; each parses, calls a room's public face, and prints."""

from .shell import main

__all__ = ["main"]
