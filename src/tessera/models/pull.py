"""Download of published checkpoints from the Hugging Face hub to its cache: resumed after a break, and checked."""

from __future__ import annotations

import logging
import os
import re
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any, Self
from urllib.request import getproxies

from tessera.base import InputError, file_lock, require, shown, silent
from tessera.net import CorruptError, CredentialError, LoadError, MissingError, NetError, PermanentError

from .names import BUNDLED, PUBLISHED, PublishedFile, cached, published_alias
from .torch_file import digest_of

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tessera.base import Progress

_PLAIN = re.compile(r"[\w-]{1,128}")
_SHA256 = re.compile(r"[0-9a-f]{64}")


def pull(name: str, source: str | None = None, progress: Progress = silent, *, endpoint: str | None = None) -> Path:
    """Download a published checkpoint, unless it is already here; an interrupted download is resumed.

    Parameters
    ----------
    name : a published name, such as "v2-medium"; if the hub does not answer, a file that is already here is used
    source : "mpc" or "aws" for the name "v1.1"
    progress : called with bytes done and their total
    endpoint : URL of the hub, by default the public one

    Returns
    -------
    The file in the Hugging Face cache

    Raises
    ------
    InputError
        There is no such name, it is not on the hub, or the source does not match it.
    tessera.net.NetError
        The hub cannot be reached, lacks the file, or sent another file than the published one, which is not kept.
    """
    if name == BUNDLED:
        raise InputError(f"{name} comes with this package; expected a published name")
    alias = published_alias(name, source)
    if alias is None:
        raise InputError(f"no published model {name!r}; expected one of {', '.join(PUBLISHED)}")
    published = PUBLISHED[alias]
    if published.repo is None:
        raise InputError(f"{alias} is only on {published.where}; download it there and give its path")
    require("huggingface_hub", extra="models", purpose="pulling a model")
    held = cached(alias)
    if held is not None and published.sha256:
        if _difference(held, published) is None:
            return held
        _remove(held)
        held = None
    try:
        with _one_line(alias, published):
            file = _download(published.repo, published, progress, endpoint)
    except LoadError as error:
        if held is None:
            raise LoadError(f"{error}; {_carried_over(published, endpoint)}") from None
        return held
    wrong = _difference(file, published)
    if wrong is not None:
        _remove(file)
        raise CorruptError(f"{alias}: {published.file} of {published.repo} {wrong}; it is removed, not kept")
    return file


def _carried_over(published: PublishedFile, endpoint: str | None) -> str:
    """How to bring a file to a machine without internet access."""
    from huggingface_hub import hf_hub_url

    known = [f"{published.size:,} bytes"] if published.size is not None else []
    known += [f"SHA-256 {published.sha256}..."] if published.sha256 else []
    url = hf_hub_url(str(published.repo), published.file, endpoint=endpoint)
    checked = f", check it ({', '.join(known)})" if known else ""
    return (
        f"without internet access, fetch {url} on another machine{checked}, copy it here under its own name, and give "
        "its path in place of a model's name"
    )


def _download(repo: str, published: PublishedFile, progress: Progress, endpoint: str | None) -> Path:
    """Download into the cache's blobs under the hub's hash of the content; the hub's own code then links it."""
    from huggingface_hub import constants, get_hf_file_metadata, hf_hub_download, hf_hub_url
    from huggingface_hub.file_download import http_get, repo_folder_name

    # the published repositories are public, so no token is sent
    about = get_hf_file_metadata(hf_hub_url(repo, published.file, endpoint=endpoint), token=False, endpoint=endpoint)
    if about.etag is None or not _PLAIN.fullmatch(about.etag):
        raise LoadError(f"{repo} names {published.file} by the tag {about.etag!r}; expected a hash")
    folder = repo_folder_name(repo_id=repo, repo_type="model")
    blob = Path(constants.HF_HUB_CACHE) / folder / "blobs" / about.etag
    lock = Path(constants.HF_HUB_CACHE) / ".locks" / folder / f"{about.etag}.lock"
    blob.parent.mkdir(parents=True, exist_ok=True)
    with file_lock(lock):
        if not blob.exists():
            part = blob.with_name(f"{about.etag}.tessera.incomplete")
            if part.exists() and about.size is not None and part.stat().st_size > about.size:
                part.unlink()
            with part.open("ab") as out:
                http_get(
                    about.location,
                    out,
                    resume_size=out.tell(),
                    expected_size=about.size,
                    tqdm_class=_bar(progress),
                )
                out.flush()
                os.fsync(out.fileno())
            if _SHA256.fullmatch(about.etag) and (digest := digest_of(part)) != about.etag:
                part.unlink()
                raise CorruptError(
                    f"{published.file} of {repo} came with SHA-256 {digest[:8]}...; expected {about.etag[:8]}..., "
                    "as the hub says; pull it again"
                )
            part.replace(blob)
    # finds the blob and adds the links to it
    return Path(hf_hub_download(repo, published.file, token=False, endpoint=endpoint, tqdm_class=_bar(silent)))


def _difference(file: Path, published: PublishedFile) -> str | None:
    """What is wrong with a file, None if nothing is."""
    size = file.stat().st_size
    if published.size is not None and size != published.size:
        return f"has {size} bytes; expected {published.size}"
    digest = digest_of(file) if published.sha256 else ""
    if not digest.startswith(published.sha256):
        return f"has SHA-256 {digest[:8]}...; expected {published.sha256}..."
    return None


def _remove(file: Path) -> None:
    file.resolve().unlink(missing_ok=True)
    file.unlink(missing_ok=True)


def _bar(progress: Progress) -> Any:
    """A class that the hub's code uses as its progress bar."""

    class Bar:
        def __init__(self, *_: Any, total: int | None = None, initial: int = 0, **__: Any) -> None:
            self.done, self.total = initial, total or 0

        def update(self, more: int = 1) -> None:
            self.done += more
            progress(self.done, max(self.done, self.total))

        def __enter__(self) -> Self:
            return self

        def __exit__(self, *_: object) -> None:
            pass

        def close(self) -> None:
            pass

    return Bar


@contextmanager
def _one_line(alias: str, published: PublishedFile) -> Iterator[None]:
    """Translate errors of the hub's code to those of `tessera.net`."""
    log = logging.getLogger("huggingface_hub")
    level = log.level
    log.setLevel(logging.ERROR)
    try:
        yield
    except NetError:
        raise
    except Exception as error:
        known = _known(error, f"{alias}: {published.file} of {published.repo}")
        if known is None:
            raise
        raise known from None
    finally:
        log.setLevel(level)


def _known(error: Exception, what: str) -> NetError | None:
    from huggingface_hub.errors import (
        EntryNotFoundError,
        GatedRepoError,
        HfHubHTTPError,
        LocalEntryNotFoundError,
        RepositoryNotFoundError,
        RevisionNotFoundError,
    )

    reason = next(iter(str(error).splitlines()), "") or type(error).__name__
    if type(error).__name__ == "InvalidURL" or (
        isinstance(error, ImportError | ValueError) and "proxy" in reason.lower()
    ):
        # raised before any request: SOCKS without its package, or an unknown scheme
        proxies = {name.upper(): value for name, value in getproxies().items() if name in ("all", "https", "http")}
        given = ", ".join(f"{name}_PROXY={_without_password(value)}" for name, value in sorted(proxies.items()))
        return PermanentError(
            f"{what}: the proxy of this environment cannot be used ({shown(given, 160)}); for socks5:// pip install "
            "socksio, else set HTTPS_PROXY=http://HOST:PORT, or unset it"
        )
    if isinstance(error, GatedRepoError):
        return CredentialError(f"{what} is not public; download it and give its path")
    if isinstance(error, LocalEntryNotFoundError):
        return LoadError(f"{what}: the hub does not answer ({reason[:120]}); try again")
    if isinstance(error, RepositoryNotFoundError | RevisionNotFoundError | EntryNotFoundError):
        return MissingError(f"{what} is not there; expected it as published")
    if isinstance(error, HfHubHTTPError):
        status = getattr(error.response, "status_code", 0)
        if status in (401, 403):
            return CredentialError(f"{what}: the hub answers {status}; it expects other credentials")
        if status in (404, 410):
            return MissingError(f"{what} is not there: the hub answers {status}")
        kind = LoadError if status in (408, 429) or status >= 500 else PermanentError
        return kind(f"{what}: the hub answers {status}")
    if isinstance(error, OSError) and error.errno is not None and not isinstance(error, ConnectionError):
        return None  # the disk, not the connection
    if isinstance(error, OSError) or type(error).__module__.startswith(("httpx", "httpcore", "requests", "urllib3")):
        return LoadError(
            f"{what}: no answer or a broken connection ({reason[:120]}); pull again, it continues where it stopped"
        )
    return None


def _without_password(address: str) -> str:
    before, at, after = address.rpartition("@")
    return f"{before.partition('://')[0]}://...@{after}" if at else address
