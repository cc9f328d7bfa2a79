"""`tessera labels`: labels of a file, looked at before anything is learnt from them; and where labels come from."""

from .group import app

__all__ = ["app"]
