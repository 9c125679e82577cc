"""Amounts as people read them: three digits, in the scale that suits them."""


def human_bytes(number: int) -> str:
    """A number of bytes to three digits.

    >>> human_bytes(1_234_567)
    '1.23 MB'
    """
    return scaled(number, "B")


def scaled(number: float, unit: str) -> str:
    """A number to three digits, in the scale that suits it.

    >>> scaled(150_900_000, " link-steps/s"), scaled(3, " link-steps/s")
    ('151 M link-steps/s', '3 link-steps/s')
    """
    prefixes = ["", "k", "M", "G", "T", "P"]
    while number >= 999.5 and len(prefixes) > 1:
        number, prefixes = number / 1000, prefixes[1:]
    return " ".join(f"{number:.3g} {prefixes[0]}{unit}".split())
