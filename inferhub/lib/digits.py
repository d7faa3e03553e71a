"""Whole numbers that strangers write."""

LARGEST = 10**18


def read_digits(text: str) -> int | None:
    """The number that plain digits write, at most LARGEST, which stands for all above; None for any other text.

    Thousands of digits would not be read by `int`, and zeros before a number hide it from who looks at some of them.

    >>> [read_digits(text) for text in ("007", "1_0", " 1", "-1", "٣", "")]
    [7, None, None, None, None, None]
    >>> read_digits("9" * 5000) == LARGEST
    True
    """
    if not (text.isascii() and text.isdecimal()):
        return None
    significant = text.lstrip("0") or "0"
    return min(int(significant[:19]), LARGEST)
