"""Expected refusals. Broken invariants are assertions instead: the process stops and recovery replays."""


class DomainError(Exception):
    """A refusal the caller can act on: `code` is stable and documented, the message says what to do.

    Each API maps these in one handler; nothing has changed when one is raised.
    """

    code: str = "refused"
    # Seconds after which the same may be asked again, where time alone helps.
    retry_after_s: int | None = None

    def __init__(self, message: str, *, code: str | None = None) -> None:
        super().__init__(message)
        self.message = message
        if code is not None:
            self.code = code
