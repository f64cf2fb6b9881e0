"""Pictures and documents inside of a request, as base64.

The length of their base64 says nothing about their tokens: a picture has a fixed bound, whatever
its size, and a document has a bound per page. No prompt holds more tokens than its model's context
window, and near a cap the provider's own count replaces these bounds.

The attack: text that is declared to be a picture, in order to be counted as one. It does not reach
a model, because a provider refuses what it cannot read as the type that the request states.
"""

from __future__ import annotations

import base64
import binascii
import math
import re
from dataclasses import dataclass, field
from typing import Any

from .policy import BY_REFERENCE, refuse

# The most expensive picture of the three providers, rounded up (OpenAI, "original" detail: 10,000
# patches; https://platform.openai.com/docs/guides/images-vision).
IMAGE_TOKENS = 16_384
# The most expensive page, rounded up: Anthropic reads each page as a picture of up to 4,784 tokens
# and as its text, 1,500 to 3,000 (https://docs.claude.com/en/docs/build-with-claude/pdf-support).
PAGE_TOKENS = 8192
# The most pages that a provider accepts (Google's Gemini; Anthropic accepts 600, OpenAI 100).
MAX_PAGES = 1000
# The pages of a document with compressed objects cannot be counted. A scanned page takes more bytes
# than this, and a typeset one about as many.
COMPRESSED_PAGE_BYTES = 16 * 1024

PDF = "application/pdf"
UNPRICED = "has no known price before it is sent"
DATA_URL = re.compile(r"data:(?P<type>[\w.+-]+/[\w.+-]+)(;[\w-]+=[\w.-]+)*;base64,", re.ASCII)
PAGE = re.compile(rb"/Type\s*/Page(?![A-Za-z])")


@dataclass
class Attachments:
    """The pictures and documents of one request.

    Attributes:
        images: how many pictures.
        documents: each PDF, in base64.
        encoded_bytes: the base64 length of all of them in the body, which is not text.
    """

    images: int = 0
    documents: list[str] = field(default_factory=list)
    encoded_bytes: int = 0

    def add_picture(self, media_type: Any, data: Any, where: str) -> None:
        """Adds a picture.

        Args:
            media_type: as the request states it.
            data: base64.
            where: names the picture in the message.

        Raises:
            Refusal: it is something else, whose tokens have no bound.
        """
        if not isinstance(media_type, str) or not media_type.startswith("image/"):
            raise refuse(f"{where} of type {str(media_type)[:80]!r}", UNPRICED)
        self.images += 1
        self.encoded_bytes += len(data) if isinstance(data, str) else 0

    def add_document(self, media_type: Any, data: Any, where: str) -> None:
        """Adds a PDF; a text file is left to count as text.

        Args:
            media_type: as the request states it.
            data: base64.
            where: names the document in the message.

        Raises:
            Refusal: it is something else, whose tokens have no bound.
        """
        if media_type == PDF and isinstance(data, str):
            self.documents.append(data)
            self.encoded_bytes += len(data)
        elif not isinstance(media_type, str) or not media_type.startswith("text/"):
            raise refuse(f"{where} of type {str(media_type)[:80]!r}", UNPRICED)

    def add(self, media_type: Any, data: Any, where: str) -> None:
        """Adds a picture or a document, depending on the type.

        Raises:
            Refusal: it is neither.
        """
        is_picture = isinstance(media_type, str) and media_type.startswith("image/")
        (self.add_picture if is_picture else self.add_document)(media_type, data, where)

    def add_picture_url(self, url: Any) -> None:
        """Adds a picture in a `data:` URL.

        Raises:
            Refusal: the provider would have to fetch it, or it is not a picture.
        """
        media_type, data = _split(url, "a picture by URL")
        self.add_picture(media_type, data, "an inline picture")

    def add_document_url(self, url: Any) -> None:
        """Adds a document in a `data:` URL.

        Raises:
            Refusal: the provider would have to fetch it, or its tokens have no bound.
        """
        media_type, data = _split(url, "a file by reference")
        self.add_document(media_type, data, "an inline file")

    @property
    def image_tokens(self) -> int:
        """An upper bound on the tokens of the pictures."""
        return self.images * IMAGE_TOKENS

    def document_tokens(self) -> int:
        """An upper bound on the tokens of the documents, by their pages, which it counts."""
        return sum(map(page_count, self.documents)) * PAGE_TOKENS


def _split(url: Any, what: str) -> tuple[str, str]:
    """Media type and base64 of a `data:` URL.

    Raises:
        Refusal: it is not a `data:` URL.
    """
    found = DATA_URL.match(url) if isinstance(url, str) else None
    if found is None:
        raise refuse(what, BY_REFERENCE)
    return found["type"], url[found.end() :]


def page_count(document: str) -> int:
    """The pages of a PDF in base64, at least 1: counted where its objects are not compressed.

    Where they are compressed, a bound by its length. PDFs are not parsed, because this process
    holds the key.
    """
    try:
        content = base64.b64decode(document)
    except (binascii.Error, ValueError):
        return 1
    plain = len(PAGE.findall(content))
    compressed = math.ceil(len(content) / COMPRESSED_PAGE_BYTES)
    return max(1, min(plain or compressed, MAX_PAGES))
