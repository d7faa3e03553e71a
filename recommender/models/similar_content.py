"""Similar by content: for items that nobody has bought yet."""

from dataclasses import dataclass

import numpy as np
import polars as pl
from scipy import sparse
from sklearn.feature_extraction.text import TfidfVectorizer

from recommender.dataset import Interactions
from recommender.errors import InvalidData
from recommender.features import ITEM_COLUMNS
from recommender.ids import IdMap
from recommender.models.base import Retriever
from recommender.models.cooccurrence import pruned_product
from recommender.models.neighbours import NeighbourTable
from recommender.models.popularity import count_customers
from recommender.text import CharacterNgrams
from recommender.types import CsrMatrix


@dataclass
class SimilarContent(Retriever):
    """Cosine of what is known of the items: text (TF-IDF of character n-grams), category and price.

    `features` has the column item and at least one of text, category (String) and price (0 and less are unknown). Its
    items are the catalogue, whether bought or not; items that were bought but are not in it are added without content.
    `text_weight`, `category_weight`, `price_weight` set how much each part counts. Raises InvalidData.

    >>> features = pl.DataFrame({"item": ["1", "2", "3"], "text": ["green tea", "black tea", "strawberry jam"]})
    >>> shop = Interactions.from_frame(pl.DataFrame({"user": ["ann"], "item": ["1"]}))
    >>> SimilarContent(features).fit(shop).recommend([["1"]], k=1, exclude=[["1"]]).items.tolist()
    [['2']]
    """

    features: pl.DataFrame
    neighbours: int = 50
    text_weight: float = 1.0
    category_weight: float = 0.5
    price_weight: float = 0.2

    def _learn(self, interactions: Interactions) -> NeighbourTable:
        check_item_features(self.features)
        items = IdMap.of([*self.features["item"].to_list(), *interactions.items.externals.tolist()])
        rows = pl.DataFrame({"item": items.externals.tolist()}).join(self.features, on="item", how="left")
        rows = rows.unique("item", keep="first").sort("item")
        content = sparse.csr_matrix(sparse.hstack(self._parts(rows)))
        columns = sparse.csr_matrix(content.T)
        matrix = pruned_product(columns, columns, self.neighbours)
        popularity = np.zeros(len(items))
        popularity[items.to_internal(interactions.items.externals.tolist())] = count_customers(interactions)
        return NeighbourTable.from_matrix(items, matrix, popularity)

    def _parts(self, rows: pl.DataFrame) -> list[CsrMatrix]:
        """One block of columns for each kind of content, rows of length at most its weight."""
        parts = []
        if "text" in rows.columns and self.text_weight:
            texts = rows["text"].fill_null("").to_list()
            parts.append(TfidfVectorizer(analyzer=CharacterNgrams(2, 4)).fit_transform(texts) * self.text_weight)
        if "category" in rows.columns and self.category_weight:
            parts.append(_one_hot(rows["category"]) * self.category_weight)
        if "price" in rows.columns and self.price_weight:
            prices = rows["price"].set(rows["price"] <= 0, None)
            parts.append(_one_hot((prices.log() * 2).round().cast(pl.Int64)) * self.price_weight)
        return parts


def check_item_features(features: pl.DataFrame) -> None:
    """Raise InvalidData unless the frame has the columns that are known here, with the right types."""
    unknown = [column for column in features.columns if column not in ITEM_COLUMNS]
    if unknown or "item" not in features.columns or len(features.columns) < 2:
        raise InvalidData(f"item features: expected item and some of text, category, price; got {features.columns}")
    if features["item"].dtype != pl.String or features["item"].has_nulls():
        raise InvalidData("item features: expected a text in every row of column item")
    if "price" in features.columns and not features["price"].dtype.is_numeric():
        raise InvalidData(f"item features: expected numbers in column price, got {features['price'].dtype}")


def _one_hot(values: pl.Series) -> CsrMatrix:
    """Rows x distinct values; an empty row where the value is missing."""
    distinct = values.drop_nulls().unique().sort().to_list()
    place = {value: number for number, value in enumerate(distinct)}
    known = [(row, place[value]) for row, value in enumerate(values.to_list()) if value is not None]
    rows, columns = zip(*known, strict=True) if known else ((), ())
    ones = np.ones(len(known), np.float32)
    return sparse.csr_matrix((ones, (rows, columns)), shape=(len(values), max(len(distinct), 1)))
