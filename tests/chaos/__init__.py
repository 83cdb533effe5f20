"""The chaos rig: load, faults by seed, and a history checker that shares no code with the exchange.

`python -m tests.chaos --seed 7 --runs 3` or `make chaos SEED=7 RUNS=3`; docs/reliability.md says what it proves.

history.py    what clients did and were told, written down as it happened
load/         open-loop clients that keep such histories
follower.py   both streams of redis-core as raw bytes, collected while the exchange runs
judge/        every broken promise as a sentence, from histories, streams, PostgreSQL and the public API
faults/       one small object for each way to break something
nemesis.py    which fault when, from a seed
rig.py        one exchange with load, follower and faults; matrix.py the fault matrix as data
"""
