"""The provider's double for these tests."""

from tests.double_server import till

__all__ = ["till"]
