"""Django in this process, without the pauses of Python's garbage collector in between.

What a start imports stays for good: walking it again and again was half of what the start of each process cost.
"""

import gc

import django


def load_django() -> None:
    """django.setup(). Nothing that there is by then is ever looked at again; later garbage is collected as always."""
    gc.disable()
    try:
        django.setup()
    finally:
        gc.freeze()
        gc.enable()
