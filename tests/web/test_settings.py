"""Settings: wrong values stop the start with one line, and nothing is open to everybody by accident."""

from pathlib import Path

import pytest

from reservation.cli import main
from reservation.settings import SettingInvalid, read

PUBLIC = {
    "BASE_URL": "https://reservation.example.jp",
    "SECRET_KEY": "a secret of the test town",
    "DATA_KEYS": "a data key of the test town",
    "DATABASE_URL": "postgresql://db.example.jp/reservation",
    "STRIPE_SECRET_KEY_WARD": "sk_live_1",
    "STRIPE_WEBHOOK_SECRET_WARD": "whsec_1",
}


def test_a_public_installation_with_everything_starts_without_the_double() -> None:
    made = read(PUBLIC)
    assert not made.is_local
    assert not made.uses_payment_double
    assert made.rate_limit == 600
    assert made.stripe_key("ward") == "sk_live_1"


@pytest.mark.parametrize("missing", ["SECRET_KEY", "DATA_KEYS", "DATABASE_URL", "STRIPE_SECRET_KEY_WARD"])
def test_a_public_installation_refuses_to_start_without(missing: str) -> None:
    environment = {key: value for key, value in PUBLIC.items() if key != missing}
    with pytest.raises(SettingInvalid, match=missing.removesuffix("_WARD")):
        read(environment)


@pytest.mark.parametrize("name", ["SECRET_KEY", "DATA_KEYS"])
def test_a_guessable_secret_is_refused(name: str) -> None:
    with pytest.raises(SettingInvalid, match=name):
        read({**PUBLIC, name: "secret"})


def test_a_data_folder_that_cannot_be_used_is_named() -> None:
    with pytest.raises(SettingInvalid, match="RESERVATION_DATA"):
        read({"RESERVATION_DATA": "/dev/null"})


def test_a_secret_key_without_its_webhook_secret_is_refused() -> None:
    with pytest.raises(SettingInvalid, match="STRIPE_WEBHOOK_SECRET_SPORTS"):
        read({**PUBLIC, "STRIPE_SECRET_KEY_SPORTS": "sk_live_2"})


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("PORT", "eighty"),
        ("PORT", "70000"),
        ("BASE_URL", "example.jp"),
        ("SMTP_URL", "smtp://mail.example.jp"),
        ("SMTP_URL", "mail.example.jp"),
        ("DATABASE_URL", "sqlite:///x"),
        ("RATE_LIMIT", "-1"),
        ("TRUSTED_PROXIES", "proxy"),
    ],
)
def test_a_wrong_value_is_named(name: str, value: str, tmp_path: Path) -> None:
    with pytest.raises(SettingInvalid, match=f"{name}|MAIL_FROM"):
        read({"RESERVATION_DATA": str(tmp_path), name: value})


def test_secrets_do_not_stand_in_the_text_of_the_settings() -> None:
    assert "a secret of" not in repr(read(PUBLIC))
    assert "sk_live" not in repr(read(PUBLIC))


def test_a_local_installation_is_not_served_to_everybody(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["serve", "--host", "0.0.0.0"]) == 2  # noqa: S104  it is refused
    said = capsys.readouterr().err
    assert said.count("\n") == 1
    assert "BASE_URL" in said
