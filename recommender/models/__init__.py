"""Retrievers, one file each, named after their papers."""

from recommender.models.als import ImplicitAls
from recommender.models.base import Retriever
from recommender.models.bought_together import BoughtTogether
from recommender.models.ease import Ease
from recommender.models.item_knn import ItemKnn
from recommender.models.neighbours import NeighbourTable, Recommendations, Weighting
from recommender.models.next_item import NextItem
from recommender.models.personal_frequency import PersonalFrequency
from recommender.models.popularity import Popularity, RecentPopularity
from recommender.models.similar_content import SimilarContent

__all__ = [
    "BoughtTogether",
    "Ease",
    "ImplicitAls",
    "ItemKnn",
    "NeighbourTable",
    "NextItem",
    "PersonalFrequency",
    "Popularity",
    "RecentPopularity",
    "Recommendations",
    "Retriever",
    "SimilarContent",
    "Weighting",
]
