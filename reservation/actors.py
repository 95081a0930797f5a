"""Who acts: facts about the caller, never a global."""

from dataclasses import dataclass, field


@dataclass(frozen=True, slots=True)
class Actor:
    """The caller of an action, with the privileges that count.

    `kind` is `person`, `staff`, `worker` or `anonymous`; `id` the key in that kind's table (0: none);
    `name` what the journal shows. `scopes` limits a token; None means an ordinary session. `facilities` are
    those, by code, to which staff are limited; none: all.
    """

    kind: str
    id: int
    name: str
    privileges: frozenset[str] = field(default_factory=frozenset)
    scopes: frozenset[str] | None = None
    facilities: frozenset[str] = field(default_factory=frozenset)

    @property
    def by_token(self) -> bool:
        return self.scopes is not None

    @property
    def is_person(self) -> bool:
        return self.kind == "person"

    @property
    def is_staff(self) -> bool:
        return self.kind == "staff"

    def may(self, privilege: str) -> bool:
        return privilege in self.privileges

    def may_at(self, privilege: str, facility: str) -> bool:
        """Tell whether the actor has a privilege, and has it at a facility."""
        return self.may(privilege) and (not self.facilities or facility in self.facilities)


ANONYMOUS = Actor("anonymous", 0, "")
WORKER = Actor("worker", 0, "worker", frozenset({"settle", "lapse"}))
