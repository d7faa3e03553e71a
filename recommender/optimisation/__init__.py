"""The trade-off between speed, size and quality, made visible."""

from recommender.optimisation.measure import Holdout, Variant
from recommender.optimisation.optimise import optimise, pareto_front
from recommender.optimisation.picture import draw
from recommender.optimisation.rewrite import keep_outputs

__all__ = ["Holdout", "Variant", "draw", "keep_outputs", "optimise", "pareto_front"]
