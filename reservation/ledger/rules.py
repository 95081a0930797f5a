"""Why money moved; every transfer names one cause."""

from enum import StrEnum


class Cause(StrEnum):
    """What a transfer is for, in the office's words."""

    CHARGE = "charge"  # 調定
    CHARGE_CANCELLED = "charge_cancelled"  # 調定の取消し
    PAYMENT = "payment"  # 収納
    REFUND = "refund"  # 還付
    HANDED_OVER = "handed_over"  # 収納先の引継ぎ
