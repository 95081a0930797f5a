"""Check the words: every template compiles, every key exists in every language with the same facts.

`python -m tests.house.words` prints what is wrong and exits with 1; the tests run the same checks.
"""

import re
import string
import sys
from pathlib import Path

from jinja2 import TemplateSyntaxError, nodes

from reservation.settings import ROOT
from reservation.web.page import environment
from reservation.web.wording import LANGUAGES, catalogue

TEMPLATES = ROOT / "templates"
JAPANESE = re.compile(r"[぀-ヿ一-鿿]")
# Names of languages and the payment double's own page stand as they are.
OWN_WORDS = ("demo/", "notices/")


def problems() -> list[str]:
    """Return one line for each thing that is wrong."""
    return [*_languages(), *_templates(), *_refusals()]


def _languages() -> list[str]:
    found = []
    first = catalogue(LANGUAGES[0])
    for language in LANGUAGES[1:]:
        other = catalogue(language)
        found += [f"{language} lacks {key}" for key in sorted(first.keys() - other.keys())]
        found += [f"{LANGUAGES[0]} lacks {key}" for key in sorted(other.keys() - first.keys())]
        found += [
            f"{key} has other facts in {language}: {_facts(other[key])} for {_facts(first[key])}"
            for key in sorted(first.keys() & other.keys())
            if _facts(first[key]) != _facts(other[key])
        ]
    return found


def _facts(text: str) -> set[str]:
    return {name for _, name, _, _ in string.Formatter().parse(text) if name}


def _templates() -> list[str]:
    found = []
    known = catalogue(LANGUAGES[0])
    for path in sorted(TEMPLATES.rglob("*.html")):
        name = path.relative_to(TEMPLATES).as_posix()
        text = path.read_text(encoding="utf-8")
        try:
            tree = environment().parse(text, name)
        except TemplateSyntaxError as error:
            found.append(f"{name}:{error.lineno}: {error.message}")
            continue
        found += [f"{name}: no wording for {key}" for key in _keys(tree) if key not in known]
        if not name.startswith(OWN_WORDS):
            found += _fixed_words(name, tree)
    return found


def _keys(tree: nodes.Template) -> list[str]:
    return [
        call.args[0].value
        for call in tree.find_all(nodes.Call)
        if isinstance(call.node, nodes.Name)
        and call.node.name == "t"
        and call.args
        and isinstance(call.args[0], nodes.Const)
    ]


def _fixed_words(name: str, tree: nodes.Template) -> list[str]:
    """Return Japanese that stands in a template instead of the wording; punctuation may."""
    return [
        f"{name}:{output.lineno}: fixed words {piece.data.strip()[:40]!r}"
        for output in tree.find_all(nodes.Output)
        for piece in output.nodes
        if isinstance(piece, nodes.TemplateData) and JAPANESE.search(piece.data.replace("・", ""))
    ]


def _refusals() -> list[str]:
    """Return the refusals of the code that no language words."""
    code = re.compile(r'^    code(?:: ClassVar\[str\])? = "([a-z_]+)"', re.MULTILINE)
    known = catalogue(LANGUAGES[0])
    return [
        f"{path.relative_to(ROOT)}: no wording for refusal.{word}"
        for path in sorted(Path(ROOT / "reservation").rglob("*.py"))
        if "demo" not in path.parts
        for word in code.findall(path.read_text(encoding="utf-8"))
        if f"refusal.{word}" not in known
    ]


def main() -> int:
    """Print the problems; exit with 1 where there are any."""
    found = problems()
    for line in found:
        print(line)  # noqa: T201  a check prints
    return 1 if found else 0


if __name__ == "__main__":
    sys.exit(main())
