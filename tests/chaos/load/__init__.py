"""Open-loop load in one thread of the test: requests start by the clock, whether earlier ones were answered or not."""
