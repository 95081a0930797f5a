"""A small town in the database that is rolled back, and one resident of it."""

import pytest

from reservation.actors import Actor
from tests import factories


@pytest.fixture
async def town(database: None) -> factories.SmallTown:
    return await factories.small_town()


@pytest.fixture
async def resident(town: factories.SmallTown) -> Actor:
    return await factories.person()
