"""A second model of the matching rules, naive on purpose, and the comparison with the engines.

It is written from matching-rules.md and docs/matching alone and shares nothing with apps/matching but the contract
of apps/streams. Books are plain lists that are searched anew, what is held is added up whenever it is asked for.
"""
