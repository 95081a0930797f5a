"""Things that have a name in Japanese and perhaps one in English."""

import msgspec


class Named(msgspec.Struct):
    """A master as the API shows it: its code, and its name in the language of the answer."""

    code: str
    name: str


def called(name: str, name_en: str, language: str) -> str:
    """Return the name in a language; Japanese where there is no other."""
    return name_en if language == "en" and name_en else name
