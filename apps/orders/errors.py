from apps.common.errors import DomainError


class SettlementStopped(RuntimeError):
    """The log and the record disagree, or an invariant is broken. Settlement ends and has changed nothing.

    Not a refusal: nobody can act on it but the operator, so the process stops and says which check failed, and which
    page of docs/runbooks/ has the steps.
    """

    page = "settlement-stopped"

    def __str__(self) -> str:
        return f"{super().__str__()}. Exact steps: docs/runbooks/{self.page}.md"


class OtherSettlement(SettlementStopped):
    """The watermark moved under us: another settlement process is at work."""

    page = "settlement-twice"


class UnknownOrder(DomainError):
    code = "unknown_order"


class NotParked(DomainError):
    """The order does not wait for review any more."""

    code = "not_parked"


class ReviewPending(DomainError):
    """An earlier review of this order waits for the engine."""

    code = "review_pending"


class EngineUnreachable(DomainError):
    """Reconcile needs a live matching worker (or a snapshot of it), and none answered in time."""

    code = "engine_unreachable"


class UnknownVolumeAsset(DomainError):
    """The asset that trading volumes are counted in is not listed."""

    code = "unknown_volume_asset"


class TiersComputed(DomainError):
    """The fee tiers of a later day have been sent."""

    code = "tiers_computed"


class SettlementBehind(DomainError):
    """Trades that count are not in the record yet."""

    code = "settlement_behind"


class NotWholeLots(DomainError):
    """An amount that no order of the market has."""

    code = "not_whole_lots"


class RequestsMissing(DomainError):
    """A pro-rata rule divides by what each account asks for, and nothing was asked for."""

    code = "requests_missing"


class InvalidExample(DomainError):
    """The order that a preview was asked for is none."""

    code = "invalid_example"
