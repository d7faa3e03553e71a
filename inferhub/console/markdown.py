"""Markdown that a stranger wrote, as HTML that can do nothing: no HTML of his, no pictures, links only to the web."""

import nh3
from django.utils.safestring import SafeString, mark_safe
from markdown_it import MarkdownIt

_TEXT_TAGS = {"a", "blockquote", "br", "code", "em", "h1", "h2", "h3", "h4", "h5", "h6", "hr", "p", "pre", "strong"}
_TAGS = _TEXT_TAGS | {"li", "ol", "ul", "table", "tbody", "td", "th", "thead", "tr"}
_markdown = MarkdownIt("commonmark", {"html": False}).enable("table").disable("image")


def render_markdown(text: str) -> SafeString:
    """CommonMark with tables. Written twice over: the renderer makes no HTML of the author's, and what it makes is
    cleaned by an allow-list.

    >>> render_markdown("**bold** <b>no</b> [x](javascript:alert(1))")
    '<p><strong>bold</strong> &lt;b&gt;no&lt;/b&gt; [x](javascript:alert(1))</p>\\n'
    """
    made = _markdown.render(text)
    clean = nh3.clean(made, tags=_TAGS, attributes={"a": {"href"}}, attribute_filter=_web_address)
    return mark_safe(clean)  # noqa: S308 - just cleaned


def _web_address(tag: str, attribute: str, value: str) -> str | None:
    """Whole addresses only: one that begins with // or / leads to where the reader does not expect."""
    return value if attribute != "href" or value.lower().startswith(("http://", "https://")) else None
