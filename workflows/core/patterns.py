"""Patterns of types, sources and subjects: a text, or the beginning of one and `*`."""

from collections.abc import Iterable


def matches(pattern: str, text: str) -> bool:
    return text.startswith(pattern[:-1]) if pattern.endswith("*") else text == pattern


def any_matches(patterns: Iterable[str], text: str) -> bool:
    return any(matches(pattern, text) for pattern in patterns)


def fault(pattern: str) -> str | None:
    """What is wrong with a pattern, or None."""
    if not pattern:
        return "must not be empty"
    if "*" in pattern[:-1]:
        return "may have `*` at its end only"
    if any(ord(letter) < 32 or ord(letter) == 127 for letter in pattern):
        return "must not hold control characters"
    return None
