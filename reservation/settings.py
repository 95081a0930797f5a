"""Settings from the environment, read once and checked at the start."""

import os
import secrets
from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cache
from ipaddress import IPv4Network, IPv6Network, ip_address, ip_network
from pathlib import Path
from urllib.parse import urlsplit

ROOT = Path(__file__).resolve().parent.parent
LONGEST_PORT = 65535
SHORTEST_SECRET = 16


class SettingInvalid(Exception):
    """A setting has a wrong value; the message is the one line that the start prints."""


@dataclass(frozen=True, slots=True)
class Settings:
    """What the environment says; secrets never appear in its text."""

    data: Path
    base_url: str
    port: int
    database_url: str | None = None
    secret_key: str = field(default="", repr=False)
    data_keys: tuple[str, ...] = field(default=(), repr=False)
    stripe_api_base: str | None = None
    stripe_keys: Mapping[str, str] = field(default_factory=dict, repr=False)
    stripe_webhook_secrets: Mapping[str, str] = field(default_factory=dict, repr=False)
    smtp_url: str | None = field(default=None, repr=False)
    mail_from: str | None = None
    metrics_token: str | None = field(default=None, repr=False)
    rate_limit: int = 0
    trusted_proxies: tuple[IPv4Network | IPv6Network, ...] = ()

    @property
    def is_local(self) -> bool:
        return _is_local(self.base_url)

    @property
    def uses_payment_double(self) -> bool:
        """Tell whether payments go to the local double: no key is set and nobody else can reach us."""
        return not self.stripe_keys and self.is_local

    @property
    def payment_api_base(self) -> str | None:
        """Return where the provider's API is; None is the provider's own address."""
        if self.uses_payment_double:
            return f"http://127.0.0.1:{self.port}/demo/provider"
        return self.stripe_api_base

    def stripe_key(self, payee: str) -> str:
        """Return the secret key of a payee's own provider account."""
        if self.uses_payment_double:
            return f"sk_test_double_{payee}"
        return self.stripe_keys.get(payee, self.stripe_keys.get("", ""))

    def webhook_secret(self, payee: str) -> str:
        if self.uses_payment_double:
            return f"whsec_double_{self.secret_key}_{payee}"
        return self.stripe_webhook_secrets.get(payee, self.stripe_webhook_secrets.get("", ""))


@cache
def settings() -> Settings:
    """Return the settings of this process.

    Raises:
        SettingInvalid: a value is wrong, or a default secret would be used on a public address.
    """
    return read(os.environ)  # noqa: TID251  the one reading of the environment


def read(environment: Mapping[str, str]) -> Settings:
    """Check and return the settings that `environment` holds."""
    port = _number(environment, "PORT", 8000, highest=LONGEST_PORT)
    base_url = _url(environment, "BASE_URL", f"http://127.0.0.1:{port}")
    local = _is_local(base_url)
    data = Path(environment.get("RESERVATION_DATA") or ROOT / ".data").absolute()
    data_keys = tuple(key.strip() for key in environment.get("DATA_KEYS", "").split(",") if key.strip())
    if not local:
        _refuse_missing(environment, ["SECRET_KEY", "DATA_KEYS", "DATABASE_URL"])
        _refuse_weak(environment, ["SECRET_KEY", "DATA_KEYS"])
        _refuse_halves(environment)
    return Settings(
        data=data,
        base_url=base_url.rstrip("/"),
        port=port,
        database_url=_database_url(environment),
        secret_key=environment.get("SECRET_KEY") or _own_secret(data),
        data_keys=data_keys,
        stripe_api_base=_url(environment, "STRIPE_API_BASE", "") or None,
        stripe_keys=_per_payee(environment, "STRIPE_SECRET_KEY"),
        stripe_webhook_secrets=_per_payee(environment, "STRIPE_WEBHOOK_SECRET"),
        smtp_url=_smtp_url(environment),
        mail_from=environment.get("MAIL_FROM") or None,
        metrics_token=environment.get("METRICS_TOKEN") or None,
        rate_limit=_number(environment, "RATE_LIMIT", 0 if local else 600),
        trusted_proxies=_proxies(environment),
    )


def _number(environment: Mapping[str, str], name: str, default: int, highest: int = 1_000_000) -> int:
    text = environment.get(name, "")
    if not text:
        return default
    if not (text.isascii() and text.isdigit()) or int(text) > highest:
        raise SettingInvalid(f"{name} must be a whole number from 0 to {highest}, not {text!r}")
    return int(text)


def _url(environment: Mapping[str, str], name: str, default: str) -> str:
    text = environment.get(name) or default
    parts = urlsplit(text)
    if text and (parts.scheme not in {"http", "https"} or not parts.hostname):
        raise SettingInvalid(f"{name} must begin with http:// or https:// and name a host, not {text!r}")
    return text


def _smtp_url(environment: Mapping[str, str]) -> str | None:
    text = environment.get("SMTP_URL", "")
    if not text:
        return None
    parts = urlsplit(text)
    if parts.scheme not in {"smtp", "smtps"} or not parts.hostname:
        raise SettingInvalid("SMTP_URL must begin with smtp:// or smtps:// and name a host")
    if not environment.get("MAIL_FROM"):
        raise SettingInvalid("MAIL_FROM must be set where SMTP_URL is")
    return text


def _database_url(environment: Mapping[str, str]) -> str | None:
    text = environment.get("DATABASE_URL", "")
    if text and urlsplit(text).scheme not in {"postgres", "postgresql"}:
        raise SettingInvalid("DATABASE_URL must begin with postgresql://")
    return text or None


def _per_payee(environment: Mapping[str, str], name: str) -> dict[str, str]:
    """Return payee code → value; the empty code is the setting without a suffix."""
    found = {}
    for key, value in environment.items():
        if value and (key == name or key.startswith(f"{name}_")):
            found[key[len(name) :].lstrip("_").lower().replace("_", "-")] = value
    return found


def _refuse_missing(environment: Mapping[str, str], names: list[str]) -> None:
    missing = [name for name in names if not environment.get(name)]
    if missing:
        raise SettingInvalid(f"{', '.join(missing)} must be set where BASE_URL is not local")


def _refuse_weak(environment: Mapping[str, str], names: list[str]) -> None:
    for name in names:
        if any(len(each.strip()) < SHORTEST_SECRET for each in environment[name].split(",")):
            raise SettingInvalid(f"{name} must be {SHORTEST_SECRET} random characters or more")


def _refuse_halves(environment: Mapping[str, str]) -> None:
    """Raise where a payee could be paid but its events could not be trusted, or nobody could be paid."""
    keys = _per_payee(environment, "STRIPE_SECRET_KEY")
    lacking = sorted(keys.keys() - _per_payee(environment, "STRIPE_WEBHOOK_SECRET").keys())
    if not keys:
        raise SettingInvalid("STRIPE_SECRET_KEY must be set, per payee, where BASE_URL is not local")
    if lacking:
        names = ", ".join("STRIPE_WEBHOOK_SECRET" + (f"_{code.upper()}" if code else "") for code in lacking)
        raise SettingInvalid(f"{names} must be set beside the secret key")


def _proxies(environment: Mapping[str, str]) -> tuple[IPv4Network | IPv6Network, ...]:
    """Return the networks of the proxies in front of us, whose word on the caller's address counts."""
    found = []
    for text in environment.get("TRUSTED_PROXIES", "").split(","):
        if text.strip():
            try:
                found.append(ip_network(text.strip()))
            except ValueError:
                raise SettingInvalid(f"TRUSTED_PROXIES must list networks, not {text.strip()!r}") from None
    return tuple(found)


def _is_local(base_url: str) -> bool:
    host = urlsplit(base_url).hostname or ""
    if host == "localhost":
        return True
    try:
        return ip_address(host).is_loopback
    except ValueError:
        return False


def _own_secret(data: Path) -> str:
    try:
        return _kept_secret(data)
    except OSError as error:
        raise SettingInvalid(f"RESERVATION_DATA {data} cannot be used: {error.strerror}") from None


def _kept_secret(data: Path) -> str:
    """Return the local installation's own secret, made at the first start and kept in the data folder."""
    path = data / "secret"
    try:
        return path.read_text()
    except FileNotFoundError:
        data.mkdir(parents=True, exist_ok=True, mode=0o700)
        try:
            made = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
            with os.fdopen(made, "w") as file:
                file.write(secrets.token_urlsafe(32))
        except FileExistsError:
            pass
        return path.read_text()
