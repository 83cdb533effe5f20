"""The history checker. It imports nothing of the exchange but the record layouts: what it judges must not judge itself.

Each module takes facts and returns the broken promises it finds, one sentence each; empty when all were kept.
`verdict.py` collects the facts of a quiet exchange and asks them all.
"""
