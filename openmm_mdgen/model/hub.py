"""Files on the Hugging Face hub: fetched once, kept in the hub's own cache, and held to their checksum at each load.

The cache is where ``huggingface_hub`` has it (``HF_HOME``, ``HF_HUB_CACHE``), with its layout: a *snapshot* is the
folder of a commit, whose files are links to *blobs*, which are named by a checksum of what is in them. That package is
imported when a name of the hub is used, not before.
"""

from __future__ import annotations

import hashlib
import json
import os
import re
import shutil
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

from openmm_mdgen.errors import CheckpointError
from openmm_mdgen.files import digest_of, sha256_of, write_json

PREFIX = "hf://"
_NAME = re.compile(
    r"hf://(?P<repository>[\w.-]+/[\w.-]+)(@(?P<early>[^@/]+))?/(?P<file>[^@]+?)(@(?P<late>[^@]+))?", re.ASCII
)
_TRIES = 3  # of a transfer, where the connection is torn down; what huggingface_hub itself resumes is not counted


@dataclass(frozen=True)
class Location:
    """A file of a repository.

    Parameters
    ----------
    repository : str
        As ``owner/name``.
    file : str
        Path inside of the repository.
    revision : str
        Branch, tag or commit.
    """

    repository: str
    file: str
    revision: str = "main"

    @classmethod
    def of(cls, name: str) -> Location:
        """Read ``hf://owner/repository/path/file``, with ``@revision`` at its end or after the repository.

        Raises
        ------
        CheckpointError
            If the name is of another form.
        """
        match = _NAME.fullmatch(name)
        if match is None or {".", "..", ""} & set(match["file"].split("/")) or (match["early"] and match["late"]):
            raise CheckpointError(
                f"{name}: names of files on the hub are hf://owner/repository/path/file, with @revision at the end for "
                "another than the newest"
            )
        return cls(match["repository"], match["file"], match["early"] or match["late"] or "main")

    @property
    def url(self) -> str:
        """Where the file is fetched from."""
        from huggingface_hub import hf_hub_url

        return hf_hub_url(self.repository, self.file, revision=self.revision)

    @property
    def folder(self) -> Path:
        """What the cache keeps of the repository."""
        from huggingface_hub import constants

        return Path(constants.HF_HUB_CACHE) / f"models--{self.repository.replace('/', '--')}"

    def cached(self) -> Path | None:
        """The file in the cache; None if it is not there."""
        from huggingface_hub import constants, try_to_load_from_cache

        found = try_to_load_from_cache(
            self.repository, self.file, cache_dir=constants.HF_HUB_CACHE, revision=self.revision
        )
        return Path(found) if isinstance(found, str) else None


def fetch(name: str, location: Location, check: Callable[[Path], object], *, newest: bool = False) -> Path:
    """A file of the hub on this machine; what is in the cache is used without a network.

    Parameters
    ----------
    name : str
        What the user calls it, for messages.
    location : Location
    check : callable
        Raises if a file that was just fetched is of no use. It is removed from the cache then.
    newest : bool
        Ask the hub for the newest file of that revision, also where the cache has one. Without a network the cached one
        will do.

    Returns
    -------
    Path
        A file whose content is that of its kept checksum.

    Raises
    ------
    CheckpointError
        If it cannot be fetched, is damaged, or is of no use. The message says what to do.
    """
    before = location.cached()
    if before is not None and not newest:
        return _held_to_checksum(name, location, before)
    path = _downloaded(name, location)
    if path == before:
        return _held_to_checksum(name, location, path)
    _held_to_checksum(name, location, path)
    try:
        check(path)
    except Exception as error:
        _remove(location, path)
        fault = _one_line(error).replace(str(path), location.file)
        raise CheckpointError(
            f"{name}: what {location.url} holds is of no use as weights ({fault}); it was removed from the cache. "
            "Check the name, and whether a proxy answers in the hub's place"
        ) from error
    _keep(location, path)
    return path


def cached_files() -> Iterator[tuple[Location, Path]]:
    """Files that were fetched by this package and are in the cache, each with its commit as the revision."""
    for record in sorted(_records().rglob("*.json")) if _records().is_dir() else []:
        try:
            kept = json.loads(record.read_text())
            location = Location(kept["repository"], kept["file"], kept["commit"])
        except (OSError, ValueError, KeyError, TypeError):  # not one of ours
            continue
        if path := location.cached():
            yield location, path


def _downloaded(name: str, location: Location) -> Path:
    """Fetch by huggingface_hub, which shows a bar and goes on where a transfer broke."""
    from huggingface_hub import constants, get_hf_file_metadata, hf_hub_download
    from huggingface_hub.errors import EntryNotFoundError, HfHubHTTPError, HFValidationError

    try:
        if constants.HF_HUB_OFFLINE:
            raise _UnreachableError("HF_HUB_OFFLINE is set")
        try:
            answer = get_hf_file_metadata(location.url)  # tells within seconds whether the hub can be reached
        except (EntryNotFoundError, HfHubHTTPError, HFValidationError):
            raise
        except Exception as error:  # of whichever HTTP client that version of huggingface_hub uses
            raise _UnreachableError(f"{constants.ENDPOINT} cannot be reached ({_one_line(error)})") from error
        if answer.commit_hash is None or answer.etag is None:
            raise _UnreachableError(
                f"{constants.ENDPOINT} does not answer as the hub does; a proxy may be in its place"
            )
        try:
            return _transferred(
                lambda: hf_hub_download(location.repository, location.file, revision=location.revision), name, location
            )
        except OSError:  # of another length than announced: a part that is wrong must not be gone on with
            (location.folder / "blobs" / f"{answer.etag}.incomplete").unlink(missing_ok=True)
            raise
    except _UnreachableError as error:
        if path := location.cached():
            return path
        raise CheckpointError(
            f"{name} is not in the cache and {error}: where there is a network run 'openmm-mdgen weights fetch {name}' "
            f"and copy the folder {location.folder} here, or download {location.url} and name that file instead"
        ) from error
    except (EntryNotFoundError, HfHubHTTPError, HFValidationError, OSError) as error:
        _tidy(location)
        raise CheckpointError(f"{name}: {_explained(location, error)}") from error


class _UnreachableError(Exception):
    """There is no hub to be asked; says why."""


def _transferred(download: Callable[[], str], name: str, location: Location) -> Path:
    for left in reversed(range(_TRIES)):
        try:
            return Path(download())
        except (OSError, ValueError):  # what huggingface_hub itself raises
            raise
        except Exception as error:  # the connection was torn down, in a way that huggingface_hub gives up at
            if not left:
                _tidy(location)
                raise CheckpointError(
                    f"{name}: the transfer from {location.url} broke off {_TRIES} times ({_one_line(error)}); run it "
                    "again when the connection is better"
                ) from error
    raise AssertionError("unreachable")


def _explained(location: Location, error: Exception) -> str:
    """Why a file cannot be fetched, and what to do."""
    from huggingface_hub import errors

    if isinstance(error, errors.GatedRepoError):
        return f"{location.repository} has terms to accept at {location.url}; do so, and set HF_TOKEN"
    if isinstance(error, errors.RevisionNotFoundError):
        return f"repository {location.repository} has no revision {location.revision!r}: correct it"
    if isinstance(error, errors.RepositoryNotFoundError) or _status(error) in (401, 403):
        return (
            f"the hub shows no repository {location.repository}: correct the name or, if it is private, set HF_TOKEN "
            "to a token that may read it ('hf auth login' stores one)"
        )
    if isinstance(error, errors.EntryNotFoundError):
        return (
            f"repository {location.repository} has no file {location.file!r} at revision {location.revision!r}: "
            "correct the name"
        )
    return f"{location.url} cannot be fetched ({_one_line(error)}); try again later"


def _status(error: Exception) -> int | None:
    return getattr(getattr(error, "response", None), "status_code", None)


def _one_line(error: BaseException) -> str:
    return " ".join(str(error).split())[:400] or type(error).__name__


def _held_to_checksum(name: str, location: Location, path: Path) -> Path:
    """The same path; a file that is not what it was when it was fetched is removed, and refused."""
    kept = _kept(location, path)
    blob = _blob(path)
    if kept is not None:
        is_whole = sha256_of(path) == kept
    elif blob is not None and re.fullmatch(r"[0-9a-f]{64}", blob.name):
        is_whole = sha256_of(path) == blob.name
    elif blob is not None and re.fullmatch(r"[0-9a-f]{40}", blob.name):  # as git names small files
        is_whole = digest_of(path, hashlib.sha1(b"blob %d\0" % path.stat().st_size)) == blob.name
    else:
        is_whole = True
    if is_whole:
        return path
    _remove(location, path)
    raise CheckpointError(
        f"{name}: the file in the cache is damaged, its checksum is not that of what was published; it was removed. "
        "Run the same again to fetch it anew"
    )


def _commit_folder(location: Location, path: Path) -> Path:
    return path.parents[location.file.count("/")]


def _blob(path: Path) -> Path | None:
    """What a file of a snapshot is a link to; None where the system has no links."""
    return path.parent / os.readlink(path) if path.is_symlink() else None


# Checksums are kept beside the hub's cache, in its folder for what other packages store.


def _records() -> Path:
    from huggingface_hub import constants

    return Path(constants.HF_ASSETS_CACHE) / "openmm_mdgen" / "checksums"


def _record(location: Location, path: Path) -> Path:
    commit = _commit_folder(location, path).name
    return _records() / location.repository.replace("/", "--") / commit / f"{location.file}.json"


def _kept(location: Location, path: Path) -> str | None:
    try:
        return json.loads(_record(location, path).read_text())["sha256"]
    except (OSError, ValueError, KeyError, TypeError):  # fetched by another program, or kept by another machine
        return None


def _keep(location: Location, path: Path) -> None:
    record = _record(location, path)
    content = {
        "repository": location.repository,
        "file": location.file,
        "commit": _commit_folder(location, path).name,
        "sha256": sha256_of(path),
    }
    try:
        record.parent.mkdir(parents=True, exist_ok=True)
        write_json(record, content)
    except OSError:  # a cache that others keep; the blob's name is the checksum there
        pass


def _remove(location: Location, path: Path) -> None:
    """Take a file out of the cache, with its blob if no other snapshot has it, and its checksum."""
    _record(location, path).unlink(missing_ok=True)
    blob = _blob(path)
    path.unlink(missing_ok=True)
    snapshots = location.folder / "snapshots"
    links = [other for link in snapshots.rglob("*") if (other := _blob(link)) is not None]
    if blob is not None and blob.name not in {other.name for other in links}:
        blob.unlink(missing_ok=True)
    folder = path.parent
    while folder != snapshots and folder.is_relative_to(snapshots) and not any(folder.iterdir()):
        folder.rmdir()
        folder = folder.parent
    _tidy(location)


def _tidy(location: Location) -> None:
    """Leave nothing of a repository in the cache that has no file there."""
    folder = location.folder
    if not any(path.is_file() for part in ("blobs", "snapshots") for path in (folder / part).rglob("*")):
        shutil.rmtree(folder, ignore_errors=True)
        shutil.rmtree(folder.parent / ".locks" / folder.name, ignore_errors=True)
