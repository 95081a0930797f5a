"""The command `reservation`: serve, work, migrate, and what the office does at a terminal."""

import argparse
import asyncio
import contextlib
import os
import subprocess
import sys
from collections.abc import Awaitable, Callable, Iterator, Sequence
from datetime import timedelta
from typing import Any, TypeVar

import msgspec

from reservation import clock, database
from reservation.errors import Refusal
from reservation.listening import PortTaken, Unsafe, refuse_open_double, refuse_taken_port
from reservation.migrating import migrate
from reservation.settings import SettingInvalid, settings
from reservation.web.refusals import text_of

T = TypeVar("T")
WRONG_USE = 2
# An open event stream would keep a worker from ending for ever.
KILL_SECONDS = 3


@contextlib.contextmanager
def database_at() -> Iterator[str]:
    """Give the address of the database: the one that DATABASE_URL names, else the embedded one."""
    if settings().database_url:
        yield str(settings().database_url)
        return
    from reservation import embedded  # noqa: PLC0415  a server of one's own needs none of it

    with embedded.start(settings().data) as server:
        yield server.url


def run(action: Callable[[], Awaitable[T]]) -> T:
    """Run an action with the database open and current."""

    async def opened(url: str) -> T:
        await database.connect(url, most=4)
        try:
            return await action()
        finally:
            await database.disconnect()

    with database_at() as url:
        return asyncio.run(opened(url))


def _migrate(_: argparse.Namespace) -> int:
    done = run(migrate)
    print(f"{len(done)} migrations run" if done else "the database is current")
    return 0


def _serve(arguments: argparse.Namespace) -> int:
    refuse_open_double(arguments.host)
    refuse_taken_port(arguments.host, arguments.port)
    with database_at() as url:
        asyncio.run(_prepare(url))
        return serve(
            url, arguments.host, arguments.port, arguments.workers, with_worker=arguments.with_worker
        )


async def _prepare(url: str) -> None:
    await database.connect(url, most=2)
    try:
        await migrate()
    finally:
        await database.disconnect()


def serve(url: str, host: str, port: int, workers: int, *, with_worker: bool) -> int:
    """Serve until told to stop; the worker, where asked for, is a process of its own."""
    from granian import Granian  # noqa: PLC0415  only this command needs it
    from granian.constants import Interfaces  # noqa: PLC0415

    os.environ.update({"DATABASE_URL": url, "PORT": str(port)})  # noqa: TID251  for the processes started here
    settings.cache_clear()
    beside = subprocess.Popen([sys.executable, "-m", "reservation.cli", "work"]) if with_worker else None
    try:
        Granian(
            "reservation.serving:web_app",
            address=host,
            port=port,
            interface=Interfaces.ASGI,
            factory=True,
            workers=workers,
            workers_kill_timeout=KILL_SECONDS,
            respawn_failed_workers=True,
            log_access=False,
            log_level="warning",  # type: ignore[arg-type]
            backlog=1024,
        ).serve()
    finally:
        if beside is not None:
            beside.terminate()
            beside.wait(timeout=KILL_SECONDS * 2)
    return 0


def _work(_: argparse.Namespace) -> int:
    from reservation.app import quiet_logs  # noqa: PLC0415
    from reservation.serving import double_jobs  # noqa: PLC0415
    from reservation.working import work  # noqa: PLC0415

    quiet_logs()
    with database_at() as url:
        asyncio.run(work(url, more=double_jobs()))
    return 0


def _demo(arguments: argparse.Namespace) -> int:
    from reservation.demo.town import load_demo, print_sign_ins  # noqa: PLC0415

    if not settings().is_local:
        raise Unsafe("the demo town is for a local BASE_URL only")
    refuse_taken_port("127.0.0.1", settings().port)
    if arguments.fresh and not settings().database_url:
        from reservation import embedded  # noqa: PLC0415

        embedded.discard(settings().data)
        (settings().data / "sign-ins.json").unlink(missing_ok=True)
    with database_at() as url:
        asyncio.run(load_demo(url, now=clock.now()))
        print_sign_ins()
        return serve(url, "127.0.0.1", settings().port, 1, with_worker=True)


def _town(arguments: argparse.Namespace) -> int:
    from reservation.demo.synthetic import fill  # noqa: PLC0415

    async def filled() -> dict[str, Any]:
        await migrate()
        return await fill(
            facilities=arguments.facilities,
            rooms=arguments.rooms,
            past=arguments.past,
            future=arguments.future,
            seed=arguments.seed,
            now=clock.now(),
            progress=_progress,
        )

    print(msgspec.json.encode(run(filled)).decode())
    return 0


def _progress(text: str) -> None:
    """Show on a terminal how far a long command has come."""
    if sys.stderr.isatty():
        print(f"\r{text:<78}", end="", file=sys.stderr, flush=True)


def _staff_add(arguments: argparse.Namespace) -> int:
    from reservation.people.staff_accounts import COMMAND_LINE, add_staff  # noqa: PLC0415

    async def added() -> str:
        return await add_staff(
            COMMAND_LINE, arguments.login, arguments.role, arguments.facility or [], None, now=clock.now()
        )

    print(f"{arguments.login} {run(added)}")
    return 0


def _doctor(arguments: argparse.Namespace) -> int:
    from reservation.reports.doctor import examine  # noqa: PLC0415

    findings = run(lambda: examine(now=clock.now(), patience=timedelta(minutes=10)))
    if arguments.json:
        print(msgspec.json.encode(findings).decode())
    else:
        for finding in findings:
            print(f"{finding.check}: {finding.detail}")
    return 1 if findings else 0


def parser() -> argparse.ArgumentParser:
    """Return the grammar of the command line."""
    top = argparse.ArgumentParser(
        prog="reservation",
        description="One reservation system for all facilities of a ward.",
        epilog="Example: reservation serve --workers 2 --with-worker",
    )
    commands = top.add_subparsers(required=True, metavar="COMMAND")
    serving = _command(
        commands, "serve", "web processes", "reservation serve --workers 2 --with-worker", _serve
    )
    serving.add_argument("--host", default="127.0.0.1")
    serving.add_argument("--port", type=_port, default=None)
    serving.add_argument("--workers", type=_count, default=1)
    serving.add_argument("--with-worker", action="store_true", help="run the worker beside them")
    _command(commands, "work", "notices, expiries, events, refunds, purges", "reservation work", _work)
    _command(commands, "migrate", "bring the tables up to date", "reservation migrate", _migrate)
    demo = _command(commands, "demo", "the demo town, served with its worker", "reservation demo", _demo)
    demo.add_argument("--fresh", action="store_true", help="forget the town and start anew")
    town = _command(
        commands,
        "town",
        "fill an empty database with a synthetic town",
        "reservation town --facilities 100 --rooms 5 --past 300000 --future 60000 --seed 1",
        _town,
    )
    for name in ("facilities", "rooms", "past", "future", "seed"):
        town.add_argument(
            f"--{name}", type=_count if name in {"facilities", "rooms"} else _whole, required=True
        )
    staff = commands.add_parser(
        "staff", help="accounts of the office", epilog="Example: reservation staff add suzuki --role counter"
    ).add_subparsers(required=True, metavar="COMMAND")
    add = _command(
        staff, "add", "create an account", "reservation staff add suzuki --role counter", _staff_add
    )
    add.add_argument("login")
    add.add_argument("--role", required=True, choices=["counter", "fees", "manager", "auditor", "admin"])
    add.add_argument(
        "--facility", action="append", metavar="CODE", help="limit to a facility; may be repeated"
    )
    doctor = _command(commands, "doctor", "check the invariants on live data", "reservation doctor", _doctor)
    doctor.add_argument("--json", action="store_true")
    return top


def _command(
    group: Any, name: str, says: str, example: str, action: Callable[[argparse.Namespace], int]
) -> argparse.ArgumentParser:
    made: argparse.ArgumentParser = group.add_parser(
        name, help=says, description=f"{says[0].upper()}{says[1:]}.", epilog=f"Example: {example}"
    )
    made.set_defaults(action=action)
    return made


def _whole(text: str) -> int:
    if not (text.isascii() and text.isdigit()):
        raise argparse.ArgumentTypeError(f"{text!r} is no whole number")
    return int(text)


def _count(text: str) -> int:
    number = _whole(text)
    if not number:
        raise argparse.ArgumentTypeError("must be 1 or more")
    return number


def _port(text: str) -> int:
    number = _count(text)
    if number > 65535:  # noqa: PLR2004  the highest port
        raise argparse.ArgumentTypeError("must be at most 65535")
    return number


def main(words: Sequence[str] | None = None) -> int:
    """Run the command that `words` say (None: the process's own); what goes wrong is one line on stderr."""
    arguments = parser().parse_args(words)
    try:
        if getattr(arguments, "port", 0) is None:
            arguments.port = settings().port
        return int(arguments.action(arguments))
    except (SettingInvalid, Unsafe, PortTaken) as wrong:
        return _complain(str(wrong), WRONG_USE)
    except Refusal as refusal:
        return _complain(text_of(refusal, "en"), WRONG_USE)
    except database.UNREACHABLE as error:
        return _complain(f"the database cannot be reached: {error}", 1)
    except KeyboardInterrupt:
        return 130
    except Exception as error:
        if type(error).__name__ in {"EmbeddedFailed", "MigrationFailed", "TownNotEmpty"}:
            return _complain(str(error), 1)
        raise


def _complain(sentence: str, status: int) -> int:
    print(f"reservation: {' '.join(sentence.split())}", file=sys.stderr)
    return status


if __name__ == "__main__":
    sys.exit(main())
