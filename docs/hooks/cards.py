"""Leads links to the cards beside the bundled weights to the pages that the site has of them."""

from __future__ import annotations

import re
from typing import Any

_CARD = re.compile(r"\]\((?:\.\./)+openmm_mdgen/weights/(\w+\.md)")


def on_page_markdown(markdown: str, *, page: Any, **about: Any) -> str:
    """The page, with links from where it stands."""
    up = "../" * page.file.src_uri.count("/")
    return _CARD.sub(rf"]({up}weights/\1", markdown)
