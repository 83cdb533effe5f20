"""Every way to break the exchange that one machine allows, each one small object.

base.py        what a fault is
processes.py   kill -9, several at once, named crash points, pauses, hand-overs
postgres.py    locks, no connections left, killed in a COPY
core.py        redis-core: slow, disk full, a write that fails
edge.py        redis-edge emptied
network.py     a proxy in the place of a server's socket that drops, delays and half-closes
catalogue.py   all of them by name
"""
