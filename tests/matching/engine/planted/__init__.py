"""Planted bugs of the engine: the proofs of the rules are themselves tested. `make planted` tries each bug."""
