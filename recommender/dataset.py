"""Interactions: who bought (or viewed) which item when, read from files or frames, external ids converted once."""

from dataclasses import dataclass, field, replace
from pathlib import Path

import numpy as np
import polars as pl
from scipy import sparse

from recommender.errors import InvalidData
from recommender.features import USER, as_user_features
from recommender.ids import IdMap, as_strings
from recommender.reading import read_frame, read_numbers, read_texts, read_times, require_columns
from recommender.types import CsrMatrix, IndexArray

ROLES = ("user", "item", "time", "weight", "basket")
_NO_TIME = pl.lit(None, pl.Datetime("us"))
_NO_BASKET = pl.lit(None, pl.String)
_ONCE = pl.lit(1.0, pl.Float32)


@dataclass(frozen=True, kw_only=True, slots=True)
class Columns:
    """Which column of the data plays which role; `time`, `weight` and `basket` may be absent (None).

    >>> Columns.parse("user=CustomerID,item=StockCode,time=InvoiceDate").item
    'StockCode'
    """

    user: str = "user"
    item: str = "item"
    time: str | None = None
    weight: str | None = None
    basket: str | None = None

    @classmethod
    def parse(cls, text: str) -> "Columns":
        """Read `role=column,...`. Raises InvalidData for anything else."""
        pairs = [part.strip().partition("=") for part in text.split(",") if part.strip()]
        for role, equals, column in pairs:
            if role not in ROLES or not equals or not column:
                raise InvalidData(
                    f"columns: expected role=column with a role of {', '.join(ROLES)}, got '{role}{equals}{column}'"
                )
        roles = {role: column for role, _, column in pairs}
        if len(roles) < len(pairs):
            raise InvalidData(f"columns: a role is named twice in '{text}'")
        return cls(**roles)

    def present(self) -> dict[str, str]:
        """Role to column, for the roles that the data has."""
        return {role: column for role in ROLES if (column := getattr(self, role)) is not None}


@dataclass(frozen=True, kw_only=True, slots=True)
class ReadReport:
    """What became of the rows: `without_user` and `without_item` lack an id, `returns` have a weight of 0 or less."""

    rows: int
    kept: int
    without_user: int
    without_item: int
    returns: int


@dataclass(frozen=True, kw_only=True)
class Interactions:
    """Events with internal ids, oldest first.

    `events` has the columns user and item (UInt32: positions in `users` and `items`), time (Datetime in microseconds,
    null where the data has none), weight (Float32, above 0) and basket (UInt64: equal within one basket; without a
    basket column, the purchases of one user at one time). `user_features` (see `with_user_features`) has one row per
    user, in the order of `users`.

    >>> shop = Interactions.from_frame(pl.DataFrame({"user": ["ann", "ann", "bob"], "item": ["tea", "jam", "tea"]}))
    >>> shop.matrix().toarray().tolist()  # rows ann, bob; columns jam, tea
    [[1.0, 1.0], [0.0, 1.0]]
    >>> shop.histories()
    {'ann': ['tea', 'jam'], 'bob': ['tea']}
    """

    users: IdMap
    items: IdMap
    events: pl.DataFrame
    report: ReadReport = field(compare=False)
    user_features: pl.DataFrame | None = None

    def __len__(self) -> int:
        return len(self.events)

    @classmethod
    def read(cls, path: str | Path, columns: Columns | str) -> "Interactions":
        """Read a .csv, .csv.gz or .parquet file. Raises InvalidData that names file, line and column."""
        mapping = Columns.parse(columns) if isinstance(columns, str) else columns
        frame = read_frame(path, columns=list(dict.fromkeys(mapping.present().values())))
        return cls._from(frame, mapping, str(path))

    @classmethod
    def from_frame(cls, frame: pl.DataFrame, columns: Columns | str | None = None) -> "Interactions":
        """Take a polars frame; without `columns` its columns are named after their roles. Raises InvalidData."""
        if columns is None:
            columns = Columns(**{role: role for role in ROLES if role in frame.columns})
        mapping = Columns.parse(columns) if isinstance(columns, str) else columns
        return cls._from(frame, mapping, "frame")

    @classmethod
    def _from(cls, frame: pl.DataFrame, columns: Columns, source: str) -> "Interactions":
        require_columns(columns.present().values(), frame.columns, source)
        raw = frame.select(
            read_texts(frame[columns.user], source).alias("user"),
            read_texts(frame[columns.item], source).alias("item"),
            (read_times(frame[columns.time], source) if columns.time else _NO_TIME).alias("time"),
            (read_numbers(frame[columns.weight], source) if columns.weight else _ONCE).alias("weight"),
            (read_texts(frame[columns.basket], source) if columns.basket else _NO_BASKET).alias("basket"),
        )
        kept = raw.filter(pl.col("user").is_not_null() & pl.col("item").is_not_null() & (pl.col("weight") > 0))
        if kept.is_empty():
            raise InvalidData(f"{source}: none of the {len(raw)} rows has a user, an item and a weight above 0")
        report = ReadReport(
            rows=len(raw),
            kept=len(kept),
            without_user=raw["user"].null_count(),
            without_item=raw["item"].null_count(),
            returns=int((raw["weight"] <= 0).sum()),
        )
        return cls._indexed(kept, report)

    @classmethod
    def _indexed(cls, rows: pl.DataFrame, report: ReadReport) -> "Interactions":
        rows = rows.sort("time", nulls_last=False, maintain_order=True)
        user, users = _codes(rows["user"])
        item, items = _codes(rows["item"])
        same_basket = pl.struct("user", "basket") if rows["basket"].null_count() == 0 else pl.struct("user", "time")
        basket = rows.select((same_basket.rank("dense") - 1).cast(pl.UInt64).alias("basket"))
        events = pl.DataFrame([user, item, rows["time"], rows["weight"], basket["basket"]])
        return cls(users=users, items=items, events=events, report=report)

    def with_user_features(self, features: pl.DataFrame) -> "Interactions":
        """The same events, with what is known of their users: `features` as for `as_user_features`.

        Users of whom nothing is known are fine, and users without events are left out. Raises InvalidData.
        """
        users = pl.DataFrame({USER: self.users.externals.tolist()}, schema={USER: pl.String})
        known = users.join(as_user_features(features), on=USER, how="left", maintain_order="left")
        return replace(self, user_features=known.drop(USER))

    def matrix(self) -> CsrMatrix:
        """User x item, 1.0 where the user has the item at all, float32."""
        user, item = self.events["user"].to_numpy(), self.events["item"].to_numpy()
        shape = (len(self.users), len(self.items))
        matrix = sparse.csr_matrix((np.ones(len(user), np.float32), (user, item)), shape=shape)
        matrix.sum_duplicates()
        matrix.data[:] = 1.0
        return matrix

    def histories(self) -> dict[str, list[str]]:
        """External user id to external item ids, oldest first, one entry per event, users in the order of their ids."""
        grouped = self.events.group_by("user", maintain_order=True).agg("item").sort("user")
        return {
            self.users.externals[user]: self.items.externals[np.asarray(items)].tolist()
            for user, items in zip(grouped["user"].to_list(), grouped["item"].to_list(), strict=True)
        }

    def where(self, condition: pl.Expr) -> "Interactions":
        """The events for which `condition` (over the columns of `events`) holds, with ids of their own.

        Users and items that do not occur any more are forgotten, so that nothing of the rest can leak.
        """
        events = self.events.filter(condition)
        if events.is_empty():
            raise InvalidData("no interactions are left under this condition")
        user, users = _recoded(events["user"], self.users)
        item, items = _recoded(events["item"], self.items)
        features = self.user_features
        if features is not None:
            features = features[events["user"].unique().sort()]
        return replace(self, users=users, items=items, events=events.with_columns(user, item), user_features=features)


def _codes(ids: pl.Series) -> tuple[pl.Series, IdMap]:
    distinct = ids.unique().sort()
    table = pl.DataFrame({"id": distinct, "code": pl.int_range(len(distinct), dtype=pl.UInt32, eager=True)})
    codes = pl.DataFrame({"id": ids}).join(table, on="id", how="left", maintain_order="left")["code"]
    return codes.alias(ids.name), IdMap(as_strings(distinct.to_list()))


def _recoded(codes: pl.Series, ids: IdMap) -> tuple[pl.Series, IdMap]:
    kept, recoded = np.unique(codes.to_numpy(), return_inverse=True)
    used: IndexArray = kept.astype(np.int32)
    return pl.Series(codes.name, recoded.astype(np.uint32)), ids.subset(used)
