"""Media types by file name, the same on every system."""

from __future__ import annotations

OCTETS = "application/octet-stream"
"""Type of files without a type of their own: a Zarr chunk, an array, an archive."""
_TYPES = {
    "avif": "image/avif",
    "bin": OCTETS,
    "css": "text/css; charset=utf-8",
    "csv": "text/csv; charset=utf-8",
    "geojson": "application/geo+json",
    "gif": "image/gif",
    "htm": "text/html; charset=utf-8",
    "html": "text/html; charset=utf-8",
    "ico": "image/vnd.microsoft.icon",
    "jpeg": "image/jpeg",
    "jpg": "image/jpeg",
    "js": "text/javascript; charset=utf-8",
    "json": "application/json",
    "map": "application/json",
    "md": "text/markdown; charset=utf-8",
    "mjs": "text/javascript; charset=utf-8",
    "parquet": "application/vnd.apache.parquet",
    "pbf": "application/x-protobuf",
    "pdf": "application/pdf",
    "pmtiles": "application/vnd.pmtiles",
    "png": "image/png",
    "svg": "image/svg+xml",
    "tif": "image/tiff",
    "tiff": "image/tiff",
    "txt": "text/plain; charset=utf-8",
    "wasm": "application/wasm",
    "webmanifest": "application/manifest+json",
    "webp": "image/webp",
    "woff2": "font/woff2",
    "xml": "application/xml",
    "zip": "application/zip",
}
"""Extension -> type in IANA's registry (https://www.iana.org/assignments/media-types)."""


def media_type(name: str) -> str:
    """The media type of a file by its name."""
    _, dot, extension = name.rpartition(".")
    return _TYPES.get(extension.lower(), OCTETS) if dot else OCTETS
