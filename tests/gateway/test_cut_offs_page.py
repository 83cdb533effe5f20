"""docs/trading-api.md says what cuts a WebSocket API connection off, in the numbers of policy.py."""

from apps.gateway import policy
from tests.architecture.sources import BASE_DIR

PAGE = BASE_DIR / "docs" / "trading-api.md"
BEGIN, END = "<!-- cut-offs: begin -->\n", "<!-- cut-offs: end -->\n"
ROWS = [
    ("what", "at most", "beyond"),
    ("---", "---", "---"),
    ("frames", f"{policy.WSAPI_REQUESTS_PER_S} a second", "closed (1008)"),
    ("bytes of a frame", f"{policy.WS_FRAME_BYTES_MAX:,}", "closed (1009)"),
    (
        "requests under way", f"{policy.WSAPI_IN_FLIGHT_MAX}",
        f"the next waits {policy.WSAPI_ROOM_WAIT_S * 1000:.0f} ms for one to end, then 429, code -1003",
    ),
    ("refused frames in a row", f"{policy.WSAPI_GARBAGE_MAX}", "closed (1008)"),
    ("failed log-ons", f"{policy.LOGONS_FAILED_MAX - 1}", "closed at the next (1008)"),
]  # fmt: skip


def test_the_page_has_the_cut_offs() -> None:
    wanted = "".join(f"| {' | '.join(row)} |\n" for row in ROWS).replace("| --- | --- | --- |", "|---|---|---|")
    assert PAGE.read_text().partition(BEGIN)[2].partition(END)[0] == wanted
