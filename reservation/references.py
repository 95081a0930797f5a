"""References that people read aloud and nobody can guess."""

import secrets

CROCKFORD = "0123456789abcdefghjkmnpqrstvwxyz"


def new_reference(length: int = 12) -> str:
    """Return random Crockford base32 characters, lower case: 5 bits each, 60 by default."""
    return "".join(secrets.choice(CROCKFORD) for _ in range(length))
