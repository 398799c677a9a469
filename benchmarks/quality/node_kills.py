"""Kills a node, its workers or its archive at random moments: each result is to be there exactly once.

    python -m benchmarks.quality.node_kills [--kills 30] [--seed 0] [--light] [--archive dimse|stow|orthanc]

Series are sent to a node, each again until its sender has every answer. Meanwhile node, worker or archive
gets SIGKILL, and is started again. Once all series are settled, the objects at the archive are compared with
those of an undisturbed run: images by name and pixels, reports and measures by their number in each study.
The last line is one JSON object. `sent_again` counts objects that reached the archive more than once: those
that were on their way when something was killed; they have the same name and the same bytes. Orthanc keeps
the first one, and its log has no bytes to compare.

The archive takes results by C-STORE (`dimse`) or STOW-RS (`stow`), or is an Orthanc that takes STOW-RS.

With `--light` the processes are forked from one that has imported everything, and a series is copied in place
of being translated, in the process of the node. So the kills hit arrival, hand-over and delivery, and no time
goes by with imports; killed workers are left to the other way.
"""

from __future__ import annotations

import argparse
import json
import os
import random
import shutil
import signal
import subprocess
import sys
import tempfile
import threading
import time
from collections import Counter
from collections.abc import Callable, Generator, Iterable, Sequence
from contextlib import suppress
from multiprocessing import get_context
from multiprocessing.process import BaseProcess
from pathlib import Path

from pydicom import dcmread
from pydicom.uid import generate_uid

from benchmarks.quality.node_archives import ARCHIVES, Archive, unique
from benchmarks.speed.batch_runs import below, parents
from benchmarks.speed.node_runs import (
    answers,
    free_port,
    make_series,
    received,
    send,
    start_node,
    write_rules,
)
from medtranslate.config import NodeSettings
from medtranslate.node import run_node
from medtranslate.node.worker import Made, Serve, Task, seal
from medtranslate.runtime import whole_output

Killable = subprocess.Popen[bytes] | BaseProcess
RULE = {"to": "ct", "model": "phantom", "samples": 2}


class Site:
    """Node and archive, which are started again when they are gone."""

    def __init__(self, folder: Path, kind: str, workers: int = 2) -> None:
        self.folder, self.kind, self.workers = folder, kind, workers
        self.port, self.archive_port = free_port(), free_port()
        self.rules, self.work, self.log = folder / "node.yaml", folder / "work", folder / "archive.jsonl"
        web = {"send_to": ["WEB"]} if self.takes.web else {}
        changes = {"rules": [RULE | web], "patience": 600} | self.takes.rules(self.archive_port)
        write_rules(self.rules, self.port, self.archive_port, **changes)
        self.archive, self.node = self.new_archive(), self.new_node()

    @property
    def takes(self) -> Archive:
        return ARCHIVES[self.kind]

    def new_archive(self) -> Killable:
        module = "benchmarks.quality.node_archives"
        return subprocess.Popen(
            [sys.executable, "-m", module, self.kind, str(self.archive_port), str(self.log)]
        )

    def new_node(self) -> Killable:
        return start_node(self.rules, self.work, self.workers)

    def kill(self, chance: random.Random) -> str:
        """Kill something, and start it again."""
        known, node = parents(), self.node.pid or 0
        staff = [child for child in below(node) if known.get(child) != node]
        kind = chance.choice(["node", "node", "archive", *(["worker"] if staff else [])])
        if kind == "worker":
            with suppress(ProcessLookupError):
                os.kill(chance.choice(staff), signal.SIGKILL)
        elif kind == "archive":
            end(self.archive)
            self.archive = self.new_archive()
        else:
            end(self.node)
            self.node = self.new_node()
        return kind

    def settled(self) -> int:
        """Count the series that the journal has as done or refused."""
        keys = set()
        with suppress(OSError):
            for line in (self.work / "node.jsonl").read_text(encoding="utf-8").splitlines():
                with suppress(ValueError, TypeError):
                    keys.add(json.loads(line)["key"])
        return len(keys)

    def kept(self) -> list[dict[str, str]]:
        """List the objects that the archive has."""
        return self.takes.kept(self.archive_port, self.log)

    def close(self) -> None:
        end(self.node)
        end(self.archive)


class LightSite(Site):
    """Site whose processes are forked, and whose node copies."""

    context = get_context("forkserver")

    def new_archive(self) -> Killable:
        return self.forked(self.takes.serve, self.archive_port, self.log)

    def new_node(self) -> Killable:
        return self.forked(serve_node, self.rules, self.work)

    def forked(self, act: Callable[..., None], *given: object) -> Killable:
        process = self.context.Process(target=act, args=given, daemon=True)
        process.start()
        return process


def serve_node(rules: Path, folder: Path) -> None:
    settings = NodeSettings(rules=rules, folder=folder, device="cpu")
    run_node(settings, work=in_this_thread, open_worker=copying_worker)


def in_this_thread(
    begin: Callable[[int], Serve], tasks: Iterable[Task | None], workers: int
) -> Generator[tuple[Task, Made | None], None, None]:
    """Do as `runtime.crew`, without other processes."""
    serve = begin(0)
    for task in tasks:
        if task is None:
            time.sleep(0.02)
            continue
        for made in serve(iter([task])):
            yield task, made


def copying_worker(settings: NodeSettings, rules: object, number: int) -> Serve:
    """Make a "translation" of copies, and of one object each that stands for report, measures and map."""

    def work(task: Task) -> Made:
        with whole_output(task.out, overwrite=False, folder=True) as folder:
            for index, path in enumerate(sorted(task.source.glob("*.dcm"))):
                header = dcmread(path)
                kinds = ("CT", "DOC", "SR", "OT") if index == 0 else ("CT",)
                for kind in kinds:
                    header.Modality = "DOC" if task.refused and kind == "CT" else kind
                    name = generate_uid(entropy_srcs=[kind, str(dcmread(path).SOPInstanceUID)])
                    header.SOPInstanceUID = header.file_meta.MediaStorageSOPInstanceUID = name
                    header.save_as(folder / f"{kind} {index}.dcm".replace(" ", ""))
            return seal(folder, task, Made("refused" if task.refused else "done"))

    return lambda tasks: map(work, tasks)


def end(process: Killable) -> None:
    process.kill()
    if isinstance(process, subprocess.Popen):
        process.wait()
    else:
        process.join()


def feed(site: Site, series: Sequence[Path], over: threading.Event) -> None:
    """Send each series until it has arrived."""
    for place in series:
        files = sorted(place.iterdir())
        while not over.is_set():
            if answers(site.port) and send(site.port, files):
                break
            time.sleep(0.2)


def run(site: Site, series: Sequence[Path], chance: random.Random | None, wanted: int) -> Counter[str]:
    """Send all series, and kill at random moments until all are settled; give the kills by kind."""
    kills, over = Counter[str](), threading.Event()
    longest = 2.0 if isinstance(site, LightSite) else 8.0
    feeder = threading.Thread(target=feed, args=(site, series, over), daemon=True)
    feeder.start()
    limit = time.monotonic() + 1800
    while site.settled() < len(series) or feeder.is_alive():
        if time.monotonic() > limit:
            over.set()
            raise TimeoutError(f"{site.settled()} of {len(series)} series are settled")
        if chance is None or kills.total() >= wanted:
            time.sleep(0.2)
            continue
        before = len(received(site.log))
        # Half of the kills come soon, while something begins; half after some objects more have arrived.
        more, moment = chance.choice([0, 1, 15]), time.monotonic() + chance.uniform(0, longest)
        while time.monotonic() < moment or len(received(site.log)) < before + more:
            time.sleep(0.02)
            if time.monotonic() > moment + 30 or site.settled() >= len(series):
                break
        kills[site.kill(chance)] += 1
    return kills


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--kills", type=int, default=30)
    parser.add_argument("--series", type=int, default=6)
    parser.add_argument("--archive", choices=ARCHIVES, default="dimse")
    parser.add_argument("--light", action="store_true")
    parser.add_argument("--seed", type=int, default=0, help="of the moments of the kills")
    options = parser.parse_args()
    chance, kills = random.Random(options.seed), Counter[str]()
    site_of = LightSite if options.light else Site
    LightSite.context.set_forkserver_preload(["benchmarks.quality.node_archives", "medtranslate.node"])
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        series = make_series(folder, options.series, slices=10, pixels=48)
        (folder / "calm").mkdir()
        calm = site_of(folder / "calm", options.archive)
        try:
            run(calm, series, None, 0)
            wanted = images(calm.kept())
        finally:
            calm.close()
        lost = differing = refused = again = altered = rounds = 0
        while kills.total() < options.kills:
            rounds += 1
            (folder / "site").mkdir()
            site = site_of(folder / "site", options.archive)
            try:
                kills += run(site, series, chance, options.kills - kills.total())
                kept = site.kept()
            finally:
                site.close()
            found, lines = images(kept), received(site.log)
            lost += len(wanted.keys() - found.keys())
            differing += sum(found[uid] != wanted.get(uid) for uid in found)
            others = Counter((line["study"], line["modality"]) for line in kept)
            refused += sum(others[study, kind] != 1 for study, _ in others for kind in ("DOC", "SR", "OT"))
            again += len(lines) - len(unique(lines))
            altered += len({(line["uid"], line.get("all")) for line in lines}) - len(unique(lines))
            print(f"  round {rounds}: {dict(kills)}; {lost} lost, {differing} differ,", end=" ")
            print(f"{refused} without one report, measures and map; {again} sent again", flush=True)
            shutil.rmtree(folder / "site")
    told = {
        "archive": options.archive,
        "kills": dict(kills),
        "rounds": rounds,
        "series": options.series,
        "images_lost": lost,
    }
    told |= {"images_that_differ": differing, "studies_without_one_of_each": refused}
    told |= {"sent_again": again}
    print(json.dumps(told if options.archive == "orthanc" else told | {"altered_when_sent_again": altered}))


def images(lines: Sequence[dict[str, str]]) -> dict[str, str]:
    """Return the digest of each CT's pixels, by SOPInstanceUID."""
    return {line["uid"]: line["pixels"] for line in lines if line["modality"] == "CT"}


if __name__ == "__main__":
    main()
