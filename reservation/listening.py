"""Where a server may listen: on a port of its own, and not for everybody while it is a local installation."""

import socket

from reservation.settings import settings


class PortTaken(Exception):
    """Somebody else listens there; two servers on one port would share its requests by chance."""


def refuse_taken_port(host: str, port: int) -> None:
    """Raise where the port is taken; granian itself would share it with another of its kind."""
    with socket.socket(socket.AF_INET6 if ":" in host else socket.AF_INET) as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((host, port))
        except OSError as error:
            raise PortTaken(f"{host}:{port} cannot be used: {error.strerror}; set another PORT") from None


class Unsafe(Exception):
    """The command would open to everybody what is meant for one machine."""


def refuse_open_double(host: str) -> None:
    """Raise where a local installation, with its payment double and its own secrets, would be reachable."""
    if settings().is_local and host not in {"127.0.0.1", "::1", "localhost"}:
        raise Unsafe(
            f"--host {host} can be reached by others: set BASE_URL, and the secrets that it asks for"
        )
