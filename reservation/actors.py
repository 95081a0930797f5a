"""Who acts: facts about the caller, never a global."""

from dataclasses import dataclass, field


@dataclass(frozen=True, slots=True)
class Actor:
    """The caller of an action, with the privileges that count.

    `kind` is `person`, `staff`, `worker` or `anonymous`; `id` the key in that kind's table (0: none);
    `name` what the journal shows. `scopes` limits a token; None means an ordinary session.
    """

    kind: str
    id: int
    name: str
    privileges: frozenset[str] = field(default_factory=frozenset)
    scopes: frozenset[str] | None = None

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


ANONYMOUS = Actor("anonymous", 0, "")
WORKER = Actor("worker", 0, "worker", frozenset({"settle", "lapse"}))
