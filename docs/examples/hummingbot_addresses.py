"""Point a source installation of Hummingbot here: python hummingbot_addresses.py PATH/TO/hummingbot"""

import os
import re
import sys
from pathlib import Path

base_url = os.environ.get("BASE_URL", "http://localhost:8000")
ws_url = base_url.replace("http", "ws", 1)
constants = Path(sys.argv[1]) / "hummingbot/connector/exchange/binance/binance_constants.py"
addresses = {"REST_URL": base_url + "/api/", "WSS_URL": ws_url + "/ws", "WSS_API_URL": ws_url + "/ws-api/v3"}
text = constants.read_text()
for name, address in addresses.items():
    text, changed = re.subn(rf'^{name} = ".*"$', f'{name} = "{address}"', text, flags=re.MULTILINE)
    print(name, address if changed else "is not in this version")
constants.write_text(text)
