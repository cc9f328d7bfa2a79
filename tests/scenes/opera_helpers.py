"""A server on loopback that answers as CMR documents it, products as it lists them, and tokens."""

from __future__ import annotations

import base64
import datetime as dt
import json
import threading
from collections.abc import Callable
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import parse_qs, urlsplit

from tessera.scenes.sources.opera import CONCEPT, HOSTS

NOW = dt.datetime(2026, 1, 1, tzinfo=dt.UTC).timestamp()
DATA = "http://esipfed.org/ns/fedsearch/1.1/data#"
S3 = "http://esipfed.org/ns/fedsearch/1.1/s3#"
POLYGON = "37.2 -122.5 37.4 -121.6 37.6 -121.7 37.4 -122.6 37.2 -122.5"


def product(
    burst: str = "T035-073251-IW2", day: str = "20240113", made: str = "20240113T113128Z", by: str = "A"
) -> str:
    return f"OPERA_L2_RTC-S1_{burst}_{day}T020816Z_{made}_S1{by}_30_v1.0"


def granule(name: str, *, bands: tuple[str, ...] = ("VV", "VH"), **changes: Any) -> dict[str, Any]:
    """An entry as granules.json has it."""
    stamp = name.split("_")[4]
    moment = dt.datetime.strptime(stamp, "%Y%m%dT%H%M%SZ").strftime("%Y-%m-%dT%H:%M:%S.000Z")
    links: list[dict[str, Any]] = []
    for band in (*bands, "mask"):
        file = f"{name}_{band}.tif"
        links += [
            {
                "rel": S3,
                "hreflang": "en-US",
                "href": f"s3://asf-cumulus-prod-opera-products/OPERA_L2_RTC-S1/{name}/{file}",
            },
            {"rel": DATA, "hreflang": "en-US", "href": f"https://datapool.asf.alaska.edu/RTC/OPERA-S1/{file}"},
            {"rel": DATA, "hreflang": "en-US", "href": f"{HOSTS[0]}/OPERA/OPERA_L2_RTC-S1/{name}/{file}"},
        ]
    links.append({"inherited": True, "rel": DATA, "href": f"https://elsewhere.example/{name}_VV.tif"})
    entry: dict[str, Any] = {
        "producer_granule_id": name,
        "id": "G2850000000-ASF",
        "title": name,
        "collection_concept_id": CONCEPT,
        "time_start": moment,
        "time_end": moment,
        "updated": "2024-01-13T18:00:00.000Z",
        "dataset_id": "OPERA Radiometric Terrain Corrected SAR Backscatter from Sentinel-1 validated product",
        "data_center": "ASF",
        "day_night_flag": "UNSPECIFIED",
        "online_access_flag": True,
        "browse_flag": True,
        "polygons": [[POLYGON]],
        "links": links,
    }
    return entry | changes


class Cmr:
    """Answers granules.json by `orbits`; remembers what it was asked."""

    def __init__(self) -> None:
        self.orbits: dict[str, list[dict[str, Any]]] = {"ASCENDING": [], "DESCENDING": []}
        self.asked: list[tuple[str, dict[str, list[str]], dict[str, str]]] = []
        self.page = 2000
        self.answer: Callable[[Any], bool] = lambda handler: False
        outer = self

        class Handler(BaseHTTPRequestHandler):
            def log_message(self, *args: Any) -> None:
                pass

            def do_GET(self) -> None:
                parts = urlsplit(self.path)
                query = parse_qs(parts.query)
                headers = {name.lower(): value for name, value in self.headers.items()}
                outer.asked.append((parts.path, query, headers))
                if not outer.answer(self):
                    outer.give(self, query, headers)

        self.server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self.server.server_port}"
        threading.Thread(target=self.server.serve_forever, args=(0.01,), daemon=True).start()

    def give(self, handler: Any, query: dict[str, list[str]], headers: dict[str, str]) -> None:
        first, last = query["temporal"][0].split(",")
        held = self.orbits[query["attribute[]"][0].split(",")[2]]
        found = [entry for entry in held if first <= entry["time_start"] <= last]
        start = int(json.loads(headers["cmr-search-after"])[0]) if "cmr-search-after" in headers else 0
        page = found[start : start + self.page]
        more = {"CMR-Hits": str(len(found))}
        if page:
            more["CMR-Search-After"] = json.dumps([start + len(page), "x"])
        send(handler, json.dumps({"feed": {"updated": "2024", "id": self.url, "title": "x", "entry": page}}), more)

    def close(self) -> None:
        self.server.shutdown()
        self.server.server_close()


def send(handler: Any, body: str | bytes, headers: dict[str, str] | None = None, status: int = 200) -> bool:
    data = body.encode() if isinstance(body, str) else body
    handler.send_response(status)
    for name, value in {"Content-Length": str(len(data)), **(headers or {})}.items():
        handler.send_header(name, value)
    handler.end_headers()
    handler.wfile.write(data)
    return True


def jwt(**claims: object) -> str:
    parts = (json.dumps(part).encode() for part in ({"typ": "JWT", "alg": "RS256"}, claims))
    return ".".join([*(base64.urlsafe_b64encode(part).decode().rstrip("=") for part in parts), "c2lnbmF0dXJl"])
