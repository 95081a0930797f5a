"""Keys under which old spellings of one name meet (FORMATS 1.4); display names stay as they were written."""

import re
import unicodedata

_VARIANTS = str.maketrans("髙﨑碕斎齋齊邊邉濵濱櫻廣澤嶋𠮷關", "高崎崎斉斉斉辺辺浜浜桜広沢島吉関")
_TILDES = str.maketrans("〜～∼", "~~~")
_SMALL = str.maketrans("ァィゥェォッャュョヮヵヶ", "アイウエオツヤユヨワカケ")
_HIRAGANA = str.maketrans({code: code + 0x60 for code in range(0x3041, 0x3097)})
_DASHES = re.compile("[‐‑‒–—―−－]")
_DASH_IN_NUMBER = re.compile(r"(?<=\d)[ーｰ](?=\d)")
_SPACES = re.compile(r"\s+")
_HALF_KANA = re.compile("[\uff61-\uff9f]+")
_CORPORATE = re.compile(r"株式会社|有限会社|\((?:株|有)\)")
OUTER_SPACES = " \t\u3000\u00a0"


def folded(text: str) -> str:
    """Return `text` in one width, with one dash and one tilde; kana, spaces and variants as they are."""
    if text.isascii():
        return text
    text = unicodedata.normalize("NFKC", text.translate(_TILDES)).translate(_TILDES)
    return _DASH_IN_NUMBER.sub("-", _DASHES.sub("-", text))


def compact(text: str) -> str:
    """Return `folded` text without any space: the form in which dates, times and amounts are read."""
    return _SPACES.sub("", folded(text))


def name_key(text: str) -> str:
    """Return the key by which two spellings of a name are compared."""
    key = compact(text).translate(_HIRAGANA).translate(_SMALL).translate(_VARIANTS)
    # What stood apart by a space may have grown together.
    return unicodedata.normalize("NFKC", key.upper())


def without_corporate_form(key: str) -> tuple[str, str]:
    """Return a name's key without 株式会社, (株) or 有限会社, and that form (empty: none)."""
    found = _CORPORATE.search(key)
    if not found:
        return key, ""
    return _CORPORATE.sub("", key, count=1), "有限会社" if "有" in found[0] else "株式会社"


def full_width_kana(text: str) -> str:
    """Return `text` with half-width katakana as full-width ones, for display; the rest untouched."""
    return _HALF_KANA.sub(lambda run: unicodedata.normalize("NFKC", run[0]), text)
