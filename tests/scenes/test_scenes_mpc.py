"""Planetary Computer's tokens: shared, renewed in time, once by many threads, and sent to nobody else."""

from __future__ import annotations

import datetime as dt
import threading
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from stac_helpers import API, FakeWeb, listed, planetary, query

from tessera.net import CredentialError, LoadError, MissingError, NetError, OversizeError, PermanentError
from tessera.scenes import Address
from tessera.scenes.sources._mpc import KEY, PlanetaryComputer, azure_place

TOKENS = "https://tokens.example/api/sas/v1/token"
HREF = "https://sentinel2l2a01.blob.core.windows.net/sentinel2-l2/31/U/B04.tif"
OTHER = "https://sentinel1euwestrtc.blob.core.windows.net/sentinel1-grd-rtc/iw-vv.rtc.tiff"
NOON = dt.datetime(2026, 1, 1, 12, tzinfo=dt.UTC).timestamp()


def ends(at: float) -> str:
    return dt.datetime.fromtimestamp(at, dt.UTC).isoformat().replace("+00:00", "Z")


class Service:
    """Planetary Computer with a clock that a test turns; each token holds for an hour from when it is made."""

    def __init__(self, reply: Callable[[str], Any] | None = None) -> None:
        self.now = NOON
        self.holds = 3600.0
        self.paused: list[float] = []
        self.made = 0
        self._reply = reply
        self.web = FakeWeb(self._answer)
        self.source = PlanetaryComputer(
            API,
            tokens=TOKENS,
            web=self.web,  # type: ignore[arg-type]
            now=lambda: self.now,
            pause=self.paused.append,
        )

    def _answer(self, method: str, url: str, body: Any) -> Any:
        if not url.startswith(TOKENS):
            return listed([planetary()])
        self.made += 1
        if self._reply is not None:
            return self._reply(url)
        return {"msft:expiry": ends(self.now + self.holds), "token": f"sig={self.made}"}

    def text(self, href: str = HREF) -> str:
        return self.source.address(href).url.partition("?")[2]


def test_a_token_is_shared_by_the_files_of_its_container() -> None:
    service = Service()
    assert service.source.address(HREF) == Address(f"{HREF}?sig=1")
    assert service.text(HREF.replace("B04", "B08")) == "sig=1"
    assert service.text(OTHER) == "sig=2"
    assert service.text() == "sig=1"
    assert [(method, url) for method, url, _ in service.web.asked] == [
        ("GET", f"{TOKENS}/sentinel2l2a01/sentinel2-l2"),
        ("GET", f"{TOKENS}/sentinel1euwestrtc/sentinel1-grd-rtc"),
    ]


def test_what_needs_no_token() -> None:
    service = Service()
    for href in (
        "https://files.example/x.tif",
        f"{HREF}?sig=mine",
        "https://ai4edatasetspublicassets.blob.core.windows.net/a/x",
    ):
        address = service.source.address(href)
        assert address == Address(href)
        assert service.source.renew(href, address) is False
    assert service.web.asked == []


def test_an_address_that_has_a_query() -> None:
    assert Service().source.address(f"{HREF}?snapshot=3").url == f"{HREF}?snapshot=3&sig=1"


@given(st.lists(st.floats(0.0, 1000.0), max_size=40))
def test_no_token_is_handed_out_near_its_end(steps: list[float]) -> None:
    service = Service()
    service.holds = 900.0
    made_at: dict[str, float] = {}
    for step in steps:
        service.now += step
        text = service.text()
        born = made_at.setdefault(text, service.now)
        assert service.now <= born + 900.0 - 300.0
    assert service.made <= 1 + sum(steps) / 600.0


def test_a_token_is_renewed_before_its_end() -> None:
    service = Service()
    assert service.text() == "sig=1"
    service.now += 3299.0
    assert service.text() == "sig=1"
    service.now += 2.0
    assert service.text() == "sig=2"


def test_a_service_that_keeps_its_tokens_is_not_asked_with_every_file() -> None:
    """Its token is the same until it is over; nothing is won by asking more often than it could change."""
    service = Service(lambda url: {"msft:expiry": ends(NOON + 3600.0), "token": "sig=kept"})
    for _ in range(340):
        service.now += 10.0
        assert service.text() == "sig=kept"
    assert service.made <= 12


def test_the_longest_lasting_token_is_kept() -> None:
    told = iter([(400.0, "long"), (320.0, "short"), (4000.0, "fresh")])

    def reply(url: str) -> Any:
        holds, text = next(told)
        return {"msft:expiry": ends(NOON + holds), "token": text}

    service = Service(reply)
    assert service.text() == "long"
    service.now += 150.0
    assert service.text() == "long", "what came in its place ends earlier"
    service.now += 31.0
    assert service.text() == "fresh"


@pytest.mark.parametrize("late", [1, 3])
def test_tokens_that_come_expired_are_asked_for_again(late: int) -> None:
    service = Service()
    service._reply = lambda url: {
        "msft:expiry": ends(NOON + (-60.0 if service.made <= late else 3600.0)),
        "token": f"sig={service.made}",
    }
    assert service.text() == f"sig={late + 1}"
    assert len(service.paused) == late
    assert all(pause > 0 for pause in service.paused)


@pytest.mark.parametrize(
    "expiry", [ends(NOON - 60), ends(NOON + 10), "0001-01-01T00:00:00+14:00", "1970-01-01", "2026-01-01T12:00:00"]
)
def test_tokens_that_are_always_over(expiry: str) -> None:
    service = Service(lambda url: {"msft:expiry": expiry, "token": "sig=SECRET"})
    with pytest.raises(CredentialError, match=r"gave 4 expired tokens, .*; check this machine's clock") as caught:
        service.text()
    assert "SECRET" not in str(caught.value)
    assert service.made == 4


@pytest.mark.parametrize(
    "answer",
    [
        [],
        "sig",
        None,
        {},
        {"token": "sig=1"},
        {"msft:expiry": ends(NOON + 3600)},
        {"msft:expiry": "soon", "token": "sig=1"},
        {"msft:expiry": 5, "token": "sig=1"},
        {"msft:expiry": ends(NOON + 3600), "token": ""},
        {"msft:expiry": ends(NOON + 3600), "token": 5},
        {"msft:expiry": ends(NOON + 3600), "token": "a b"},
        {"msft:expiry": ends(NOON + 3600), "token": "a\r\nHost: b"},
        b"<html>",
    ],
)
def test_an_answer_without_a_token(answer: Any) -> None:
    service = Service(lambda url: answer)
    # no error of a file: what is refused is the key to all of them
    with pytest.raises(CredentialError, match="gives no token; expected msft:expiry and token") as caught:
        service.text()
    assert service.made == 4
    assert "sig" not in str(caught.value)


def test_a_page_for_people_between_two_tokens() -> None:
    answers = iter([b"<html>", {"msft:expiry": ends(NOON + 3600), "token": "sig=1"}])
    service = Service(lambda url: next(answers))
    assert service.text() == "sig=1"
    assert service.paused == [1.0]


@pytest.mark.parametrize("error", [MissingError, OversizeError, PermanentError, CredentialError, LoadError])
def test_no_refusal_of_a_token_counts_as_a_file_that_is_lost(error: type[NetError]) -> None:
    def refused(url: str) -> Any:
        raise error(f"{url}: status 4")

    service = Service(refused)
    with pytest.raises(LoadError if error is LoadError else CredentialError, match=r"tokens\.example.*: status 4"):
        service.text()
    assert service.made == 1


@pytest.mark.parametrize("kind", ["busy", "bad_gateway", "unavailable"])
def test_a_gateway_that_is_down_for_a_moment_costs_no_scene(
    kind: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Of a search 502 says that it was too large; of a token it says nothing of the kind."""
    import tessera.scenes.sources._mpc
    import tessera.scenes.sources.stac_api
    from tessera.geo import Window
    from tessera.net import Web
    from tessera.simulator import simulate
    from tessera.testing import At, Faults, serve_scenes

    for module in (tessera.scenes.sources._mpc, tessera.scenes.sources.stac_api):
        monkeypatch.setattr(module, "Web", partial(Web, delays=(0.01,) * 3))
    simulate(tmp_path / "scenes", Window(31, 64 * 1024, 548 * 1024, 16, 12), 2021, s2_dates=1, s1_dates=1)
    down: dict[str, Any] = {kind: At("/token", times=2)}
    faults = Faults(retry_after=None, **down)
    with serve_scenes(tmp_path / "scenes", style="mpc", faults=faults) as provider:

        def place(href: str) -> tuple[str, str]:
            account, container = href.split("/")[3:5]
            return account, container

        source = PlanetaryComputer(provider.url, tokens=provider.token_url, place=place)
        href = next(href for href in provider.files if "B04" in href)
        assert "sig=" in source.address(href).url
        assert provider.count("/token") == 3


def test_a_service_that_is_down_does_not_lock_others_out() -> None:
    service = Service()

    def down(url: str) -> Any:
        raise LoadError("the line broke")

    service._reply = down
    with pytest.raises(LoadError):
        service.text()
    service._reply = None
    assert service.text() == "sig=2"


# refusals


def test_a_refused_token_is_replaced() -> None:
    service = Service()
    first = service.source.address(HREF)
    assert service.source.renew(HREF, first) is True
    assert service.source.address(HREF).url.endswith("sig=2")
    assert service.source.renew(HREF, first) is True, "another thread has been here"
    assert service.made == 2
    assert service.source.renew(OTHER, Address(f"{OTHER}?sig=0")) is True, "one that was never asked for here"
    assert service.text(OTHER) == "sig=3"


def test_many_threads_ask_once() -> None:
    service = Service()
    threads = 16
    together = threading.Barrier(threads)

    def slowly(url: str) -> Any:
        number = service.made
        time.sleep(0.02)
        return {"msft:expiry": ends(NOON + 3600.0), "token": f"sig={number}"}

    service._reply = slowly

    def read(_: int) -> str:
        together.wait(10)
        address = service.source.address(HREF)
        together.wait(10)
        service.source.renew(HREF, address)
        return service.source.address(HREF).url

    with ThreadPoolExecutor(threads) as pool:
        urls = set(pool.map(read, range(threads)))
    assert urls == {f"{HREF}?sig=2"}
    assert service.made == 2


def test_one_container_does_not_wait_for_another() -> None:
    service = Service()
    asked, go_on = threading.Event(), threading.Event()

    def reply(url: str) -> Any:
        if "sentinel1" in url:
            asked.set()
            assert go_on.wait(10)
        return {"msft:expiry": ends(NOON + 3600.0), "token": "sig=1"}

    service._reply = reply
    with ThreadPoolExecutor(1) as pool:
        waiting = pool.submit(service.text, OTHER)
        assert asked.wait(10)
        assert service.text() == "sig=1"
        assert not waiting.done()
        go_on.set()
        assert waiting.result(10) == "sig=1"


@pytest.mark.parametrize(
    ("status", "body", "meaning"),
    [
        (403, b"<Code>AuthenticationFailed</Code>", CredentialError),
        (409, b"<Code>PublicAccessNotPermitted</Code>", CredentialError),
        (403, b"<Message>Egress is over the account limit.</Message>", LoadError),
        (403, b"<Code>ServerBusy</Code>", LoadError),
        (404, b"", None),
        (503, b"ServerBusy", None),
    ],
)
def test_what_a_refusal_means(status: int, body: bytes, meaning: Any) -> None:
    assert Service().source.verdict(status, body) is meaning
    assert meaning is not MissingError


# whom the key is sent to


def test_the_subscription_key_is_sent_to_the_api_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(KEY, "my-key")
    service = Service()
    (scene,) = service.source.search(query())
    address = service.source.address(scene.assets["B04"].href)
    assert "my-key" not in str(address)
    assert address.headers == {}
    assert len(service.web.headers) == 3, "two collections, one token"
    assert all(headers == {"Ocp-Apim-Subscription-Key": "my-key"} for headers in service.web.headers)
    assert "my-key" not in repr(service.source)


def test_without_a_key_no_header_is_sent(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv(KEY, raising=False)
    service = Service()
    list(service.source.search(query()))
    assert service.web.headers == [{}, {}]


# where a file lies


@pytest.mark.parametrize(
    ("href", "place"),
    [
        (HREF, ("sentinel2l2a01", "sentinel2-l2")),
        ("https://a1b.blob.core.windows.net/$web/x", ("a1b", "$web")),
        ("https://SENTINEL2L2A01.blob.core.windows.net/sentinel2-l2/x", ("sentinel2l2a01", "sentinel2-l2")),
        ("http://sentinel2l2a01.blob.core.windows.net/sentinel2-l2/x", None),
        ("https://sentinel2l2a01.blob.core.windows.net/", None),
        ("https://sentinel2l2a01.blob.core.windows.net/../x", None),
        ("https://sentinel2l2a01.blob.core.windows.net/a%2Fb/x", None),
        ("https://sentinel2l2a01.blob.core.windows.net.example/container/x", None),
        ("https://example/sentinel2l2a01.blob.core.windows.net/container/x", None),
        ("https://sentinel2l2a01.blob.core.windows.net@example/container/x", None),
        ("https://a.b.blob.core.windows.net/container/x", None),
        ("https://blob.core.windows.net/container/x", None),
        ("https://.blob.core.windows.net/container/x", None),
        ("https://ai4edatasetspublicassets.blob.core.windows.net/assets/x", None),
        (f"{HREF}?se=1&sig=abc", None),
        ("/home/me/scenes/B04.tif", None),
        ("http://[", None),
        ("", None),
    ],
)
def test_azure_place(href: str, place: tuple[str, str] | None) -> None:
    assert azure_place(href) == place


@given(st.text(max_size=40))
def test_any_text_has_a_place_or_none(text: str) -> None:
    for href in (text, f"https://{text}", f"https://abc.blob.core.windows.net/{text}"):
        place = azure_place(href)
        assert place is None or (place[0].isalnum() and not set(place[1]) & set("/?#%.\\ "))
