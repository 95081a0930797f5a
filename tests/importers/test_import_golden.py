"""The larger sample with its expected outcomes, where it is at hand."""

import csv
from collections import defaultdict
from datetime import UTC, date, datetime
from pathlib import Path

import pytest

import importers
from importers.running import run

pytestmark = pytest.mark.anyio

SAMPLE = Path(importers.__file__).parent.parent.parent / "shared" / "legacy" / "sample"
NOW = datetime(2026, 11, 21, 3, tzinfo=UTC)
MASTERS = {"facility", "room", "area", "frame", "fee", "purpose", "closed_day", "note"}
OUTCOMES = {
    "import": "created",
    "import-with-warning": "created",
    "review": "review",
    "reject": "rejected",
    "skip": "skipped",
}


def rows_of(path: Path) -> list[dict[str, str]]:
    with path.open(encoding="utf-8-sig", newline="") as file:
        return list(csv.DictReader(file))


@pytest.mark.skipif(not SAMPLE.is_dir(), reason="the larger sample export is not beside this checkout")
@pytest.mark.parametrize("source", ["public-facilities", "community-halls", "industry-plaza"])
async def test_every_row_has_one_record_and_masters_the_expected_outcome(
    database: None, source: str, tmp_path: Path
) -> None:
    await run(source, SAMPLE / source, commit=True, as_of=date(2026, 11, 20), now=NOW, report=tmp_path)
    expected = [row for row in rows_of(SAMPLE / "expected" / "rows.csv") if row["source"] == source]
    found = defaultdict(list)
    for row in rows_of(tmp_path / "rows.csv"):
        found[row["file"], row["line"]].append(row)
    assert set(found) <= {(row["file"], row["line"]) for row in expected}
    for row in expected:
        records = found[row["file"], row["line"]]
        if row["required"] == "0" and not records:
            continue
        assert len(records) == 1, row
        record = records[0]
        assert (record["kind"], record["legacy_key"]) == (row["kind"], row["legacy_key"])
        if row["kind"] in MASTERS:
            assert (record["outcome"], record["reason_code"]) == (
                OUTCOMES[row["expected"]],
                row["reason_code"],
            )
        elif record["reason_code"] != "E_COLUMN_COUNT":
            assert (record["outcome"], record["reason_code"]) == ("skipped", "")
