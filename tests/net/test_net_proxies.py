"""One rule of which proxy an address is asked through, for scenes and for stores."""

from __future__ import annotations

import base64
from collections.abc import Iterator
from typing import Any

import pytest
from web_helpers import DATA, ONCE, Handler, Site, ranged

from tessera.base import InputError
from tessera.net import CredentialError, LoadError, open_objects
from tessera.net._proxies import client_options, proxy_for

NAMES = ("http_proxy", "https_proxy", "all_proxy", "no_proxy")


@pytest.fixture(autouse=True)
def _no_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in NAMES:
        monkeypatch.delenv(name, raising=False)
        monkeypatch.delenv(name.upper(), raising=False)


@pytest.fixture
def proxy() -> Iterator[Site]:
    """A server that is asked for whole addresses, as a proxy is, and answers for every host."""
    site = Site()
    site.at("/file", ranged)
    yield site
    site.close()


def set_env(monkeypatch: pytest.MonkeyPatch, **values: str) -> None:
    for name, value in values.items():
        monkeypatch.setenv(name, value)


@pytest.mark.parametrize(
    ("environment", "url", "through"),
    [
        ({}, "http://a.test/x", None),
        ({"http_proxy": "http://p:3128"}, "http://a.test/x", "http://p:3128"),
        ({"http_proxy": "http://p:3128"}, "https://a.test/x", None),
        ({"HTTPS_PROXY": "p:3128"}, "https://a.test/x", "http://p:3128"),
        ({"https_proxy": "http://low:1", "HTTPS_PROXY": "http://up:1"}, "https://a.test/x", "http://low:1"),
        ({"ALL_PROXY": "http://p:1"}, "http://a.test/x", "http://p:1"),
        ({"all_proxy": "http://p:1", "http_proxy": "http://q:1"}, "http://a.test/x", "http://q:1"),
        ({"http_proxy": "http://me:s%40cret@p:1"}, "http://a.test/x", "http://p:1"),
        ({"http_proxy": "http://p:1", "no_proxy": "b.test,a.test"}, "http://a.test/x", None),
        ({"http_proxy": "http://p:1", "no_proxy": ".test"}, "http://a.test/x", None),
        ({"http_proxy": "http://p:1", "NO_PROXY": "*"}, "http://a.test/x", None),
        ({"http_proxy": "http://p:1", "no_proxy": "est"}, "http://a.test/x", "http://p:1"),
        ({"http_proxy": "http://p:1", "no_proxy": "10.0.0.0/8, x"}, "http://10.1.2.3:80/x", None),
        ({"http_proxy": "http://p:1", "no_proxy": "10.0.0.0/8"}, "http://11.1.2.3/x", "http://p:1"),
        ({"http_proxy": "http://p:1", "no_proxy": "127.0.0.1"}, "http://127.0.0.1:8000/x", None),
        ({"http_proxy": "http://p:1"}, "s3://bucket/x", None),
        ({"ALL_PROXY": "http://p:1"}, "s3://bucket/x", "http://p:1"),
    ],
)
def test_the_proxy_of_an_address(
    monkeypatch: pytest.MonkeyPatch, environment: dict[str, str], url: str, through: str | None
) -> None:
    set_env(monkeypatch, **environment)
    found = proxy_for(url)
    assert (None if found is None else found.shown) == through
    options = client_options(url)
    assert ("proxy_url" in options) == (found is not None)
    if found is not None and found.user:
        assert found.user == "me:s@cret"


def test_scenes_and_stores_go_the_same_way(monkeypatch: pytest.MonkeyPatch, proxy: Site) -> None:
    monkeypatch.setenv("http_proxy", proxy.url.replace("//", "//me:secret@"))
    assert ONCE.get("http://far.test/file", limit=5000).data == DATA
    assert ONCE.get("http://far.test/file", limit=100, span=(4, 8)).data == DATA[4:8]
    assert open_objects("http://far.test").read("file", limit=5000) == DATA
    wanted = "Basic " + base64.b64encode(b"me:secret").decode()
    assert len(proxy.seen) == 3
    for _, path, headers, _ in proxy.seen:
        assert path == "http://far.test/file"
        assert headers["proxy-authorization"] == wanted
    host = proxy.url.rpartition("/")[2].rpartition(":")[0]
    monkeypatch.setenv("no_proxy", host)
    for answer in (ONCE.get(f"{proxy.url}/file", limit=5000).data, open_objects(proxy.url).read("file", limit=5000)):
        assert answer == DATA
    assert [path for _, path, _, _ in proxy.seen[3:]] == ["/file", "/file"]


def test_what_a_proxy_says_names_it_without_its_password(
    monkeypatch: pytest.MonkeyPatch, proxy: Site, closed_port: int
) -> None:
    def refuse(handler: Handler) -> None:
        handler.say(407)

    proxy.at("/file", refuse)
    monkeypatch.setenv("http_proxy", proxy.url.replace("//", "//me:secret@"))
    with pytest.raises(CredentialError, match="status 407"):
        ONCE.get("http://far.test/file", limit=100)
    monkeypatch.setenv("http_proxy", f"http://me:secret@127.0.0.1:{closed_port}")
    with pytest.raises(LoadError, match=f"the proxy http://127.0.0.1:{closed_port} .* does not answer") as error:
        ONCE.get("http://far.test/file", limit=100)
    assert "secret" not in str(error.value)
    assert not error.value.reached


@pytest.mark.parametrize("value", ["ftp://p:1", "http://", "http://me:secret@p:x", "gopher://\x1b[2J"])
def test_what_is_no_proxy_is_one_line(monkeypatch: pytest.MonkeyPatch, value: str) -> None:
    monkeypatch.setenv("http_proxy", value)
    for ask in (lambda: ONCE.get("http://far.test/file", limit=100), lambda: open_objects("http://far.test")):
        with pytest.raises(InputError, match=r"the environment names the proxy .*expected http://HOST:PORT") as error:
            ask()
        assert "secret" not in str(error.value)
        assert "\x1b" not in str(error.value)


def test_the_scheme_of_a_proxy_may_have_any_case(monkeypatch: pytest.MonkeyPatch) -> None:
    for value, socks in (("SOCKS5://p:9", True), ("Socks5h://p:9", True), ("HTTP://p:9", False)):
        monkeypatch.setenv("http_proxy", value)
        found = proxy_for("http://a.test/x")
        assert found is not None
        assert found.is_socks is socks


def test_a_socks_proxy_is_one_line(monkeypatch: pytest.MonkeyPatch) -> None:
    import builtins

    original: Any = builtins.__import__

    def without(name: str, *more: Any, **named: Any) -> Any:
        if name.endswith("socks"):
            raise ImportError(name)
        return original(name, *more, **named)

    monkeypatch.setattr(builtins, "__import__", without)
    monkeypatch.setenv("ALL_PROXY", "socks5h://me:secret@127.0.0.1:9")
    with pytest.raises(InputError, match=r"socks5h://127.0.0.1:9 speaks SOCKS, .* pip install pysocks"):
        ONCE.get("http://far.test/file", limit=100)
    with pytest.raises(InputError, match=r"socks5h://127.0.0.1:9 speaks SOCKS, which stores do not support"):
        open_objects("http://far.test")
