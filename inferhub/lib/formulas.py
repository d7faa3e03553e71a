"""Texts that a spreadsheet must not run."""

_ACTIVE = ("=", "+", "-", "@", "\t", "\r", "\n")


def guarded(text: str) -> str:
    """`text` with an apostrophe in front where a spreadsheet would take it for a formula (OWASP, CSV Injection).

    >>> guarded("=HYPERLINK(1)"), guarded("2 - 1"), guarded(" @SUM(1)")
    ("'=HYPERLINK(1)", '2 - 1', "' @SUM(1)")
    """
    return f"'{text}" if text.startswith(_ACTIVE) or text.lstrip().startswith(_ACTIVE) else text
