"""Asks until it is refused, and says which exception that was."""

import os

from binance_common.configuration import ConfigurationRestAPI
from binance_common.errors import TooManyRequestsError
from binance_sdk_spot.spot import Spot

client = Spot(ConfigurationRestAPI(base_path=os.environ["BASE_URL"], timeout=20_000)).rest_api
try:
    for _ in range(3):
        client.depth("BTCUSDT", limit=1000)
except TooManyRequestsError as refused:
    print(refused.status_code, refused.retry_after)
