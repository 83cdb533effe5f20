"""Writes, one story a module: sign-up, API keys, tickets, sessions, demo accounts."""
