"""The matching engine compiled from C (README.md of this directory): the same bytes as apps/matching/engine."""
