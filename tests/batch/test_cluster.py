"""Batches on a Ray cluster; what needs Ray is marked."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import nullcontext
from dataclasses import replace
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import pytest

from medtranslate.batch import cluster, cluster_access, run_batch
from medtranslate.config import BatchSettings, write_yaml
from medtranslate.errors import RunFailed, UsageError
from medtranslate.runtime.worker_pool import LIVES

from ..ports import free_port

Settings = Callable[..., BatchSettings]
Place = Callable[..., Path]

STORE = 80 * 2**20
TRIES = 5
"""Ray ends a node whose agents have not begun after 15 seconds, and no setting changes that."""
BUSY = "timed out during startup"
PATIENT = {"RAY_USAGE_STATS_ENABLED": "0", "RAY_agent_register_timeout_ms": "600000"}
"""Variables for a busy machine; Ray's second limit for an agent is 30 seconds, and this one can be set."""


@pytest.fixture
def nodes(monkeypatch: pytest.MonkeyPatch) -> Iterator[Any]:
    """Two nodes with a core each, beside a head that does no work."""
    pytest.importorskip("ray", reason="ray is not installed: make test-cluster")
    from ray.cluster_utils import Cluster

    for name, value in PATIENT.items():
        monkeypatch.setenv(name, value)
    nodes = Cluster()
    try:
        for cores in (0, 1, 1):
            add(nodes, num_cpus=cores, object_store_memory=STORE, include_dashboard=False)
        yield nodes
    finally:
        nodes.shutdown()


def add(nodes: Any, **node: Any) -> None:
    for left in reversed(range(TRIES)):
        try:
            nodes.add_node(**node)
        except Exception as error:
            if BUSY not in str(error):
                raise
            if not left:
                pytest.skip(f"Ray gave up {TRIES} times, as the machine is too busy")
        else:
            return


@pytest.fixture
def short() -> Iterator[Path]:
    """A folder with a short path: that of a socket has at most 107 bytes, and 66 of them are Ray's."""
    with TemporaryDirectory(prefix="ray", dir="/tmp") as name:
        yield Path(name)


def begin(
    settings: BatchSettings, address: str, account: dict[str, str] | None = None
) -> subprocess.Popen[str]:
    command = [sys.executable, "-m", "medtranslate", "batch", settings.source, settings.out, "--to", "mr"]
    command += ["--model", settings.model, "--device", "cpu", "--cluster", address]
    return subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, env=account)


def images(out: Path) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in out.glob("*.nii")}


def wait_for(count: int, batch: subprocess.Popen[str], out: Path) -> None:
    while batch.poll() is None and len(list(out.glob("*.nii"))) < count:
        time.sleep(0.01)


@pytest.mark.cluster
def test_a_lost_node_costs_nothing_and_a_killed_batch_goes_on(
    place: Place, settings: Settings, tmp_path: Path, nodes: Any
) -> None:
    for head in range(120):
        place(f"{head}.nii", head % 3)
    run_batch(settings(out=tmp_path / "calm"), quiet=True)
    out = tmp_path / "out"
    with begin(settings(), nodes.address) as batch:
        wait_for(5, batch, out)
        batch.send_signal(signal.SIGKILL)
    with begin(settings(), nodes.address) as batch:
        wait_for(len(images(out)) + 5, batch, out)
        batch.send_signal(signal.SIGTERM)
        _, complained = batch.communicate(timeout=600)
    assert batch.returncode == 128 + signal.SIGTERM, complained
    found = len(images(out))
    assert 10 <= found < 120
    with begin(settings(), nodes.address) as batch:
        wait_for(found + 20, batch, out)
        (raylet,) = nodes.list_all_nodes()[-1].all_processes["raylet"]
        raylet.process.kill()
        missing = 120 - len(images(out))
        table, complained = batch.communicate(timeout=600)
    assert batch.returncode == 0, complained
    assert missing > 0
    done, skipped = (int(row.split()[1]) for row in table.splitlines()[1:3])
    assert done + skipped == 120
    assert skipped >= found
    assert images(out) == images(tmp_path / "calm")
    assert list(out.rglob(".medtranslate*")) == []
    # Where it ran makes nothing anew.
    assert {item.state for item in run_batch(settings(), quiet=True).items} == {"skipped"}


@pytest.mark.cluster
def test_a_lost_actor_costs_its_tasks_a_try(nodes: Any, tmp_path: Path) -> None:
    """Task 3 ends its first actor, task 9 every one."""

    def squares(number: int) -> Any:
        def serve(tasks: Iterator[int]) -> Iterator[int]:
            for task in tasks:
                mark = tmp_path / str(task)
                deaths = len(mark.read_text()) if mark.exists() else 0
                if deaths < {3: 1, 9: 10**6}.get(task, 0):
                    mark.write_text("x" * (deaths + 1))
                    os.kill(os.getpid(), signal.SIGKILL)
                yield task**2

        return serve

    def broken(number: int) -> Any:
        raise MemoryError

    with cluster.joined(BatchSettings(**known(tmp_path), cluster=nodes.address)) as ray:
        found = dict(cluster.ray_crew(ray, squares, iter(range(20)), 2, {"CPU": 1}))
        with pytest.raises(RunFailed, match="memory"):
            dict(cluster.ray_crew(ray, broken, iter(range(20)), 2, {"CPU": 1}))
    assert found == {task: None if task == 9 else task**2 for task in range(20)}
    assert len((tmp_path / "9").read_text()) == LIVES


@pytest.mark.cluster
def test_where_no_cluster_answers_nothing_is_written(
    place: Place, settings: Settings, tmp_path: Path
) -> None:
    pytest.importorskip("ray", reason="ray is not installed: make test-cluster")
    place("a.nii")
    with pytest.raises(UsageError, match="no Ray cluster was joined"):
        run_batch(settings(cluster="127.0.0.1:1"), quiet=True)
    assert not (tmp_path / "out").exists()


@pytest.mark.cluster
def test_a_stale_record_of_a_cluster_is_answered_soon(
    place: Place, settings: Settings, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    pytest.importorskip("ray", reason="ray is not installed: make test-cluster")
    from ray._private import services

    place("a.nii")
    monkeypatch.delenv("RAY_ADDRESS", raising=False)
    monkeypatch.setattr(services, "find_gcs_addresses", set)
    monkeypatch.setattr(services, "find_bootstrap_address", lambda _: "127.0.0.1:1")
    with pytest.raises(UsageError, match=r"--cluster auto: no Ray cluster was joined .*refused"):
        run_batch(settings(cluster="auto"), quiet=True)
    assert not (tmp_path / "out").exists()


@pytest.mark.cluster
@pytest.mark.parametrize("head_has_it", [True, False])
def test_a_token_is_taken_where_the_cluster_wants_one(
    place: Place, settings: Settings, tmp_path: Path, short: Path, head_has_it: bool
) -> None:
    """Of the account whose token started the head, and of one whose head has no authentication."""
    pytest.importorskip("ray", reason="ray is not installed: make test-cluster")
    place("a.nii")
    address = f"127.0.0.1:{free_port()}"
    account = {
        key: value for key, value in os.environ.items() if not key.startswith(("RAY_AUTH", "RAY_ADDR"))
    }
    account |= {"HOME": str(tmp_path), "RAY_TMPDIR": str(short), "PYTHONUNBUFFERED": "1"} | PATIENT
    (tmp_path / ".ray").mkdir()
    (tmp_path / ".ray" / "auth_token").write_text("0123456789abcdef" * 4)
    ray = [sys.executable, "-m", "ray.scripts.scripts"]
    start = ["start", "--head", "--num-cpus=1", "--include-dashboard=false", f"--port={address[10:]}"]
    mode = {} if head_has_it else {"RAY_AUTH_MODE": "disabled"}
    head = begin_head(
        [*ray, *start, f"--object-store-memory={STORE}", "--block"], account | mode, tmp_path / "head.log"
    )
    try:
        with begin(settings(), address, account) as batch:
            _, complained = batch.communicate(timeout=600)
        assert batch.returncode == 0, complained
        if head_has_it:
            (tmp_path / ".ray" / "auth_token").unlink()
            with begin(settings(out=tmp_path / "other"), address, account) as batch:
                _, complained = batch.communicate(timeout=600)
            assert batch.returncode == 2
            assert "wants an authentication token" in complained
    finally:
        head.terminate()
        head.wait()


def begin_head(command: list[str], account: dict[str, str], log: Path) -> subprocess.Popen[bytes]:
    """Begin the head of a cluster, and wait until its node works; its port answers earlier."""
    for _ in range(TRIES):
        with log.open("wb") as told:
            head = subprocess.Popen(command, env=account, stdout=told, stderr=subprocess.STDOUT)
        while head.poll() is None:
            if "Ray runtime started" in log.read_text():
                return head
            time.sleep(0.1)
        words = log.read_text()
        assert BUSY in words, f"ray start ended with {head.returncode}:\n{words}"
    pytest.skip(f"Ray gave up {TRIES} times, as the machine is too busy")


class Refused(Exception):
    """As Ray's AuthenticationError, which is only a cause of what it raises."""

    def __str__(self) -> str:
        return "ray.exceptions.AuthenticationError: InvalidAuthToken"


def test_authentication_is_named_where_it_is_the_cause() -> None:
    error = ConnectionError("Failed to connect to Ray cluster at 10.0.0.1:6379")
    assert "begin one with `ray start --head`" in cluster_access.why_not(error)
    error.__cause__ = RuntimeError("Failed to connect to GCS")
    error.__cause__.__context__ = Refused()
    assert "wants an authentication token" in cluster_access.why_not(error)


@pytest.mark.parametrize("place", ["RAY_AUTH_TOKEN", "RAY_AUTH_TOKEN_PATH", "file", ""])
@pytest.mark.parametrize(("mode", "wanted"), [(None, True), (None, False), ("disabled", True)])
def test_a_token_is_taken_from_where_ray_keeps_it_and_a_mode_that_is_set_stays(
    place: str, mode: str | None, wanted: bool, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("RAY_AUTH_TOKEN", "RAY_AUTH_TOKEN_PATH", "RAY_AUTH_MODE"):
        monkeypatch.setenv(name, "")
        monkeypatch.delenv(name)  # so that what is set here is undone
    monkeypatch.setenv("HOME", str(tmp_path))
    (tmp_path / ".ray").mkdir()
    file = tmp_path / ".ray" / "auth_token" if place == "file" else tmp_path / "token"
    file.write_text("secret")
    if place.startswith("RAY"):
        monkeypatch.setenv(place, str(file))
    if mode:
        monkeypatch.setenv("RAY_AUTH_MODE", mode)
    monkeypatch.setitem(sys.modules, "ray._raylet", None)
    monkeypatch.setattr(cluster_access, "_wants_token", lambda _: wanted)
    assert cluster_access.has_token() == bool(place)
    cluster_access.take_token("127.0.0.1:6379")
    found = "token" if wanted else "disabled"
    assert os.environ.get("RAY_AUTH_MODE") == (mode or (found if place else None))


@pytest.mark.parametrize(
    ("address", "variable", "found"),
    [
        ("10.0.0.1:6379", "10.0.0.2:6379", "10.0.0.1:6379"),
        ("auto", "10.0.0.2:6379", "10.0.0.2:6379"),
        ("auto", "ray://10.0.0.2:10001", ""),
        ("[::1]:6379", "", "[::1]:6379"),
    ],
)
def test_the_address_of_auto_is_found_without_ray_where_a_variable_names_it(
    address: str, variable: str, found: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("RAY_ADDRESS", variable)
    assert cluster_access.resolved(address) == found


@pytest.mark.parametrize(
    ("answer", "head"),
    [
        (b"\0\0\x12\4\0\0\0\0\0" + bytes(18), True),  # as gRPC begins
        (b"-ERR unknown command 'PRI'\r\n", False),  # as Redis, at whose port Ray's head is by default
        (b"HTTP/1.1 400 Bad Request\r\n\r\n", False),
        (b"\0", False),
        (b"", False),
        (None, False),
    ],
)
def test_a_port_where_no_head_listens_is_known_soon(
    answer: bytes | None, head: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Ray would try for minutes; None is a server that says nothing."""
    monkeypatch.delenv("RAY_USE_TLS", raising=False)
    over = threading.Event()
    with socket.create_server(("127.0.0.1", 0)) as server:
        place = f"127.0.0.1:{server.getsockname()[1]}"

        def serve() -> None:
            line, _ = server.accept()
            with line:
                line.recv(1000)
                if answer is None:
                    over.wait(600)
                else:
                    line.sendall(answer)

        thread = threading.Thread(target=serve)
        thread.start()
        if answer is None:
            monkeypatch.setattr(cluster_access, "_ANSWERS", 0.1)
        try:
            with nullcontext() if head else pytest.raises(ConnectionError, match="no Ray cluster, or hangs"):
                cluster_access.look_for_head(place)
        finally:
            over.set()
            thread.join()


def known(folder: Path) -> dict[str, Any]:
    return {"source": folder, "out": folder / "out", "to": "ct", "model": "phantom"}


def test_without_ray_it_says_what_to_install(
    place: Place, settings: Settings, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    place("a.nii")
    monkeypatch.setitem(sys.modules, "ray", None)
    with pytest.raises(UsageError, match=r"medtranslate\[cluster\]"):
        run_batch(settings(cluster="auto"), quiet=True)
    assert not (tmp_path / "out").exists()


def test_on_a_cluster_ray_finds_the_device(place: Place, settings: Settings) -> None:
    place("a.nii")
    with pytest.raises(UsageError, match="cuda, or auto"):
        run_batch(settings(cluster="auto", device="cuda:1"), quiet=True)


def test_a_machine_that_sees_other_files_is_refused(place: Place, settings: Settings, tmp_path: Path) -> None:
    place("a.nii")
    here = settings()
    here.out.mkdir()
    write_yaml(here, here.out / "settings.yaml")
    seen = cluster.signs(here)
    assert callable(cluster.open_here(here, seen, 0))
    for name, elsewhere in {
        "SOURCE": replace(here, source=tmp_path / "absent"),
        "OUT": replace(here, out=tmp_path / "local"),
        "model": replace(here, model="phantom"),
    }.items():
        with pytest.raises(RunFailed, match=f": its {name} is not that"):
            cluster.open_here(elsewhere, seen, 0)
