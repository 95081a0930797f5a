"""Write the report files of FORMATS 1.1–1.3 while the run goes on."""

import csv
import json
from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

ROWS = (
    "source",
    "file",
    "line",
    "kind",
    "legacy_key",
    "outcome",
    "target_id",
    "reason_code",
    "message",
)
MERGES = ("left_source", "left_key", "right_source", "right_key", "score", "decision", "evidence")
_FORMULA = ("=", "+", "-", "@", "\t", "\r")


@dataclass(frozen=True, slots=True)
class Line:
    """One record of rows.csv."""

    file: str
    line: int
    kind: str
    key: str
    outcome: str
    shown_id: str = ""
    reason_codes: str = ""
    message: str = ""


@dataclass(slots=True)
class Summary:
    """What a run came to: kind → outcome → rows."""

    source: str
    mode: str
    counts: dict[str, Counter[str]] = field(default_factory=dict)

    def add(self, kind: str, outcome: str) -> None:
        self.counts.setdefault(kind, Counter())[outcome] += 1

    def total(self, outcome: str) -> int:
        return sum(found[outcome] for found in self.counts.values())

    def as_json(self) -> dict[str, Any]:
        counts = {kind: dict(sorted(found.items())) for kind, found in sorted(self.counts.items())}
        return {
            "source": self.source,
            "mode": self.mode,
            "counts": counts,
            "yen": {"imported": {}, "review": {}},
        }


class Report:
    """The three files in a folder; without a folder it only counts."""

    def __init__(self, summary: Summary, folder: Path | None) -> None:
        self.summary = summary
        self.folder = folder
        self._file = None
        if folder:
            folder.mkdir(parents=True, exist_ok=True)
            self._file = (folder / "rows.csv").open("w", encoding="utf-8-sig", newline="", errors="replace")
            self._rows = csv.writer(self._file)
            self._rows.writerow(ROWS)

    def write(self, lines: Iterable[Line]) -> None:
        source = self.summary.source
        for line in lines:
            self.summary.add(line.kind, line.outcome)
            if self._file:
                self._rows.writerow(
                    (
                        source, line.file, line.line, line.kind, line.key, line.outcome, line.shown_id,
                        line.reason_codes, escaped(line.message),
                    )
                )  # fmt: skip

    def close(self) -> None:
        """Write the other two files; a run that broke off leaves only the rows it came to."""
        if self.folder and self._file:
            self._file.close()
            with (self.folder / "merges.csv").open("w", encoding="utf-8-sig", newline="") as merges:
                csv.writer(merges).writerow(MERGES)
            text = json.dumps(self.summary.as_json(), ensure_ascii=False, indent=1)
            (self.folder / "summary.json").write_text(f"{text}\n", encoding="utf-8")

    def abandon(self) -> None:
        if self._file:
            self._file.close()


def escaped(text: str) -> str:
    """Return text that a spreadsheet shows and does not compute."""
    return f"'{text}" if text.startswith(_FORMULA) else text
