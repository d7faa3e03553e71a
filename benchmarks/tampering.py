"""Random changes to a sealed log: a bit in any column, a row removed, inserted or exchanged for another."""

import random
import uuid
from collections.abc import Callable
from datetime import datetime, timedelta
from typing import Any

import psycopg
from psycopg import sql

TABLES = {
    "decisions_decision": "id",
    "audit_auditevent": "id",
    "audit_seal": "number",
    "audit_unsealed": "id",
}
_ATTEMPTS = 200


class Tamperer:
    """Changes one thing in the present transaction of a superuser's connection; the caller takes it back."""

    def __init__(self, connection: "psycopg.Connection[Any]", generator: random.Random) -> None:
        self._connection, self._random = connection, generator
        self._columns = {table: self._types(table) for table in TABLES}
        connection.rollback()

    def change_something(self) -> tuple[str, str]:
        """The kind of the change, and what was done. Tries until the database takes one that changes something."""
        kinds: dict[str, Callable[[], str]] = {
            "bit": self._flip_a_bit,
            "removal": self._remove,
            "insertion": self._insert,
            "order": self._exchange,
        }
        kind = self._random.choices(list(kinds), weights=[5, 2, 1, 2])[0]
        for _ in range(_ATTEMPTS):
            self._connection.execute("SET LOCAL session_replication_role = replica")
            try:
                return kind, kinds[kind]()
            except (psycopg.DataError, psycopg.IntegrityError, UnicodeDecodeError, _Unchanged):
                self._connection.rollback()
        raise RuntimeError(f"no {kind} in {_ATTEMPTS} attempts")

    def _flip_a_bit(self) -> str:
        table = self._random.choice(list(TABLES))
        column = self._random.choice(list(self._columns[table]))
        if (table, column) == ("audit_unsealed", "id"):  # says only which note is the oldest
            raise _Unchanged
        key = self._row(table)
        return self._update(
            table, key, column, self._flipped(self._columns[table][column], self._value(table, key, column))
        )

    def _remove(self) -> str:
        table = self._random.choice(list(TABLES))
        key = self._row(table)
        self._run("DELETE FROM {table} WHERE {key} = %s", table, [key])
        return f"removed {table} {key}"

    def _insert(self) -> str:
        """A copy of a row under an id of its own."""
        table = self._random.choice(["decisions_decision", "audit_auditevent", "audit_unsealed", "audit_seal"])
        others = sql.SQL(", ").join(sql.Identifier(name) for name in self._columns[table] if name != TABLES[table])
        key = self._row(table)
        fresh: Any = (
            self._flipped("uuid", key) if isinstance(key, uuid.UUID) else 1_000_000 + self._random.randrange(1000)
        )
        statement = sql.SQL("INSERT INTO {table} ({key}, {others}) SELECT %s, {others} FROM {table} WHERE {key} = %s")
        names = {"table": sql.Identifier(table), "key": sql.Identifier(TABLES[table]), "others": others}
        self._connection.execute(statement.format(**names), [fresh, key])
        return f"inserted {table} {fresh} as {key}"

    def _exchange(self) -> str:
        """Two rows change places, or two records of a seal."""
        if self._random.random() < 0.3:
            return self._exchange_records()
        table = self._random.choice(["decisions_decision", "audit_auditevent", "audit_seal"])
        one, other = self._row(table), self._row(table)
        if one == other:
            raise _Unchanged
        aside: Any = uuid.UUID(int=1) if isinstance(one, uuid.UUID) else 10_000_000
        for old, new in ((one, aside), (other, one), (aside, other)):
            self._run("UPDATE {table} SET {key} = %s WHERE {key} = %s", table, [new, old])
        return f"exchanged {table} {one} and {other}"

    def _exchange_records(self) -> str:
        key = self._row("audit_seal")
        records = bytes(self._value("audit_seal", key, "records"))
        parts = [records[start : start + 48] for start in range(0, len(records), 48)]
        if len(parts) < 2:
            raise _Unchanged
        one, other = self._random.sample(range(len(parts)), 2)
        parts[one], parts[other] = parts[other], parts[one]
        return self._update("audit_seal", key, "records", b"".join(parts))

    def _flipped(self, kind: str, value: Any) -> Any:
        """`value` with another bit. Raises _Unchanged where a column of this kind cannot hold the result."""
        if value is None:
            moment = datetime.fromisoformat("2026-01-01T00:00:00+00:00")
            return uuid.UUID(int=self._random.getrandbits(128)) if kind == "uuid" else moment
        if isinstance(value, bytes):
            return self._flip_bytes(value)
        if isinstance(value, uuid.UUID):
            return uuid.UUID(int=value.int ^ 1 << self._random.randrange(128))
        if isinstance(value, int):
            return value ^ 1 << self._random.randrange(31)
        if isinstance(value, datetime):
            return value + timedelta(microseconds=1 << self._random.randrange(40))
        text = self._flip_bytes(value.encode() or b"\x00").decode()
        if "\x00" in text:
            raise _Unchanged
        return text

    def _flip_bytes(self, value: bytes) -> bytes:
        place = self._random.randrange(len(value))
        flipped = value[place] ^ 1 << self._random.randrange(8)
        return value[:place] + bytes([flipped]) + value[place + 1 :]

    def _update(self, table: str, key: Any, column: str, value: Any) -> str:
        cast = sql.SQL("::jsonb") if self._columns[table][column] == "jsonb" else sql.SQL("")
        statement = sql.SQL(
            "UPDATE {table} SET {column} = %s{cast} WHERE {key} = %s AND {column} IS DISTINCT FROM %s{cast}"
        )
        names = {"table": sql.Identifier(table), "key": sql.Identifier(TABLES[table])}
        done = self._connection.execute(
            statement.format(column=sql.Identifier(column), cast=cast, **names), [value, key, value]
        )
        if done.rowcount != 1:
            raise _Unchanged
        return f"set {column} of {table} {key} to {value!r}"

    def _row(self, table: str) -> Any:
        count = self._one("SELECT count(*) FROM {table}", table)
        return self._one(
            "SELECT {key} FROM {table} ORDER BY {key} OFFSET %s LIMIT 1", table, [self._random.randrange(count)]
        )

    def _value(self, table: str, key: Any, column: str) -> Any:
        text = sql.SQL("::text") if self._columns[table][column] == "jsonb" else sql.SQL("")
        statement = sql.SQL("SELECT {column}{text} FROM {table} WHERE {key} = %s").format(
            column=sql.Identifier(column), text=text, table=sql.Identifier(table), key=sql.Identifier(TABLES[table])
        )
        found = self._connection.execute(statement, [key]).fetchone()
        return found[0] if found else None

    def _one(self, statement: str, table: str, parameters: list[Any] | None = None) -> Any:
        found = self._run(statement, table, parameters or []).fetchone()
        return found[0] if found else None

    def _run(self, statement: str, table: str, parameters: list[Any]) -> "psycopg.Cursor[Any]":
        names = {"table": sql.Identifier(table), "key": sql.Identifier(TABLES[table])}
        return self._connection.execute(sql.SQL(statement).format(**names), parameters)  # type: ignore[arg-type]

    def _types(self, table: str) -> dict[str, str]:
        found = self._connection.execute(
            "SELECT attname, format_type(atttypid, NULL) FROM pg_attribute "
            "WHERE attrelid = %s::regclass AND attnum > 0 AND NOT attisdropped",
            [table],
        )
        return dict(found.fetchall())


class _Unchanged(Exception):
    """This would have changed nothing."""
