"""The proxy of an address, from the environment, for stores and scenes alike.

The variables are `http_proxy`, `https_proxy` and `all_proxy` in lower or upper case, lower first. `no_proxy` lists
hosts, domains, networks (10.0.0.0/8) or `*`.
"""

from __future__ import annotations

import ipaddress
import urllib.request
from dataclasses import dataclass
from typing import Any
from urllib.parse import unquote, urlsplit
from urllib.request import getproxies_environment

from tessera.base import InputError, shown

_KINDS = ("http", "https", "socks5", "socks5h", "socks4", "socks4a")


@dataclass(frozen=True)
class Proxy:
    """A proxy."""

    url: str  # as given, with its password
    user: str  # name and password, such as "me:secret", or ""

    @property
    def shown(self) -> str:
        """The address without name and password."""
        parts = urlsplit(self.url)
        return f"{parts.scheme}://{parts.netloc.rpartition('@')[2]}"

    @property
    def is_socks(self) -> bool:
        """Whether it speaks SOCKS instead of HTTP."""
        return urlsplit(self.url).scheme.startswith("socks")


def proxy_for(url: str) -> Proxy | None:
    """The proxy for an address, None for a direct connection."""
    given = {name.lower(): value.strip() for name, value in getproxies_environment().items()}
    try:
        parts = urlsplit(url)
        host, port = parts.hostname or "", parts.port
    except ValueError:
        return None
    value = given.get(parts.scheme.lower()) or given.get("all")
    if not value or _is_direct(host, port, given):
        return None
    return _parsed(value if "://" in value else f"http://{value}")


def client_options(url: str) -> dict[str, Any]:
    """The proxy as options of an object store client."""
    proxy = proxy_for(url)
    if proxy is None:
        return {}
    if proxy.is_socks:
        raise InputError(
            f"the proxy {proxy.shown} speaks SOCKS, which stores do not support; set http_proxy and https_proxy "
            "to http://HOST:PORT, or list the host in no_proxy"
        )
    excluded = getproxies_environment().get("no", "")
    return {"proxy_url": proxy.url, **({"proxy_excludes": excluded} if excluded else {})}


def _is_direct(host: str, port: int | None, given: dict[str, str]) -> bool:
    # part of every Python, but missing in its type stubs
    bypass: Any = vars(urllib.request)["proxy_bypass_environment"]
    if bypass(host if port is None else f"{host}:{port}", given):
        return True
    try:
        address = ipaddress.ip_address(host)
    except ValueError:
        return False
    for entry in given.get("no", "").split(","):
        try:
            if "/" in entry and address in ipaddress.ip_network(entry.strip(), strict=False):
                return True
        except ValueError:
            continue
    return False


def _parsed(value: str) -> Proxy:
    try:
        parts = urlsplit(value)
        fine = parts.scheme in _KINDS and bool(parts.hostname) and (parts.port is None or parts.port > 0)
    except ValueError:
        fine = False
    if not fine:
        without = value.rpartition("@")[2]
        raise InputError(f"the environment names the proxy {shown(without)}; expected http://HOST:PORT")
    user = "" if parts.username is None else f"{unquote(parts.username)}:{unquote(parts.password or '')}"
    return Proxy(value, user)
