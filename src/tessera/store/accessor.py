"""Registers `.tessera` on xarray objects: for a zone's group that stock xarray opened.

>>> import tessera.store.accessor
"""

from .queries import register_accessor

register_accessor()
