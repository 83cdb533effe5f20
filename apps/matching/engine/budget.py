"""The quote budget of a market order, while it is swept; what a conditional market buy holds bounds it alike."""

from apps.matching.engine.book import Order


class Budget:
    """`units` may be spent. `capped`: the order also has a quantity, at which it ends.

    `prevented_units` is what prevented matches took off it (DECREMENT).
    """

    __slots__ = ("capped", "order", "prevented_units", "spent_before_prevention", "units")

    def __init__(self, order: Order, units: int) -> None:
        self.order = order
        self.units = units
        self.capped = order.quantity_lots > 0
        self.prevented_units = 0
        self.spent_before_prevention = -1

    def rest_units(self) -> int:
        return self.units - self.order.filled_quote_units - self.prevented_units

    def take_off(self, units: int) -> None:
        """A prevented match."""
        self.prevented_units += units
        self.spent_before_prevention = self.order.filled_quote_units

    def ended_by_prevention(self) -> bool:
        """Whether the last thing that reduced it was a prevented match and no print."""
        return self.spent_before_prevention == self.order.filled_quote_units
