"""Training: `fit` and its parts.

loop             one step after the other, in plain sight
step             one step of both sides
distributed      one process or many
cuda_graph       the work of a step, recorded once and replayed on a GPU
batches          the slices of a step
synthetic_pairs  slices of the anchor, whose truth is known
validation       scores and pictures on slices that are not trained on
latent           content of the posterior, in numbers and as a picture
diagnostics      measures of translations that went astray, and the signs of a failing run
journal          tables, pictures and logs of a run
pictures         labelled rows of slices on one sheet
run              the work between steps: losses written, scores taken, models kept
keep             models kept along a run, and the scores of the best
state            everything that changes while training
start            the weights of a model to begin with
resume           the checkpoint of a run, kept and taken up again
run_folder       the folder of a run
"""

from __future__ import annotations

from medtranslate.training.loop import fit

__all__ = ["fit"]
