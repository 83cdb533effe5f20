"""Planted bugs: the rig and the tests are themselves tested. bugs.py has them as data, __main__.py tries each."""
