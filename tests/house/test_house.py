"""The house keeps its own rules: words, sizes, and what may not stand in the repository."""

import re
import subprocess
from pathlib import Path

import pytest

from reservation.settings import ROOT
from tests.house import words


def test_every_word_stands_in_every_language() -> None:
    assert words.problems() == []


def _tracked() -> list[Path]:
    listed = subprocess.run(
        ["git", "ls-files"],  # noqa: S607  git is wherever the path finds it
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=False,
    )
    if listed.returncode:
        pytest.skip("not a git checkout")
    return [ROOT / line for line in listed.stdout.splitlines() if (ROOT / line).is_file()]


def test_the_stylesheet_stays_small() -> None:
    assert len((ROOT / "static" / "app.css").read_text(encoding="utf-8").splitlines()) <= 600


@pytest.mark.parametrize("folder", ["reservation", "importers"])
def test_modules_stay_short(folder: str) -> None:
    long = {
        str(path.relative_to(ROOT)): lines
        for path in (ROOT / folder).rglob("*.py")
        if (lines := len(path.read_text(encoding="utf-8").splitlines())) > 350
    }
    assert long == {}


def test_nothing_is_left_for_later() -> None:
    words_of_later = re.compile(r"\b(TO" + r"DO|FIX" + r"ME|X" + r"XX|Not" + r"ImplementedError)\b")
    left = [
        str(path.relative_to(ROOT))
        for path in _tracked()
        if path.suffix in {".py", ".html", ".js", ".css", ".toml"}
        and "vendor" not in path.parts
        and words_of_later.search(path.read_text(encoding="utf-8"))
    ]
    assert left == []


def test_claims_are_inserted_in_one_place_only() -> None:
    """The guard is only as good as the one statement that never waits."""
    writers = [
        path.name
        for path in (ROOT / "reservation").rglob("*.py")
        if re.search(r"INSERT INTO claim", path.read_text(encoding="utf-8"))
    ]
    assert writers == ["claims.py"]
    assert "ON CONFLICT DO NOTHING" in (ROOT / "reservation" / "bookings" / "claims.py").read_text()
