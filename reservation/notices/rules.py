"""What the templates of notices need to know, their languages, and when a failed notice is tried again."""

from collections.abc import Collection
from datetime import timedelta

LANGUAGES = ("ja", "en")

SLOT = ("facility", "room", "date_text", "time_text")
USE = (*SLOT, "ref", "url")
# Every fact that a template names. `…_yen` are whole yen, `…_text` words in the notice's language, `ref` the
# booking's reference, `url` the page on which one goes on, `fee_word` 使用料 or 利用料金.
FACTS: dict[str, tuple[str, ...]] = {
    "booking-held": (*USE, "total_yen", "fee_word", "held_until_text"),
    "booking-received": (*USE, "fee_word", "total_yen", "undecided"),
    "booking-to-pay": (*USE, "fee_word", "total_yen", "held_until_text", "at_counter"),
    "booking-confirmed": (*USE, "total_yen", "fee_word"),
    "booking-cancelled": (*USE, "fee_word", "refund_yen", "kept_yen"),
    "booking-lapsed": USE,
    "payment-received-late": (*USE, "fee_word", "refund_yen"),
    "refund-made": (*USE, "fee_word", "refund_yen"),
    "voucher-issued": (*USE, "total_yen", "fee_word", "held_until_text"),
    "booking-approved": (
        *USE, "number", "approval_word", "reason", "fee_word", "total_yen", "undecided", "held_until_text",
    ),
    "booking-disapproved": (*USE, "number", "approval_word", "reason", "article", "fee_word"),
    "booking-revoked": (*USE, "number", "approval_word", "reason", "article", "fee_word"),
    "booking-withdrawn": USE,
    "booking-undecided": (*USE, "fee_word"),
    "booking-changed": (
        *USE, "before_text", "fee_word", "total_yen", "difference_yen", "owed_yen", "awaits_approval",
        "held_until_text",
    ),
    "reduction-decided": (*USE, "number", "percent", "reason", "fee_word", "total_yen", "held_until_text"),
    "booking-moved": (*USE, "before_text", "reason", "fee_word", "refund_yen"),
    "emergency": (*USE, "number", "reason", "fee_word"),
    "reopening": (*USE, "reason"),
    "handover": (*USE, "from_text", "running_body", "fee_word"),
    "further-charge": (*USE, "line_text", "added_yen", "owed_yen"),
    "penalty-points": ("name", "ref", "kind_text", "points_text", "total_text", "article", "url"),
    "penalty-noticed": (
        "name", "for_text", "article", "scope_text", "from_text",
        "to_text", "cancels_bookings", "answer_by_text", "url",
    ),
    "penalty-decided": (
        "name", "for_text", "decision_reason", "article", "scope_text",
        "from_text", "to_text", "cancels_bookings", "url",
    ),
    "penalty-dropped": ("name", "decision_reason", "url"),
    "penalty-lifted": ("name", "scope_text", "url"),
    "waiver-declared": (*USE, "fee_word", "notice"),
    "refund-claimed": (*USE, "fee_word", "refund_yen"),
    "waiting-offer": ("name", *SLOT, "url", "until_text"),
    "waiting-offer-lapsed": ("name", *SLOT, "url", "until_text"),
    "waiting-ended": ("name", *SLOT, "url", "reason"),
    "vacancy-alert": ("name", "search_name", "lines", "more", "url"),
    "pool-entered": ("name", *SLOT, "entry_number", "url"),
    "pool-won": (*USE, "name", "entry_number", "pool_url"),
    "pool-lost": ("name", *SLOT, "entry_number", "url", "reason", "won_by"),
    "registered": ("name", "user_number", "url"),
    "password-reset": ("user_number", "url"),
    "mail-already-registered": ("user_number", "url"),
}  # fmt: skip

LEASE = timedelta(minutes=5)
BACKOFF = (
    timedelta(minutes=1),
    timedelta(minutes=5),
    timedelta(minutes=30),
    timedelta(hours=2),
    timedelta(hours=6),
    timedelta(hours=12),
    timedelta(hours=24),
)


def language_for(wanted: str, spoken: Collection[str] = LANGUAGES) -> str:
    """Return the language that serves a reader of `wanted`: the same, else Japanese or English."""
    if wanted in spoken:
        return wanted
    return "ja" if not wanted or wanted.startswith("ja") else "en"


def pause_after(tries: int) -> timedelta | None:
    """Return how long to wait after the `tries`-th failure; None: no further try."""
    return BACKOFF[tries - 1] if tries <= len(BACKOFF) else None


def one_line(text: str) -> str:
    """Return `text` without line breaks and control characters: it can begin no header and no line."""
    return "".join(char if char.isprintable() else " " for char in text)
