"""A server on the loopback that answers as the Hugging Face hub does, and published weights small enough to be sent.

A question for a large file is answered by its checksum, size and commit, and by a redirect to where the content is,
which can be asked for in ranges. The content may be replaced, or the transfer broken off.
"""

import hashlib
import io
import re
import socket
import struct
import threading
from argparse import Namespace
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import torch
from huggingface_hub import constants

from openmm_mdgen.model import checkpoints
from openmm_mdgen.model.flow import TrajectoryFlow

NOBODY = "http://127.0.0.1:9"  # an address where nothing answers
COMMIT = "0123456789abcdef0123456789abcdef01234567"
# Saved arguments of a published checkpoint, with sizes of a toy.
ARGS = {
    "sim_condition": True,
    "embed_dim": 16,
    "num_layers": 1,
    "mha_heads": 2,
    "ipa_heads": 2,
    "ipa_head_dim": 4,
    "ipa_qk": 2,
    "ipa_v": 2,
    "crop": 4,
    "num_frames": 4,
    "abs_pos_emb": True,
    "prepend_ipa": True,
    "suffix": "_i100",
    "train_split": "splits/4AA_train.csv",
    "sampling_method": "dopri5",
}


def published(seed: int = 0, **changed) -> bytes:
    """A file of weights as the published trainer writes it."""
    args = ARGS | changed
    torch.manual_seed(seed)
    flow = TrajectoryFlow(checkpoints.published_config(args))
    content = {
        "state_dict": {f"model.{key}": value for key, value in flow.network.state_dict().items()},
        "hyper_parameters": {"args": Namespace(**args)},
        "epoch": 1,
    }
    file = io.BytesIO()
    torch.save(content, file)
    return file.getvalue()


def ask_at(monkeypatch, endpoint):
    """Take this address for the hub's; the environment is read once, when huggingface_hub is imported."""
    monkeypatch.setattr(constants, "ENDPOINT", endpoint)
    monkeypatch.setattr(constants, "HUGGINGFACE_CO_URL_TEMPLATE", endpoint + "/{repo_id}/resolve/{revision}/{filename}")


def empty_cache(folder, monkeypatch):
    """Have the cache in a folder, which is returned, and no way to the real hub."""
    monkeypatch.setattr(constants, "HF_HUB_CACHE", str(folder / "hub"))
    monkeypatch.setattr(constants, "HF_ASSETS_CACHE", str(folder / "assets"))
    monkeypatch.setattr(constants, "HF_HUB_OFFLINE", False)
    ask_at(monkeypatch, NOBODY)
    monkeypatch.setenv("HF_TOKEN", "a-token")
    monkeypatch.setenv("NO_PROXY", "127.0.0.1,localhost")
    return folder


class HubServer:
    """Serves ``files`` at ``endpoint`` while it is entered.

    Attributes
    ----------
    files : dict
        Content by ``owner/repository/path``.
    sends : dict
        What is sent in the place of a file's content.
    breaks : list of int
        After how many bytes the next transfers break off, one entry for each.
    resets : bool
        Whether the connection is reset then, and not just closed.
    page : bytes or None
        What is answered to everything, as a network does that one has to log in to.
    token : str or None
        What has to be shown to read anything.
    asked : list of (str, str, str)
        Method, path and range of every request.
    """

    def __init__(self, **files: bytes) -> None:
        self.files = {f"bjing-mit/mdgen/{name}.ckpt": content for name, content in files.items()}
        self.sends, self.breaks, self.token, self.asked = {}, [], None, []
        self.commit, self.resets, self.page = COMMIT, False, None

    def __enter__(self):
        handler = type("Handler", (_Handler,), {"hub": self})
        self._server = ThreadingHTTPServer(("127.0.0.1", 0), handler)
        self._server.daemon_threads = True
        self.endpoint = f"http://127.0.0.1:{self._server.server_port}"
        self.store = f"http://localhost:{self._server.server_port}/cdn"  # another host by its name, as the hub's is
        threading.Thread(target=self._server.serve_forever, args=(0.02,), daemon=True).start()
        return self

    def __exit__(self, *exception):
        self._server.shutdown()
        self._server.server_close()

    def transfers(self) -> list[str]:
        """The ranges of the requests for content, "" for all of it."""
        return [part for method, path, part in self.asked if method == "GET" and path.startswith("/cdn/")]


class _Handler(BaseHTTPRequestHandler):
    hub: HubServer
    protocol_version = "HTTP/1.1"

    def log_message(self, *args):  # quiet
        pass

    def do_HEAD(self):
        self._answer()

    def do_GET(self):
        self._answer()

    def _answer(self):
        hub = self.hub
        hub.asked.append((self.command, self.path, self.headers.get("Range", "")))
        if hub.page is not None:
            return self._write(hub.page)
        if hub.token and self.headers.get("Authorization") != f"Bearer {hub.token}" and "/cdn/" not in self.path:
            return self._refuse(401, "RepoNotFound")
        if match := re.fullmatch(r"/cdn/(.+)", self.path):
            return self._send(match[1])
        match = re.fullmatch(r"/([^/]+/[^/]+)/resolve/([^/]+)/(.+)", self.path)
        if not match or not any(key.startswith(f"{match[1]}/") for key in hub.files):
            return self._refuse(404, "RepoNotFound")
        if match[2] not in ("main", "v1", hub.commit):
            return self._refuse(404, "RevisionNotFound")
        key = f"{match[1]}/{match[3]}"
        if key not in hub.files:
            return self._refuse(404, "EntryNotFound")
        self.send_response(302)
        self.send_header("X-Repo-Commit", hub.commit)
        self.send_header("X-Linked-ETag", f'"{hashlib.sha256(hub.files[key]).hexdigest()}"')
        self.send_header("X-Linked-Size", str(len(hub.files[key])))
        self.send_header("ETag", '"of-the-redirect"')
        self.send_header("Location", f"{hub.store}/{key}")
        self.send_header("Content-Length", "0")
        self.end_headers()

    def _write(self, page):
        self.send_response(200)
        self.send_header("Content-Length", str(len(page)))
        self.end_headers()
        if self.command == "GET":
            self.wfile.write(page)

    def _refuse(self, status, code):
        self.send_response(status)
        self.send_header("X-Error-Code", code)
        self.send_header("X-Repo-Commit", self.hub.commit)
        self.send_header("Content-Length", "0")
        self.end_headers()

    def _send(self, key):
        content = self.hub.sends.get(key, self.hub.files[key])
        start = int((re.match(r"bytes=(\d+)-", self.headers.get("Range", "")) or ["", "0"])[1])
        self.send_response(206 if start else 200)
        if start:
            self.send_header("Content-Range", f"bytes {start}-{len(content) - 1}/{len(content)}")
        self.send_header("Accept-Ranges", "bytes")
        self.send_header("Content-Length", str(len(content) - start))
        self.end_headers()
        if self.command == "HEAD":
            return
        if self.hub.breaks:
            self.wfile.write(content[start : start + self.hub.breaks.pop(0)])
            self.close_connection = True
            if self.hub.resets:
                self.connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
                self.connection.close()
        else:
            self.wfile.write(content[start:])
