"""The command line: help with an example, one line of error, the right exit."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from importers.__main__ import main
from importers.mapping import mapping, town
from importers.report import escaped

SAMPLES = Path(__file__).parents[2] / "importers" / "samples"


def test_help_shows_an_example(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as ended:
        main(["--help"])
    assert ended.value.code == 0
    assert "reservation-import public-facilities ./export --commit" in capsys.readouterr().out


@pytest.mark.parametrize(
    "arguments",
    [
        [],
        ["elsewhere", ".", "--report", "r"],
        ["public-facilities", "."],
        ["public-facilities", "/nowhere/at/all", "--report", "r"],
        ["public-facilities", __file__, "--report", "r"],
        ["public-facilities", ".", "--report", __file__],
        ["public-facilities", ".", "--report", "r", "--as-of", "2026-02-30"],
    ],
)
def test_wrong_use_ends_with_two(arguments: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as ended:
        main(arguments)
    assert ended.value.code == 2
    assert "Traceback" not in capsys.readouterr().err


def started(url: str, *arguments: str) -> subprocess.CompletedProcess[str]:
    environment = os.environ | {"DATABASE_URL": url}  # noqa: TID251  the command reads its own settings
    command = [sys.executable, "-m", "importers", *arguments]
    return subprocess.run(command, env=environment, capture_output=True, text=True, check=False)  # noqa: S603


def test_the_command_makes_the_report_folder_and_says_what_it_came_to(
    database_url: str, tmp_path: Path
) -> None:
    report = tmp_path / "a" / "b"
    sample = str(SAMPLES / "industry-plaza")
    done = started(database_url, "industry-plaza", sample, "--commit", "--report", str(report))
    assert done.returncode == 0, done.stderr
    assert done.stdout.startswith("industry-plaza (commit): 264 created, 0 updated")
    assert sorted(path.name for path in report.iterdir()) == ["merges.csv", "rows.csv", "summary.json"]


def test_a_database_that_is_down_is_one_line_and_ends_with_one(tmp_path: Path) -> None:
    sample = str(SAMPLES / "industry-plaza")
    url = "postgresql://nobody@127.0.0.1:1/none"
    done = started(url, "industry-plaza", sample, "--report", str(tmp_path / "r"))
    assert done.returncode == 1
    assert len(done.stderr.splitlines()) == 1


@pytest.mark.parametrize("text", ["=1+1", "+81", "-5", "@x", "\tx"])
def test_no_message_is_a_formula(text: str) -> None:
    assert escaped(text) == f"'{text}"
    assert escaped(f"名: {text}") == f"名: {text}"


@pytest.mark.parametrize("source", ["public-facilities", "community-halls", "industry-plaza"])
def test_mapping_tables_name_only_what_exists(source: str) -> None:
    tables, shared = mapping(source), town()
    purposes = {purpose.code for purpose in shared.purposes}
    features = {feature.code for feature in shared.features}
    payees = {payee.code for payee in shared.payees}
    assert {code for rule in tables.tables["purposes"] for code in rule["purposes"]} <= purposes
    assert {code for rule in tables.tables["features"] for code in rule["features"]} <= features
    assert {rule["payee"] for rule in tables.tables["running"]} <= payees
    assert set(shared.area_of_town.values()) <= {area.code for area in shared.areas}
    for layout in tables.formats:
        assert set(layout.key) <= set(layout.columns)


def test_the_samples_stay_small() -> None:
    assert sum(path.stat().st_size for path in SAMPLES.rglob("*") if path.is_file()) < 900_000
