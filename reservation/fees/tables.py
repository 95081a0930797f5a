"""Dated tariffs (料金表) of a facility and their fees."""

from piccolo.columns import BigSerial, Date, ForeignKey, Integer, Text
from piccolo.columns.base import OnDelete
from piccolo.constraints import Check, Unique
from piccolo.table import Table

from reservation.facilities.tables import Equipment, Facility, Room

RESTRICT = OnDelete.restrict


class Tariff(Table):
    """The fees of a facility for days of use from `valid_from` until before `valid_to`."""

    id = BigSerial(primary_key=True)
    facility = ForeignKey(Facility, null=False, default=None, on_delete=RESTRICT)
    name = Text(null=False, default=None)
    valid_from = Date(null=False, default=None)
    valid_to = Date(null=True, default=None)
    tax_percent = Integer(null=False, default=None)

    tariff_tax_is_a_percentage = Check("tax_percent BETWEEN 0 AND 100")


class TariffFee(Table):
    """One cell of the table: a room in a frame, by class, kind of day and highest admission fee.

    `per_minutes` null: the price of the frame; else the price of each begun `per_minutes`.
    `admission_over_yen`: the row holds for admission fees above it (-1: also for none).
    """

    id = BigSerial(primary_key=True)
    tariff = ForeignKey(Tariff, null=False, default=None, on_delete=RESTRICT)
    room = ForeignKey(Room, null=False, default=None, on_delete=RESTRICT)
    frame_code = Text(null=False, default=None)
    fee_class = Text(null=False, default=None)
    day_kind = Text(null=False, default=None)
    admission_over_yen = Integer(null=False, default=-1)
    per_minutes = Integer(null=True, default=None)
    yen = Integer(null=False, default=None)

    tariff_fee_is_not_negative = Check("yen >= 0")
    tariff_fee_class_is_known = Check("fee_class IN ('resident', 'nonresident')")
    tariff_fee_day_kind_is_known = Check("day_kind IN ('weekday', 'holiday')")
    tariff_fee_stands_once = Unique([tariff, room, frame_code, fee_class, day_kind, admission_over_yen])


class EquipmentFee(Table):
    """What one unit of equipment costs per use."""

    id = BigSerial(primary_key=True)
    tariff = ForeignKey(Tariff, null=False, default=None, on_delete=RESTRICT)
    equipment = ForeignKey(Equipment, null=False, default=None, on_delete=RESTRICT)
    yen = Integer(null=False, default=None)

    equipment_fee_is_not_negative = Check("yen >= 0")
    equipment_fee_stands_once = Unique([tariff, equipment])
