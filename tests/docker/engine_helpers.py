"""A Docker engine for tests: the base of our images, their builds, and what is left of ours."""

from __future__ import annotations

import ast
import os
import shutil
import socketserver
import subprocess
import sys
import tempfile
import threading
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

from voice_validation_api.launchers.docker_orphans import OWNER

REPOSITORY_ROOT = Path(__file__).parents[2]
WORKER = "worker-container"
WHEELS_PORT = 47_113
BASE_IMAGE = "speech-test-base"
BASE_PACKAGES = ("ca-certificates", "python3", "python3-venv")
CA_BUNDLE = "etc/ssl/certs/ca-certificates.crt"
IMAGE_CONTEXT = (
    ".dockerignore",
    "constraints.txt",
    "neurons",
    "pyproject.toml",
    "scoring",
    "scripts",
    "utilities",
    "voice_validation_api",
)


def docker(*words: str, cwd: Path | None = None, check: bool = True) -> str:
    """Run the docker command; what it said."""
    done = subprocess.run(
        ["docker", *words],
        cwd=cwd,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        check=False,
    )
    assert not check or done.returncode == 0, f"docker {words[0]} failed:\n{done.stdout[-5000:]}"
    return done.stdout.strip()


def leftovers(client: Any) -> list[str]:
    """Containers and volumes of evaluations, running or not, of workers that these tests start."""
    others = {
        f"container:{c['Id']}" for c in client.api.containers() if f"/{WORKER}" not in c["Names"]
    }
    chosen: dict[str, Any] = {"filters": {"label": OWNER}}
    found = [(c["Id"], c["Labels"]) for c in client.api.containers(all=True, **chosen)]
    found += [(v["Name"], v["Labels"]) for v in client.api.volumes(**chosen)["Volumes"] or ()]
    return [str(name) for name, labels in found if labels[OWNER] not in others]


def make_base_image() -> str:
    """The name of an image with Debian and its Python, made here where it is not there already.

    ``DOCKER_TEST_BASE_IMAGE`` names another, for machines that can pull one.
    """
    if name := os.environ.get("DOCKER_TEST_BASE_IMAGE"):
        return name
    if not docker("images", "-q", BASE_IMAGE):
        with tempfile.TemporaryDirectory() as folder:
            root = Path(folder, "root")
            command = ["debootstrap", "--variant=minbase", f"--include={','.join(BASE_PACKAGES)}"]
            subprocess.run([*command, "bookworm", str(root)], check=True, stdout=subprocess.PIPE)
            # The machine may trust others besides, such as a proxy of its own.
            shutil.copyfile(Path("/") / CA_BUNDLE, root / CA_BUNDLE)
            shutil.rmtree(root / "var/cache/apt")
            tar = subprocess.Popen(["tar", "-C", str(root), "-c", "."], stdout=subprocess.PIPE)
            subprocess.run(["docker", "import", "-", BASE_IMAGE], stdin=tar.stdout, check=True)
            assert tar.wait() == 0
    return BASE_IMAGE


@contextmanager
def build_arguments(base: str, gateway: str) -> Iterator[list[str]]:
    """What builds on ``base`` need to find the packages that pip finds here.

    Directories of wheels are served to them at ``gateway``, where containers reach this machine.
    """
    arguments = {"BASE_IMAGE": base}
    if base == BASE_IMAGE:
        arguments["PIP_CERT"] = f"/{CA_BUNDLE}"
    with ExitStack() as servers:
        places = [
            servers.enter_context(_served(Path(place), gateway)) if Path(place).is_dir() else place
            for place in pip_option("find-links")
        ]
        if places:
            arguments |= {"PIP_FIND_LINKS": " ".join(places), "PIP_TRUSTED_HOST": gateway}
        if indexes := [url for url in pip_option("extra-index-url") if url.startswith("http")]:
            arguments["PIP_EXTRA_INDEX_URL"] = " ".join(indexes)
        yield [
            word for key, value in arguments.items() for word in ("--build-arg", f"{key}={value}")
        ]


def pip_option(name: str) -> list[str]:
    """The values of an option in pip's files and environment."""
    command = [sys.executable, "-m", "pip", "config", "list"]
    listed = subprocess.run(command, capture_output=True, text=True, check=True).stdout
    pairs = (line.partition("=") for line in listed.splitlines())
    texts = (ast.literal_eval(text) for key, _, text in pairs if key.endswith(f".{name}"))
    return sorted({value for text in texts for value in text.split()})


@contextmanager
def _served(directory: Path, host: str) -> Iterator[str]:
    handler = partial(_QuietFiles, directory=str(directory))
    try:
        # The same each time, or the engine takes every build for a new one.
        server = ThreadingHTTPServer((host, WHEELS_PORT), handler)
    except OSError:
        server = ThreadingHTTPServer((host, 0), handler)
    with running(server) as port:
        yield f"http://{host}:{port}/"


class _QuietFiles(SimpleHTTPRequestHandler):
    def log_message(self, *_: object) -> None:
        pass


@contextmanager
def running(server: socketserver.BaseServer) -> Iterator[int]:
    """Serve in a thread; the port."""
    with server:
        thread = threading.Thread(target=server.serve_forever, daemon=True)
        thread.start()
        try:
            yield int(server.server_address[1])
        finally:
            server.shutdown()
            thread.join()


def image_context(into: Path, environment: Mapping[str, str]) -> Path:
    """A copy of what a checkout holds for images, with ``environment``, if any, as its ``.env``."""
    dockerfiles = (path.name for path in REPOSITORY_ROOT.glob("*.Dockerfile"))
    for name in (*IMAGE_CONTEXT, *dockerfiles):
        source = REPOSITORY_ROOT / name
        if source.is_dir():
            shutil.copytree(source, into / name, ignore=shutil.ignore_patterns("__pycache__"))
        else:
            shutil.copyfile(source, into / name)
    if environment:
        lines = (f"{key}={value}\n" for key, value in environment.items())
        (into / ".env").write_text("".join(lines))
    return into


def build(dockerfile: str, tag: str, arguments: Sequence[str], context: Path) -> str:
    """The documented command, with ``arguments`` besides; the tag."""
    docker("build", "-f", dockerfile, "-t", tag, *arguments, ".", cwd=context)
    return tag
