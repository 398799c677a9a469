"""Methods paragraph of an evaluation, to paste into a paper, with its references."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from importlib.metadata import version

from medtranslate.metrics import PROFILES, score_info
from medtranslate.records import Cohort, Cycle, Evaluation, ModelInfo
from medtranslate.report.ct_measures import case_measures
from medtranslate.report.wording import clipping, kind_of, say_cycle, span, tissue_range

REFERENCES = {
    "synthrad2023": "Thummerer A, et al. SynthRAD2023 Grand Challenge dataset: generating synthetic CT for"
    " radiotherapy. Medical Physics 50(7), 2023.",
    "synthrad2025": "Thummerer A, et al. SynthRAD2025 Grand Challenge dataset: generating synthetic CTs for"
    " radiotherapy from head to abdomen. Medical Physics 52(7), 2025.",
    "ssim": "Wang Z, et al. Image quality assessment: from error visibility to structural similarity."
    " IEEE Transactions on Image Processing 13(4), 2004.",
    "ms_ssim": "Wang Z, et al. Multiscale structural similarity for image quality assessment. Asilomar"
    " Conference on Signals, Systems and Computers, 2003.",
    "registration": "Mattes D, et al. PET-CT image registration in the chest using free-form deformations."
    " IEEE Transactions on Medical Imaging 22(1), 2003.",
    "agreement": "Bland JM, Altman DG. Statistical methods for assessing agreement between two methods of"
    " clinical measurement. Lancet 327, 1986.",
    "hausdorff": "Taha AA, Hanbury A. Metrics for evaluating 3D medical image segmentation. BMC Medical"
    " Imaging 15, 2015.",
    "paths": "Siddon RL. Fast calculation of the exact radiological path for a three-dimensional CT"
    " array. Medical Physics 12(2), 1985.",
    "Schneider": "Schneider U, et al. The calibration of CT Hounsfield units for radiotherapy treatment"
    " planning. Physics in Medicine and Biology 41(1), 1996.",
}
"""References by the key of what they define."""


@dataclass(frozen=True)
class Methods:
    """Paragraph of plain sentences, and the references that it rests on."""

    text: str
    references: list[str]


def methods(result: Evaluation | Cohort | Cycle) -> Methods:
    """Describe an evaluation as the methods section of a paper does.

    It names model, software, data, number of cases, scores and measures; no name of a case, and no path.
    """
    items = [result] if isinstance(result, Evaluation) else result.items
    first, fullest = items[0], max(items, key=lambda item: len([*case_measures(item)]))
    ran = first.provenance.versions if first.provenance else {}
    own = ran.get("medtranslate") or version("medtranslate")
    made = [say_cycle(result)] if isinstance(result, Cycle) else _made(items, own)
    failed = len(result.failed) if isinstance(result, Cohort) else 0
    sentences = [*made, *_compared(items), *_scored(first), *_measured(fullest), *_counted(items, failed)]
    libraries = ", ".join(f"{name} {number}" for name, number in ran.items() if name != "medtranslate")
    if libraries:
        sentences.append(f"The scores were computed with medtranslate {own} ({libraries}).")
    cited = [REFERENCES[key] for key in _keys(fullest) if key in REFERENCES]
    return Methods(
        " ".join(sentences),
        [f"medtranslate contributors. medtranslate, version {own}. Software, Apache-2.0 licence.", *cited],
    )


def _made(items: Sequence[Evaluation], own: str) -> list[str]:
    """Describe the data, and the translation by its models."""
    records = [item.translation for item in items if item.translation]
    kind = kind_of(items[0])
    if not records:
        return [f"{_number(len(items), kind)} evaluated; describe here their origin, which no record says."]
    first = records[0]
    source = {"ct": "CT", "mr": "MR"}.get(first.source.modality or "", "source")
    ways = " or ".join(dict.fromkeys(record.way for record in records))
    sentences = [
        f"{_number(len(records), source, _sizes(items))} translated to {first.model.to.upper()} with"
        f" medtranslate {own}, {ways}."
    ]
    models = {record.model.sha256: record.model for record in records}
    sentences += [_model(model) for model in models.values()]
    if len(records) < len(items):
        sentences.append(f"Of {len(items) - len(records)} further translations there is no record.")
    return sentences


def _model(model: ModelInfo) -> str:
    values = f"{span(model.output_range)} {model.unit}"
    return (
        f"The model was {model.name} (SHA-256 {model.sha256[:12]}), whose"
        f" {model.to.upper()} has values from {values}."
    )


def _sizes(items: Sequence[Evaluation]) -> str:
    """Describe the grids: that of all, or how many there are."""
    sources = [item.translation.source for item in items if item.translation]
    grids = {(source.shape, tuple(round(length, 2) for length in source.spacing_mm)) for source in sources}
    if len(grids) > 1:
        return f"{len(grids)} different grids"
    shape, size = grids.pop()
    voxels = " × ".join(map(str, shape))
    return f"{voxels} voxels of {' × '.join(f'{length:g}' for length in size)} mm"


def _compared(items: Sequence[Evaluation]) -> list[str]:
    moved = sum(item.registration is not None and item.registration.applied for item in items)
    place = "on the same grid"
    if moved:
        place = f"after rigid registration of {moved} of {len(items)} references by mutual information"
    return [f"Each result was compared with the true {kind_of(items[0])} of the same head, {place}."]


def _scored(first: Evaluation) -> list[str]:
    """Define the scores of the profile, the mask and the range."""
    known = PROFILES.get(first.profile)
    defined = known.scores.items() if known else ()
    scores = "; ".join(f"{score_info(name).title}: {score.words}" for name, score in defined)
    sentences = [f"Scores followed the profile {first.profile}" + (f" ({scores})." if scores else ".")]
    if first.mask:
        sentences.append(f"The scored voxels were those of the mask ({first.mask.rule}).")
    if first.clipped:
        sentences.append(f"Before scoring, both images were {clipping(first)}.")
    elif first.data_range:
        sentences.append(f"The range of the scores was {span(first.data_range)} {first.unit}.")
    if first.agreement:
        sentences.append("Bias and limits of agreement are those of Bland and Altman over the scored voxels.")
    return sentences


def _measured(first: Evaluation) -> list[str]:
    """Define tissues, structures and path lengths, as far as they were measured."""
    sentences = []
    if first.tissues:
        regions = ", ".join(f"{name} ({tissue_range(tissue)})" for name, tissue in first.tissues.items())
        sentences.append(
            "Mean absolute error, mean error (translation minus reference) and root mean square error were"
            f" computed by tissue of the reference: {regions}."
        )
    if found := first.anatomy:
        sentences.append(
            f"Bone (above {found.bone_hu:g} HU) was compared by its Dice coefficient and the 95 % Hausdorff"
            " distance of its surface."
        )
        if found.skull_mm:
            sentences.append(
                "The thickness of the skull's vault was measured along rays from the head's middle."
            )
        if found.ventricles_ml:
            sentences.append("The volume of the ventricles was measured by their contrast to brain.")
    if first.paths and first.densities:
        sentences.append(
            "Water-equivalent path lengths of parallel beams from the front and the side were computed with"
            f" the table {first.densities.name} of relative electron densities."
        )
    return sentences


def _counted(items: Sequence[Evaluation], failed: int) -> list[str]:
    lost = f" {failed} further cases could not be scored and are in no mean." if failed else ""
    return [f"Values are means over {len(items)} cases.{lost}"] if len(items) > 1 else []


def _keys(first: Evaluation) -> list[str]:
    """List the keys of the references that the paragraph needs."""
    profile = PROFILES.get(first.profile)
    table = first.densities.name if first.densities else ""
    return [
        first.profile,
        *(profile.scores if profile else ()),
        *(["registration"] if first.registration else []),
        *(["agreement"] if first.agreement else []),
        *(["hausdorff"] if first.anatomy else []),
        *(["paths", table] if first.paths else []),
    ]


def _number(count: int, kind: str, size: str = "") -> str:
    of = f" of {size}" if size else ""
    return f"{count} {kind} images{of} were" if count != 1 else f"One {kind} image{of} was"
