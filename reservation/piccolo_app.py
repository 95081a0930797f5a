"""What Piccolo needs to know: the engine, the one app, its tables and migrations."""

from piccolo.conf.apps import AppConfig, AppRegistry, table_finder

from reservation.database import ENGINE as DB
from reservation.settings import ROOT

FEATURES = (
    "journal",
    "notices",
    "ledger",
    "facilities",
    "people",
    "policies",
    "penalties",
    "fees",
    "bookings",
    "waiting",
    "checkout",
    "closures",
    "demo",
)

APP_CONFIG = AppConfig(
    app_name="reservation",
    migrations_folder_path=str(ROOT / "migrations"),
    table_classes=table_finder([f"reservation.{feature}.tables" for feature in FEATURES]),
)
APP_REGISTRY = AppRegistry(apps=["reservation.piccolo_app"])

__all__ = ["APP_CONFIG", "APP_REGISTRY", "DB"]
