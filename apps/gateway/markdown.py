"""The part of Markdown that the project's documents use, as HTML: for the pages of the site that show one of them.

Headings with anchors, paragraphs, lists of one level with dashes or numbers, fenced code, tables, and inside a line
`code`, **bold** and [links](address). Everything else is text. All text is escaped, so a document can bring no markup
of its own.
"""

import re
from collections.abc import Iterator
from html import escape
from typing import Final

_INLINE: Final = re.compile(r"`([^`]+)`|\*\*([^*]+)\*\*|\[([^\]]+)\]\(([^)\s]+)\)")
_HEADING: Final = re.compile(r"(#{1,4}) (.+)")
_RULE: Final = re.compile(r"\|[\s|:-]+\|")
_ITEM: Final = re.compile(r"(-|\d{1,2}\.) ", re.ASCII)
DASH: Final = "-"
NUMBER: Final = "1."


def to_html(text: str) -> str:
    """HTML of a whole document; lines end with \\n."""
    return "\n".join(_blocks(text.split("\n")))


def _blocks(lines: list[str]) -> Iterator[str]:
    at = 0
    while at < len(lines):
        line = lines[at]
        if line.startswith("```"):
            end = lines.index("```", at + 1)
            code = escape("\n".join(lines[at + 1 : end]))
            yield f'<pre class="code" tabindex="0"><code>{code}</code></pre>'
            at = end + 1
        elif heading := _HEADING.fullmatch(line):
            level, title = len(heading[1]), heading[2]
            yield f'<h{level} id="{_anchor(title)}">{_inline(title)}</h{level}>'
            at += 1
        elif line.strip():
            end = next((n for n in range(at, len(lines)) if _ends(lines, n, at)), len(lines))
            yield _block(lines[at:end])
            at = end
        else:
            at += 1


def _ends(lines: list[str], number: int, start: int) -> bool:
    """Whether the block that began at `start` is over before this line."""
    line = lines[number]
    if not line.strip() or line.startswith("```") or _HEADING.fullmatch(line):
        return True
    return number > start and _marker(line) != _marker(lines[start]) and not line.startswith("  ")


def _marker(line: str) -> str | None:
    """What kind of list item the line begins, if any."""
    found = _ITEM.match(line)
    return None if found is None else DASH if found[1] == DASH else NUMBER


def _block(lines: list[str]) -> str:
    if lines[0].startswith("|"):
        return _table(lines)
    if _marker(lines[0]) is not None:
        return _list(lines)
    return f"<p>{_inline(' '.join(lines))}</p>"


def _list(lines: list[str]) -> str:
    """A numbered list goes on from its first number: code between two steps does not begin it anew."""
    items: list[str] = []
    for line in lines:
        if _marker(line) is None:
            items[-1] += f" {line.strip()}"
        else:
            items.append(line.split(" ", 1)[1])
    rows = "".join(f"<li>{_inline(' '.join(item.split()))}</li>" for item in items)
    if _marker(lines[0]) == DASH:
        return f"<ul>{rows}</ul>"
    first = int(lines[0].split(".")[0])
    return f'<ol start="{first}">{rows}</ol>' if first != 1 else f"<ol>{rows}</ol>"


def _table(lines: list[str]) -> str:
    rows = [
        [cell.strip() for cell in line.strip().strip("|").split("|")] for line in lines if not _RULE.fullmatch(line)
    ]
    head = "".join(f'<th scope="col">{_inline(cell)}</th>' for cell in rows[0])
    body = "".join("<tr>" + "".join(f"<td>{_inline(cell)}</td>" for cell in row) + "</tr>" for row in rows[1:])
    return (
        f'<div class="table-scroll" tabindex="0"><table class="table"><thead><tr>{head}</tr></thead>'
        f"<tbody>{body}</tbody></table></div>"
    )


def _inline(text: str) -> str:
    done, parts = 0, []
    for found in _INLINE.finditer(text):
        parts.append(escape(text[done : found.start()]))
        code, bold, label, address = found.groups()
        if code is not None:
            parts.append(f"<code>{escape(code)}</code>")
        elif bold is not None:
            parts.append(f"<strong>{escape(bold)}</strong>")
        else:
            parts.append(f'<a href="{escape(_safe(address))}">{escape(label)}</a>')
        done = found.end()
    return "".join(parts) + escape(text[done:])


def _safe(address: str) -> str:
    """An address of this site or of the web; never a script."""
    return address if re.match(r"https?://|/|#", address) else "#"


def _anchor(title: str) -> str:
    return re.sub(r"[^a-z0-9]+", "-", title.lower()).strip("-")
