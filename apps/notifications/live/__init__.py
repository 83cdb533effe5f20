"""Telling open pages what changes: banners, and that the user has new notices."""
