"""Types of the fields of commands and events: what Python sees, and the struct code of what stands in the bytes."""

from typing import Annotated

U8 = Annotated[int, "B"]
U16 = Annotated[int, "H"]
U32 = Annotated[int, "I"]
U64 = Annotated[int, "Q"]
I64 = Annotated[int, "q"]
Text16 = Annotated[str, "16s"]
Text36 = Annotated[str, "36s"]
Text64 = Annotated[str, "64s"]
