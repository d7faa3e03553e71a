"""Cells of comma-separated files that a spreadsheet would run as a formula, made texts and read back."""

_ACTIVE = ("=", "+", "-", "@", "\t", "\r", "\n", "'")


def guarded(cell: str) -> str:
    """A cell that no spreadsheet runs: one that begins as formulas do carries an apostrophe, as texts do there.

    Blanks before the sign do not hide it (OWASP, CSV Injection).

    >>> guarded("=1+1"), guarded(" =1"), guarded("a"), guarded("'a")
    ("'=1+1", "' =1", 'a', "''a")
    """
    return f"'{cell}" if _is_active(cell) else cell


def unguarded(cell: str) -> str:
    """What `guarded` was given; a cell that carries no guard is itself.

    >>> unguarded("'=1+1"), unguarded("a"), unguarded("'tis")
    ('=1+1', 'a', "'tis")
    """
    return cell[1:] if cell.startswith("'") and _is_active(cell[1:]) else cell


def _is_active(cell: str) -> bool:
    return cell.startswith(_ACTIVE) or cell.lstrip().startswith(_ACTIVE)
