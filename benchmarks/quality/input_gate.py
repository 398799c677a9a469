"""Counts what an input gate refuses, of right images and of wrong kinds that it was not fitted on.

    python -m benchmarks.quality.input_gate --data DATA --model RUN/model --packages PACKAGES

DATA is laid out as the development data: brain-ct-mr/{trainA,trainB,valA,valB,mislabelled}, paired-ct-mr,
paired-three, nifti, heads and dicom; PACKAGES holds the unpacked wheels of dipy, nibabel, nilearn and
sdcflows. With --fit the gate is fitted anew on train* for the model's generators, and with --keep put into
the model's folder; without, the model's own is judged. Of several models with the same generators the gates
are held beside each other. `gate_pictures` and `gate_scans` say what wrong kinds are made of. An image in
which no head is found counts as refused, as for a user.
"""

from __future__ import annotations

import argparse
import json
import tempfile
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import torch

from benchmarks.quality.gate_pictures import MODALITIES, kinds, offers, slices_of
from benchmarks.quality.gate_scans import heads, read_series, scans
from medtranslate.checkpoint import Model, find_model, load_model, save_gate
from medtranslate.config import Modality, TrainSettings
from medtranslate.data import Source, open_sources
from medtranslate.errors import InputRefused
from medtranslate.gate import judge, look
from medtranslate.gate.fit import fit_gate
from medtranslate.io import Volume
from medtranslate.io.layout import to_axial
from medtranslate.modality import OTHER
from medtranslate.networks import SliceGate
from medtranslate.translation.framed import frame
from medtranslate.translation.volume import JUDGED

Offer = tuple[str, Volume, Modality]
SLICES = 8
"""Of a volume that are offered as pictures, too."""


@dataclass
class Table:
    """Verdicts of the gates, counted by kind as they come.

    Attributes:
        models: whose gates are asked; their generators are the same.
        show: name what was judged wrongly.
        counts: by kind, how many were offered, and of each gate how many were refused and warned of.
    """

    models: list[Model]
    show: bool
    counts: dict[str, dict[str, object]] = field(default_factory=dict)

    def add(self, kind: str, offered: Iterable[Offer]) -> None:
        """Judge what is offered and print a row."""
        found = [(name, modality, self._verdicts(volume, modality)) for name, volume, modality in offered]
        wanted = "refuse" if kind.startswith("wrong") else "pass"
        columns = list(zip(*(verdicts for _, _, verdicts in found), strict=True))
        refused, warned = ([[v for v, _ in one].count(w) for one in columns] for w in ("refuse", "warn"))
        self.counts[kind] = {"offered": len(found), "refused": refused, "warned": warned}
        print(f"{kind:52}{len(found):6d}   refused {refused}   warned {warned}", flush=True)
        for name, modality, verdicts in found if self.show else ():
            verdict, why = verdicts[-1]
            if verdict != wanted:
                print(f"    {name} as {modality}: {verdict} {why}", flush=True)

    def sums(self, words: str, keys: Iterable[str]) -> None:
        """Print what all rows of these words come to, each gate for itself."""
        rows = [counts for kind, counts in self.counts.items() if kind.startswith(words)]
        offered = sum(int(str(row["offered"])) for row in rows)
        for key in keys:
            all_of = [sum(one) for one in zip(*(row[key] for row in rows), strict=True)]
            print(f"{words}, {key}: {all_of} of {offered}, {[f'{one / offered:.1%}' for one in all_of]}")

    def _verdicts(self, volume: Volume, modality: Modality) -> list[tuple[str, str]]:
        """Ask each gate for verdict and reasons; what is refused before it comes to a gate is refused."""
        first = self.models[0]
        try:
            seen = frame(volume, modality, first)
        except InputRefused as error:
            return [("refuse", str(error))] * len(self.models)
        generator, network = first.translator(OTHER[modality]), first.description.network
        judged = seen.shown[:: -(-len(seen.shown) // JUDGED)]
        looks: list[list[torch.Tensor]] = [[] for _ in self.models]
        with torch.inference_mode():
            for places in np.array_split(judged, -(-len(judged) // 16)):
                framed = seen.framed(places, network.size, network.neighbours)
                latent = generator.encode(framed).mean
                for model, mine in zip(self.models, looks, strict=True):
                    assert model.gate is not None, "a model has no gate; give --fit STEPS"
                    mine.append(look(model.gate, framed, latent, modality))
        found = [
            judge(mine, model.gate, volume, modality) for model, mine in zip(self.models, looks, strict=True)
        ]
        return [(one.verdict, f"{one.looks_like} {one.scores} {one.reasons}") for one in found]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--data", type=Path, required=True)
    parser.add_argument("--model", required=True, nargs="+")
    parser.add_argument("--packages", type=Path, help="folder of unpacked wheels")
    parser.add_argument("--fit", type=int, metavar="STEPS", help="fit a gate on train* in so many steps")
    parser.add_argument(
        "--onwards", action="store_true", help="begin with the classifier of the model's gate"
    )
    parser.add_argument("--keep", action="store_true", help="put it into the model's folder")
    parser.add_argument("--cache", type=Path, help="folder for the framed training slices")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--show", action="store_true", help="name what the last gate judged wrongly")
    options = parser.parse_args()
    models = [load_model(name) for name in options.model]
    if options.fit:
        models[-1].gate = fitted(options, models[-1])
        if options.keep:
            save_gate(find_model(options.model[-1]), models[-1].gate)
    assert len({model.description.sha256 for model in models}) == 1, "gates of the same generators, please"
    table = Table(models, options.show)
    for kind, offered in kinds(options.data).items():
        table.add(kind, offered)
    with tempfile.TemporaryDirectory() as folder:
        for kind, offered in volumes(options.data, options.packages, Path(folder)):
            table.add(kind, offered)
    for words in ("right: pictures", "right: volumes"):
        table.sums(words, ("refused", "warned"))
    for words in ("wrong: pictures", "wrong: volumes", "wrong: slices", "wrong"):
        table.sums(words, ("refused",))
    print(json.dumps({"models": options.model, "kinds": table.counts}))


def fitted(options: argparse.Namespace, model: Model) -> SliceGate:
    pictures = options.data / "brain-ct-mr"
    opened = open_sources(
        TrainSettings(
            ct=str(pictures / "trainA"),
            mr=str(pictures / "trainB"),
            out=Path("unused"),
            network=model.description.network,
            scale=model.description.scale,
            cache=options.cache,
        ),
        quiet=False,
    )
    sources: dict[Modality, Source] = {side: opened.sources[side] for side in MODALITIES}
    return fit_gate(
        sources,
        model.generators,
        model.description.network,
        model.description.scale,
        steps=options.fit,
        seed=options.seed,
        quiet=False,
        start=model.gate if options.onwards else None,
    )


def volumes(data: Path, packages: Path | None, folder: Path) -> Iterator[tuple[str, list[Offer]]]:
    """Yield whole heads, right and wrong, and scans that are neither, as volumes and slice by slice."""
    whole = list(heads(data, folder))
    yield "right: volumes, whole heads", whole
    yield "wrong: volumes, offered as the other modality", [(n, v, OTHER[m]) for n, v, m in whole]
    yield "wrong: volumes, upside down", [(n, _turned(v), m) for n, v, m in whole]
    ct = [(n, v.with_values(v.values + 1024), OTHER[m]) for n, v, m in whole if m == "ct"]
    yield "wrong: volumes, CT stored from 0, as MR", ct
    yield (
        "wrong: volumes, a skull phantom",
        [("ct-skull-philips", read_series(data, "ct-skull-philips", folder), "ct")],
    )
    found: dict[str, list[Offer]] = {}
    for kind, name, volume, modality in scans(data, packages, folder):
        found.setdefault(kind, []).append((name, volume, modality))
    for kind, offered in found.items():
        yield f"wrong: volumes, {kind}", offered
        one_by_one = [(slices_of(v, m, name, SLICES), m) for name, v, m in offered]
        yield f"wrong: slices, {kind}", [one for greys, m in one_by_one for one in offers(greys, m)]


def _turned(volume: Volume) -> Volume:
    """Exchange front and back, as a wrong header would."""
    axial = to_axial(volume)
    return axial.with_values(axial.values[:, ::-1])


if __name__ == "__main__":
    main()
