"""Cells of comma-separated files that a spreadsheet would run as a formula, made texts and read back."""

_ACTIVE = ("=", "+", "-", "@", "\t", "\r", "\n", "'")


def guarded(cell: str) -> str:
    """A cell that no spreadsheet runs: one that begins as formulas do carries an apostrophe, as texts do there.

    >>> guarded("=1+1"), guarded("a"), guarded("'a")
    ("'=1+1", 'a', "''a")
    """
    return f"'{cell}" if cell.startswith(_ACTIVE) else cell


def unguarded(cell: str) -> str:
    """What `guarded` was given; a cell that carries no guard is itself.

    >>> unguarded("'=1+1"), unguarded("a"), unguarded("'tis")
    ('=1+1', 'a', "'tis")
    """
    return cell[1:] if cell.startswith("'") and cell[1:].startswith(_ACTIVE) else cell
