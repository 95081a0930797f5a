"""A refusal is a value: a class per reason, its facts, a stable code; its wording stands in web/wording."""

from typing import Any, ClassVar


class Refusal(Exception):
    """A request that the rules do not allow.

    Subclasses name one reason each. `code` is stable and part of the API; `status` is the HTTP status;
    keyword arguments are the facts that the wording and the API show (plain values only).
    """

    code: ClassVar[str] = "refused"
    status: ClassVar[int] = 422

    def __init__(self, **facts: Any) -> None:
        super().__init__(self.code)
        self.facts = facts

    def __str__(self) -> str:
        shown = ", ".join(f"{name}={value!r}" for name, value in self.facts.items())
        return f"{self.code}({shown})"


class NotFound(Refusal):
    """Nothing stands under this name for this caller; somebody else's things count as absent."""

    code = "not_found"
    status = 404


class SignInNeeded(Refusal):
    """The act needs somebody who is signed in."""

    code = "sign_in_needed"
    status = 401


class NotAllowed(Refusal):
    """The caller is known but has no privilege for this act."""

    code = "not_allowed"
    status = 403


class FieldInvalid(Refusal):
    """A field cannot be read; `field` names it, `problem` says how (`missing`, `not_a_date`, …)."""

    code = "field_invalid"
    status = 422


class FieldsInvalid(Refusal):
    """Several fields cannot be taken; `problems` says how, by field name."""

    code = "fields_invalid"
    status = 422
