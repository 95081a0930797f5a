"""Importers: the old systems' files become records."""
