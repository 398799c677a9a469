"""Training: `fit` and what it stands on.

loop        one step after the other, in plain sight
step        what a step does to both sides
processes   one process or many
batches     the slices of a step, the anchor's among them
validation  scores and pictures on slices that are not trained on
latent      what the posterior carries, in numbers and as a picture
traps       measures of translations that went astray, without pairs
signs       what in those scores says that a run is failing
journal     what is written down as the run goes
run_folder  what changes while training, and how it is kept
"""

from __future__ import annotations

from medtranslate.training.loop import fit

__all__ = ["fit"]
