"""Limits of this app, each with its source."""

from typing import Final

# A UUID in its usual spelling.
CLIENT_ID_LENGTH_MAX: Final = 36
# A6. What one user may ask of the outbox; people need a handful, programs have the rest of the minute to wait.
TRANSFERS_PER_WINDOW_MAX: Final = 120
TRANSFERS_WINDOW_S: Final = 60
TRANSFERS_ON_A_PAGE: Final = 25
