"""The reservation system of a ward."""
