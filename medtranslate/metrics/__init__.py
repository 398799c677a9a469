"""Comparison of a prediction with its reference: masks, scores, and the profiles that combine them.

The scores of a pair depend strongly on mask, clipping, range and window, so a score has a meaning only with
its profile (docs/metrics.md). All functions are pure, on arrays [X, Y, Z] with axial slices along the last
axis.
"""

from __future__ import annotations

from medtranslate.metrics.agreement import agreement, coverage
from medtranslate.metrics.arrays import (
    SOFT_TISSUE,
    Range,
    Values,
    Voxels,
    covers,
    percentile_range,
    require_finite,
    shown_range,
)
from medtranslate.metrics.calibration import LIMIT_SHARE, calibrated, fit_calibration, fit_factors
from medtranslate.metrics.head_structures import compare_vaults, find_middle, vault, ventricles
from medtranslate.metrics.histograms import histograms, seams
from medtranslate.metrics.intensity import foreground_top, onto_range
from medtranslate.metrics.masks import (
    INVENTED,
    VISIBLE,
    blank_slices,
    body_mask,
    body_outline,
    head_mask,
    invented,
    shows,
)
from medtranslate.metrics.outline import enclosed, outline, with_rim
from medtranslate.metrics.patients import FEW, by_patient, estimate
from medtranslate.metrics.plausibility import bone_from, doubts, look_at_brain
from medtranslate.metrics.profiles import PROFILES, WHOLE_CT, Definition, Grading, Profile, score
from medtranslate.metrics.projections import (
    AIR_REACH,
    BEAMS,
    BONE_REACH,
    SCHNEIDER,
    Spacing,
    check_densities,
    path_length,
    path_maps,
    radiographs,
    relative_density,
)
from medtranslate.metrics.score_table import OF_IMAGES, SCORES, ScoreInfo, score_info
from medtranslate.metrics.scores import SSIM_WINDOW, Pair, Scored, by_slice, mae, psnr, ssim_map
from medtranslate.metrics.ssim3d import ms_ssim, ssim_map_3d
from medtranslate.metrics.surfaces import hausdorff_95
from medtranslate.metrics.tissues import BRAIN_TISSUES, TISSUES, bone_limit, bone_of, tissue_scores

__all__ = [
    "AIR_REACH",
    "BEAMS",
    "BONE_REACH",
    "BRAIN_TISSUES",
    "FEW",
    "INVENTED",
    "LIMIT_SHARE",
    "OF_IMAGES",
    "PROFILES",
    "SCHNEIDER",
    "SCORES",
    "SOFT_TISSUE",
    "SSIM_WINDOW",
    "TISSUES",
    "VISIBLE",
    "WHOLE_CT",
    "Definition",
    "Grading",
    "Pair",
    "Profile",
    "Range",
    "ScoreInfo",
    "Scored",
    "Spacing",
    "Values",
    "Voxels",
    "agreement",
    "blank_slices",
    "body_mask",
    "body_outline",
    "bone_from",
    "bone_limit",
    "bone_of",
    "by_patient",
    "by_slice",
    "calibrated",
    "check_densities",
    "compare_vaults",
    "coverage",
    "covers",
    "doubts",
    "enclosed",
    "estimate",
    "find_middle",
    "fit_calibration",
    "fit_factors",
    "foreground_top",
    "hausdorff_95",
    "head_mask",
    "histograms",
    "invented",
    "look_at_brain",
    "mae",
    "ms_ssim",
    "onto_range",
    "outline",
    "path_length",
    "path_maps",
    "percentile_range",
    "psnr",
    "radiographs",
    "relative_density",
    "require_finite",
    "score",
    "score_info",
    "seams",
    "shown_range",
    "shows",
    "ssim_map",
    "ssim_map_3d",
    "tissue_scores",
    "vault",
    "ventricles",
    "with_rim",
]
