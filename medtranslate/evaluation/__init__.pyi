from .baselines import SourceImage as SourceImage
from .baselines import baselines as baselines
from .evaluate_files import evaluate as evaluate
from .evaluate_files import evaluate_into as evaluate_into
from .pair import score_pair as score_pair
from .rerender import Rendered as Rendered
from .rerender import render as render
from .rules import ScoringRules as ScoringRules
