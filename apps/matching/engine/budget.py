"""The quote budget of a market order, while it is swept."""

from apps.matching.engine.book import Order


class Budget:
    """`prevented_units` is what prevented matches took off it (DECREMENT)."""

    __slots__ = ("order", "prevented_units", "spent_before_prevention")

    def __init__(self, order: Order) -> None:
        self.order = order
        self.prevented_units = 0
        self.spent_before_prevention = -1

    def rest_units(self) -> int:
        return self.order.budget_units - self.order.filled_quote_units - self.prevented_units

    def take_off(self, units: int) -> None:
        """A prevented match."""
        self.prevented_units += units
        self.spent_before_prevention = self.order.filled_quote_units

    def ended_by_prevention(self) -> bool:
        """Whether the last thing that reduced it was a prevented match and no print."""
        return self.spent_before_prevention == self.order.filled_quote_units
