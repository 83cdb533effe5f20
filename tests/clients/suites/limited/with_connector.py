"""Asks until it is refused, and says which exception that was."""

import os

from binance.error import ClientError
from binance.spot import Spot

try:
    for _ in range(3):
        Spot(base_url=os.environ["BASE_URL"]).depth("BTCUSDT", limit=1000)
except ClientError as refused:
    print(refused.status_code, refused.error_code, refused.header["Retry-After"])
