"""Documents as pages: each form that the project's documents use, and that no text becomes markup."""

import pytest

from apps.gateway.markdown import to_html


@pytest.mark.parametrize(
    ("text", "html"),
    [
        ("# Use it", '<h1 id="use-it">Use it</h1>'),
        ("one\ntwo\n\nthree", "<p>one two</p>\n<p>three</p>"),
        ("- a\n- b\n  goes on\n- c", "<ul><li>a</li><li>b goes on</li><li>c</li></ul>"),
        ("1. a\n   goes on\n2. b", "<ol><li>a goes on</li><li>b</li></ol>"),
        (
            "2. a:\n\n```\nx\n```\n\n3. b\n- c",
            '<ol start="2"><li>a:</li></ol>\n<pre class="code" tabindex="0"><code>x</code></pre>\n'
            '<ol start="3"><li>b</li></ol>\n<ul><li>c</li></ul>',
        ),
        ("on 12. and 13.", "<p>on 12. and 13.</p>"),
        ("so:\n- a", "<p>so:</p>\n<ul><li>a</li></ul>"),
        (
            "```\na < b\n\n# no heading\n```\nend",
            '<pre class="code" tabindex="0"><code>a &lt; b\n\n# no heading</code></pre>\n<p>end</p>',
        ),
        ("a `<b>` and **c**", "<p>a <code>&lt;b&gt;</code> and <strong>c</strong></p>"),
        ("[x](/account/api-keys)", '<p><a href="/account/api-keys">x</a></p>'),
        ("[x](javascript:alert)", '<p><a href="#">x</a></p>'),
        ("<script>alert(1)</script>", "<p>&lt;script&gt;alert(1)&lt;/script&gt;</p>"),
        (
            "| a | b |\n|---|---|\n| `c` | |",
            '<div class="table-scroll" tabindex="0"><table class="table"><thead><tr><th scope="col">a</th>'
            '<th scope="col">b</th></tr></thead><tbody><tr><td><code>c</code></td><td></td></tr></tbody></table></div>',
        ),
    ],
)  # fmt: skip
def test_forms(text: str, html: str) -> None:
    assert to_html(text) == html


def test_a_fence_that_never_ends_is_an_error() -> None:
    with pytest.raises(ValueError, match="```"):
        to_html("```python\ncode")
