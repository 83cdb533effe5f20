"""Wiring only: settings, addresses, embedded servers and the supervisor. Business code lives in apps/."""
