"""The sources of a run: listed, split, read, and compared with each other.

A source gives framed slices [B, 1, S, S] in [-1, 1] of one modality; there is no pairing.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Protocol

import torch
from torch import Tensor

from medtranslate import phantom
from medtranslate.config import Modality, TrainSettings, nan_value
from medtranslate.data.items import Listing, list_items
from medtranslate.data.look_alikes import group_look_alikes
from medtranslate.data.pairs import open_pairs
from medtranslate.data.phantom_slices import PhantomSlices
from medtranslate.data.split import held_back
from medtranslate.data.stored import Request, StoredSlices, store
from medtranslate.errors import SettingsError
from medtranslate.metrics.window_tells import greys_of_each, pooled, window_of
from medtranslate.transforms import picture_curve, unscale_ct

_MEASURED, _FEWEST = 200, 8
"""Most pictures of CT whose window is measured, and the least of them that must show wide fluid."""

_MODALITIES: dict[str, Modality] = {"ct": "ct", "mr": "mr", "val_ct": "ct", "val_mr": "mr"}


class Source(Protocol):
    """Draws slices [count, 1, S, S] in [-1, 1]; the same generator state gives the same slices."""

    def draw(self, count: int, generator: torch.Generator) -> Tensor: ...

    def fixed(self, count: int) -> Tensor:
        """Slices spread over the source, the same at each call; fewer where there are fewer."""
        ...


@dataclass(frozen=True)
class Opened:
    """Sources by their key (ct, mr, val_ct, val_mr), and facts about them.

    Attributes:
        record: images of files that were read or passed over, as JSON-like values.
        warnings: sentences.
        digests: of the images of each source that is files, in their order.
    """

    sources: dict[str, Source]
    record: dict[str, Any]
    warnings: list[str]
    digests: dict[str, tuple[str, ...]]


def open_sources(settings: TrainSettings, *, quiet: bool) -> Opened:
    """Open what the settings name: `phantom:FIRST-LAST`, a file, a folder, a CSV.

    With `val_share`, whole groups of the training images are held back, the same ones in both
    modalities. The same settings and files give the same sources.

    Raises:
        SettingsError: a range of phantom seeds is not one, or a set cannot be split.
        InputRefused: images are refused, or there are none.
    """
    texts = {key: text for key in _MODALITIES if (text := getattr(settings, key)) is not None}
    if not settings.unpaired:
        used = {"ct"} if settings.anchor_rendered > 0 else set()
        used |= {"mr"} if settings.loss.agreement > 0 else set()
        texts = {key: text for key, text in texts.items() if key.startswith("val_") or key in used}
    streams = {key: text for key, text in texts.items() if text.startswith("phantom:")}
    sources: dict[str, Source] = {
        key: _stream(text, _MODALITIES[key], settings) for key, text in streams.items()
    }
    listings = {
        key: list_items(Path(text), _MODALITIES[key], settings.groups)
        for key, text in texts.items()
        if key not in streams
    }
    if settings.val_share > 0:
        listings |= _split(listings, settings)
    stored = {
        key: store(
            Request(
                listing,
                texts.get(key, texts.get(key.removeprefix("val_"), "")),
                _MODALITIES[key],
                settings.network,
                settings.scale,
                settings.out,
                nan_value(settings.nan_to, _MODALITIES[key], key),
                settings.picture_hu if _MODALITIES[key] == "ct" else None,
            ),
            folder=settings.cache,
            quiet=quiet,
        )
        for key, listing in listings.items()
    }
    if settings.val_paired:
        sources |= open_pairs(listings, settings)
    warnings = list(dict.fromkeys(note for listing in listings.values() for note in listing.notes))
    warnings += [sentence for key, source in stored.items() for sentence in _remarks(key, source, settings)]
    warnings += _leaks(stored)
    if settings.anatomy == "other" and settings.loss.needs_truth:
        warnings += _without_hu(stored["ct"])
    return Opened(
        sources | stored,
        {key: source.record for key, source in stored.items()},
        warnings,
        {key: source.digests for key, source in stored.items()},
    )


def _stream(text: str, modality: Modality, settings: TrainSettings) -> PhantomSlices:
    match = re.fullmatch(r"phantom:(\d+)-(\d+)", text)
    first, last = (int(match[1]), int(match[2])) if match else (1, 0)
    if not first <= last < phantom.HELD_OUT:
        raise SettingsError(
            f"{modality}: {text!r} is no range of phantom seeds;"
            f" write phantom:FIRST-LAST, below {phantom.HELD_OUT}"
        )
    return PhantomSlices(first, last, modality, settings.phantom_contrast, settings.network, settings.scale)


def _split(listings: Mapping[str, Listing], settings: TrainSettings) -> dict[str, Listing]:
    """Training listings without the groups held back, and validation listings of these."""
    whole = {
        key: group_look_alikes(listings[key], _MODALITIES[key])
        for key in ("ct", "mr")
        if key in listings and f"val_{key}" not in listings
    }
    held: set[str] = set()
    for key, listing in whole.items():
        groups = [item.group for item in listing.items if item.group]
        if len(groups) < len(listing.items) or len(set(groups)) < 2:
            raise SettingsError(
                f"val_share: of {len(listing.items)} {key} images {len(groups)} are in {len(set(groups))}"
                " groups of subjects or look-alikes; give all of them two or more groups with --groups FILE,"
                " or a CSV with subject"
            )
        held |= held_back(groups, settings.val_share, settings.seed)
    if not whole:
        raise SettingsError("val_share: no training images to split; leave it out, or val_ct or val_mr")
    parts: dict[str, Listing] = {}
    for key, listing in whole.items():
        parts[key] = replace(listing, items=[item for item in listing.items if item.group not in held])
        parts[f"val_{key}"] = Listing([item for item in listing.items if item.group in held], [])
        if not parts[key].items:
            raise SettingsError(f"val_share: nothing of {key} is left to train on; take a smaller share")
    return parts


def _remarks(key: str, source: StoredSlices, settings: TrainSettings) -> list[str]:
    record = source.record
    passed = [*record["failures"], *record["unsuited_series"]]
    remarks = [f"{key}: passed over: {reason}" for reason in passed]
    notes, images = record["warnings"], record["images"]
    remarks += [f"{key}: {note} ({count} of {images} images)" for note, count in notes.items()]
    if blank := record.get("blank", 0):
        remarks.append(f"{key}: {blank} pictures of one grey value passed over")
    if len(source.images) == 1:
        remarks.append(f"{key}: one slice, which is no set to learn from or to judge by")
    if _MODALITIES[key] == "ct" and settings.anatomy == "head":
        remarks += _other_window(key, source, settings)
    return remarks


def _other_window(key: str, ct: StoredSlices, settings: TrainSettings) -> list[str]:
    """Warn of pictures whose brain and fluid tell another window than the scale's."""
    scale, pictured = settings.scale, torch.ones(len(ct.images), dtype=torch.bool)
    pictured[ct.in_hu] = False
    places = pictured.nonzero()[:, 0]
    if not len(places):
        return []
    some = places[torch.linspace(0, len(places) - 1, min(len(places), _MEASURED)).round().long()]
    grey = 255 * unscale_ct(ct.images[some, 0].float(), picture_curve(scale, 1.0))
    told = greys_of_each(grey.numpy())
    if len(told) < _FEWEST or pooled(told).possible_in(scale.shown_window):
        return []
    (black, white), (low, high) = window_of(told), scale.shown_window
    option = "ct-picture" if scale.ct_picture else "ct-window"
    end = " BLACK WHITE, and without --from, whose model has its own" if settings.parent else " BLACK WHITE"
    return [
        f"{key}: brain and fluid of {len(told)} pictures tell that black and white are about {black:.0f} and"
        f" {white:.0f} HU, and not {low:g} and {high:g}; if so, train with --scale.{option}{end}"
    ]


def _without_hu(ct: StoredSlices) -> list[str]:
    """Say which slices have no part in an anchor that is rendered from CT in HU alone."""
    known, slices = len(ct.in_hu), len(ct.images)
    if known == slices:
        return []
    if known:
        return [f"ct: the anchor is rendered from {known} of {slices} slices, as the others are not in HU"]
    return [
        "ct: no image is in HU, so nothing can be rendered from it and the run has no anchor; give"
        " volumes, or --picture-hu if the grey values are known"
    ]


def _leaks(stored: Mapping[str, StoredSlices]) -> list[str]:
    """Sentences about validation images or groups that are trained on."""
    leaks: list[str] = []
    trained = [source for key, source in stored.items() if not key.startswith("val_")]
    for key, source in stored.items():
        if not key.startswith("val_"):
            continue
        images = len(set(source.digests) & {digest for other in trained for digest in other.digests})
        groups = len(source.groups & frozenset().union(*(other.groups for other in trained)))
        if images or groups:
            leaks.append(f"{key}: {images} images and {groups} groups are trained on too; its scores flatter")
    return leaks
