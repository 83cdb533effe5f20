"""Pages of a running exchange as a program without scripts uses them: forms, redirects, cookies."""

import re
from types import TracebackType
from typing import Any, Self

import httpx

from tests.codes import fresh_code
from tests.dialect import Account
from tests.stack import Stack


class Forms:
    """Closed by the end of a `with`, or with the process."""

    def __init__(self, stack: Stack) -> None:
        self.http = httpx.Client(base_url=stack.base_url, follow_redirects=True, timeout=40)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.http.close()

    def submit(self, page: str, path: str, **fields: str) -> httpx.Response:
        found = re.search(r'name="csrfmiddlewaretoken" value="([^"]+)"', self.http.get(page).text)
        assert found is not None, f"{page} has no form"
        return self.http.post(path, data={**fields, "csrfmiddlewaretoken": found.group(1)})

    def log_in(self, account: Account) -> None:
        page = self.submit("/account/log-in", "/account/log-in", username=account.email, password=account.password)
        assert page.url.path == "/account/log-in/code", page.text
        page = self.submit(page.url.path, page.url.path, code=fresh_code(account.totp_secret))
        assert page.url.path == "/account/", page.text

    def storage_state(self) -> dict[str, Any]:
        """The cookies, as Playwright puts them into a new window."""
        flags = {"path": "/", "expires": -1, "httpOnly": False, "secure": False, "sameSite": "Lax"}
        cookies = [
            {"name": name, "value": value, "domain": "localhost", **flags} for name, value in self.http.cookies.items()
        ]
        return {"cookies": cookies, "origins": []}
