"""Finds in a page what the content policy would block."""

from html.parser import HTMLParser


class Inline(HTMLParser):
    """Collects everything that the CSP would block, or that would need a wider one."""

    def __init__(self) -> None:
        super().__init__()
        self.found: list[str] = []
        self._open = ""

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        given = dict(attrs)
        self._open = tag
        for name, value in given.items():
            if name == "style" or name.startswith("on"):
                self.found.append(f"<{tag} {name}={value!r}>")
            scheme = (value or "").strip().partition(":")[0].lower()
            loads = name in {"src", "action", "formaction"} or (name == "href" and tag != "a")
            if scheme == "javascript" or (loads and scheme in {"http", "https", "data"} and tag != "img"):
                self.found.append(f"<{tag} {name}={value!r}>")
        if tag == "style":
            self.found.append("<style>")

    def handle_data(self, data: str) -> None:
        if self._open == "script" and data.strip():
            self.found.append(f"inline script {data.strip()[:40]!r}")

    def handle_endtag(self, tag: str) -> None:
        self._open = ""
