"""A strategy that buys at once and sells in the same minute, so that a dry run has both within a moment."""

from typing import Any

from freqtrade.strategy import IStrategy


class AlwaysBuy(IStrategy):
    timeframe = "1m"
    minimal_roi = {"0": -1.0}
    stoploss = -0.99
    startup_candle_count = 10

    def populate_indicators(self, dataframe: Any, metadata: dict[str, Any]) -> Any:
        return dataframe

    def populate_entry_trend(self, dataframe: Any, metadata: dict[str, Any]) -> Any:
        dataframe["enter_long"] = 1
        return dataframe

    def populate_exit_trend(self, dataframe: Any, metadata: dict[str, Any]) -> Any:
        dataframe["exit_long"] = 0
        return dataframe
