"""The recorded field tables: what each answer, stream and user event consists of, by endpoint, stream and event.

Written down from the dialect's published examples (state of 2026-07-21) and shared/clients.md, and held against every
answer that a real client gets in tests/clients. A field that a table does not have is a fault of the exchange, like one
that is missing: the last word on what is added on purpose has the comment "ours".
"""
