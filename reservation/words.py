"""Fold what people type so that width, case and kana do not matter when looking for it."""

import unicodedata

_DASHES = dict.fromkeys(map(ord, "‐‑‒–—―−－ｰ"), "-")
_KATAKANA = {code: code + 0x60 for code in range(ord("ぁ"), ord("ゖ") + 1)}


def fold(text: str) -> str:
    """Return a search key: NFKC, lower case, hiragana as katakana, one dash, no spaces at the ends."""
    folded = unicodedata.normalize("NFKC", text.translate(_DASHES)).casefold()
    return folded.translate(_KATAKANA).strip()


def words(text: str) -> tuple[str, ...]:
    """Return the folded words of a query, all of which must be found."""
    return tuple(fold(text).replace("　", " ").split())
