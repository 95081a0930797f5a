"""Persons, groups, staff, and how they are recognised."""

from piccolo.columns import BigInt, BigSerial, Boolean, Date, ForeignKey, Integer, Text, Timestamptz
from piccolo.columns.base import OnDelete
from piccolo.constraints import Check, Unique
from piccolo.table import Table

from reservation.facilities.tables import Facility, RoomGroup
from reservation.ledger.tables import Account

RESTRICT = OnDelete.restrict


class Person(Table):
    """One human's registration (利用登録). Mail is optional; residence is as claimed until verified."""

    id = BigSerial(primary_key=True)
    ref = Text(null=False, default=None, unique=True)
    user_number = Text(null=False, default=None, unique=True)
    name = Text(null=False, default=None)
    name_kana = Text(null=False, default="")
    mail = Text(null=True, default=None, unique=True)
    phone = Text(null=False, default="")
    residence = Text(null=False, default=None)
    verified = Boolean(null=False, default=False)
    language = Text(null=False, default="ja")
    password_hash = Text(null=False, default=None, secret=True)
    account = ForeignKey(Account, null=False, default=None, on_delete=RESTRICT)
    created_at = Timestamptz(null=False, default=None)

    person_residence_is_known = Check("residence IN ('resident', 'works', 'studies', 'nonresident')")


class Group(Table, tablename="groups"):
    """A group (団体) that books as one."""

    id = BigSerial(primary_key=True)
    code = Text(null=False, default=None, unique=True)
    name = Text(null=False, default=None)
    name_kana = Text(null=False, default="")
    residence = Text(null=False, default=None)
    verified = Boolean(null=False, default=False)
    account = ForeignKey(Account, null=False, default=None, on_delete=RESTRICT)
    created_at = Timestamptz(null=False, default=None)

    group_residence_is_known = Check("residence IN ('resident', 'nonresident')")


class Membership(Table):
    """A person who may act for a group, and as what."""

    id = BigSerial(primary_key=True)
    group = ForeignKey(Group, null=False, default=None, on_delete=RESTRICT)
    person = ForeignKey(Person, null=False, default=None, on_delete=RESTRICT)
    role = Text(null=False, default=None)

    membership_role_is_known = Check(
        "role IN ('representative', 'deputy', 'manages', 'books', 'pays', 'reads')"
    )
    membership_stands_once = Unique([group, person])


class Staff(Table):
    """An account of the office."""

    id = BigSerial(primary_key=True)
    login = Text(null=False, default=None, unique=True)
    name = Text(null=False, default=None)
    role = Text(null=False, default=None)
    password_hash = Text(null=False, default=None, secret=True)
    created_at = Timestamptz(null=False, default=None)
    closed_at = Timestamptz(null=True, default=None)

    staff_role_is_known = Check("role IN ('counter', 'fees', 'manager', 'auditor', 'admin')")


class StaffFacility(Table):
    """A facility to which an account of staff is limited, on the days it holds; no row at all: all."""

    id = BigSerial(primary_key=True)
    staff = ForeignKey(Staff, null=False, default=None, on_delete=RESTRICT)
    facility = ForeignKey(Facility, null=False, default=None, on_delete=RESTRICT)
    valid_from = Date(null=True, default=None)
    valid_to = Date(null=True, default=None)

    staff_facility_stands_once = Unique([staff, facility])


class PriorityGroup(Table):
    """A group that goes first in a room group (優先団体), as long as that is recognised."""

    id = BigSerial(primary_key=True)
    group = ForeignKey(Group, null=False, default=None, on_delete=RESTRICT)
    room_group = ForeignKey(RoomGroup, null=False, default=None, on_delete=RESTRICT)
    valid_from = Date(null=False, default=None)
    valid_to = Date(null=True, default=None)
    reason = Text(null=False, default="")


class Session(Table):
    """A signed-in browser; the cookie holds the secret, the row only its hash."""

    id = BigSerial(primary_key=True)
    secret_hash = Text(null=False, default=None, unique=True)
    person = ForeignKey(Person, null=True, default=None, on_delete=RESTRICT)
    staff = ForeignKey(Staff, null=True, default=None, on_delete=RESTRICT)
    created_at = Timestamptz(null=False, default=None)
    seen_at = Timestamptz(null=False, default=None)
    expires_at = Timestamptz(null=False, default=None)

    session_has_one_holder = Check("(person IS NULL) <> (staff IS NULL)")


class ApiToken(Table):
    """A token for the API; shown once, kept as a hash. `scopes` is `read` or `read book`."""

    id = BigSerial(primary_key=True)
    ref = Text(null=False, default=None, unique=True)
    secret_hash = Text(null=False, default=None, unique=True)
    person = ForeignKey(Person, null=True, default=None, on_delete=RESTRICT)
    staff = ForeignKey(Staff, null=True, default=None, on_delete=RESTRICT)
    name = Text(null=False, default=None)
    scopes = Text(null=False, default=None)
    created_at = Timestamptz(null=False, default=None)
    revoked_at = Timestamptz(null=True, default=None)

    api_token_has_one_holder = Check("(person IS NULL) <> (staff IS NULL)")


class SignInFailure(Table):
    """Failed sign-ins by source and by source-and-login pair: the wait grows, nobody is locked out."""

    id = BigSerial(primary_key=True)
    bucket = Text(null=False, default=None, unique=True)
    failures = Integer(null=False, default=None)
    last_at = Timestamptz(null=False, default=None)
    wait_until = Timestamptz(null=False, default=None)


class RequestCount(Table):
    """Requests of one token or address in one minute."""

    id = BigSerial(primary_key=True)
    bucket = Text(null=False, default=None)
    minute = BigInt(null=False, default=None)
    requests = Integer(null=False, default=None)

    request_count_stands_once = Unique([bucket, minute])
