"""Pictures and documents in a request: forwarded, and not counted by their bytes."""

from __future__ import annotations

import base64
import json
import random
from typing import Any

import pytest

from images.gateway.gatewayd.dialects.attachments import IMAGE_TOKENS, PAGE_TOKENS, page_count

from .conftest import Make
from .rig import APIS, RunningGateway

MEBIBYTE = 1 << 20
BODY_MEBIBYTES = {"anthropic": 32, "responses": 50, "chat": 50, "google": 100}


def noise(size: int) -> str:
    """Base64 of so many random bytes, the same each time."""
    return base64.b64encode(random.Random(size).randbytes(size)).decode()


def pdf(page_count: int = 3, filling: int = 0) -> str:
    """Base64 of a PDF's bytes as far as page counting reads them."""
    page = b"<< /Type /Page /Parent 2 0 R >>\n"
    head = b"%PDF-1.4\n<< /Type /Pages /Count 3 >>\n"
    return base64.b64encode(head + page * page_count + b"%" * filling).decode()


def picture(api: str, data: str) -> dict[str, Any]:
    """A request with a picture, as this API's clients send it."""
    url = f"data:image/png;base64,{data}"
    source = {"type": "base64", "media_type": "image/png", "data": data}
    part: dict[str, dict[str, Any]] = {
        "anthropic": {"type": "image", "source": source},
        "responses": {"type": "input_image", "image_url": url},
        "chat": {"type": "image_url", "image_url": {"url": url}},
        "google": {"inlineData": {"mimeType": "image/png", "data": data}},
    }
    return _with_part(api, part[api])


def document(api: str, data: str, media_type: str = "application/pdf") -> dict[str, Any]:
    """A request with a document."""
    url = f"data:{media_type};base64,{data}"
    source = {"type": "base64", "media_type": media_type, "data": data}
    part: dict[str, dict[str, Any]] = {
        "anthropic": {"type": "document", "source": source},
        "responses": {"type": "input_file", "filename": "a.pdf", "file_data": url},
        "chat": {"type": "file", "file": {"filename": "a.pdf", "file_data": url}},
        "google": {"inlineData": {"mimeType": media_type, "data": data}},
    }
    return _with_part(api, part[api])


def _with_part(api: str, part: dict[str, Any]) -> dict[str, Any]:
    if api == "google":
        return {"contents": [{"role": "user", "parts": [{"text": "look"}, part]}]}
    if api == "responses":
        return {"input": [{"role": "user", "content": [part]}]}
    return {"messages": [{"role": "user", "content": [part]}]}


def planned(gateway: RunningGateway, fields: dict[str, Any], **plan: Any) -> dict[str, Any]:
    """The request, with a plan for the stand-in at its end."""
    body = gateway.api.body({}) | fields
    place = "contents" if gateway.api.provider == "google" else "input"
    place = "messages" if "messages" in body else place
    extra = gateway.api.body(plan)[place]
    extra = [{"role": "user", "content": extra}] if isinstance(extra, str) else extra
    return body | {place: [*body[place], *extra]}


@pytest.mark.parametrize("api", sorted(APIS))
def test_a_pdf_is_forwarded(make: Make, api: str) -> None:
    """A PDF is often a plot; a refused one would stay in the session and spoil every later turn."""
    gateway = make(api)
    fields = document(api, pdf())
    assert gateway.send(**fields).status == 200
    assert {name: gateway.served[0].body[name] for name in fields} == fields


def test_a_pdf_in_a_tool_result_is_forwarded(make: Make) -> None:
    """Claude Code's Read and Gemini's read_file put documents there."""
    gateway = make("anthropic")
    source = {"type": "base64", "media_type": "application/pdf", "data": pdf()}
    inner = [{"type": "document", "source": source}]
    result = {"type": "tool_result", "tool_use_id": "t", "content": inner}
    assert gateway.send(messages=[{"role": "user", "content": [result]}]).status == 200
    gateway = make("google")
    part = {"inlineData": {"mimeType": "application/pdf", "data": pdf()}}
    response = {"functionResponse": {"name": "read_file", "response": {}, "parts": [part]}}
    assert gateway.send(contents=[{"role": "user", "parts": [response]}]).status == 200


@pytest.mark.parametrize("api", ["responses", "google"])
def test_a_text_file_is_forwarded_and_counted_as_text(make: Make, api: str) -> None:
    """A text file has no more tokens than bytes, so it counts with all its bytes."""
    gateway = make(api, caps={"tokens": 200_000})
    text = base64.b64encode(b"a,b\n" * 75_000).decode()
    body = planned(gateway, document(api, text, "text/csv"), counts=[{"status": 404}])
    gateway.send(body=body | gateway.api.limited(100))
    assert gateway.standin.counted == 1, "it was taken to be short"


@pytest.mark.parametrize("api", sorted(BODY_MEBIBYTES))
def test_a_body_longer_than_the_provider_accepts_is_refused(make: Make, api: str) -> None:
    """The stated length alone leads to a 413, before a byte of the body is read."""
    gateway = make(api)
    length = BODY_MEBIBYTES[api] * MEBIBYTE
    head = f"POST {gateway.api.whole} HTTP/1.1\r\nHost: a\r\nContent-Length: {length + 1}\r\n"
    head += "".join(f"{name}: {text}\r\n" for name, text in gateway.api.auth.items())
    answer = gateway.send_raw(head.encode() + b"\r\n", enough=b"\r\n\r\n")
    assert answer.startswith(b"HTTP/1.1 413")
    assert [reason for reason, _ in gateway.events.refusals] == ["size"]


def test_a_body_just_under_the_bound_is_forwarded(make: Make) -> None:
    """A Codex session with five pictures sends 21 MB in each request; the limit is 50."""
    gateway = make("responses")
    data = "A" * (50 * MEBIBYTE - 2000)
    body = planned(gateway, picture("responses", data), input=1000)  # spares a count of 50 MB
    assert gateway.send(body=body).status == 200
    assert gateway.served[0].body["input"][0]["content"][0]["image_url"].endswith(data)


@pytest.mark.parametrize("api", sorted(APIS))
def test_the_tokens_of_a_picture_do_not_depend_on_its_bytes(make: Make, api: str) -> None:
    """A 900 kB PNG, on a server without a count endpoint, takes little of a million tokens."""
    gateway = make(api, caps={"tokens": 1_000_000}, models=[APIS[api].model])
    fields = picture(api, noise(900_000))
    body = planned(gateway, fields, input=2000, output=10, counts=[{"status": 404}])
    for _ in range(5):
        assert gateway.send(body=body | gateway.api.limited(1000)).status == 200
    gateway.usage_records(5)
    assert gateway.events.caps == []
    assert max(tokens for tokens in reserved(gateway)) < IMAGE_TOKENS + 10_000


@pytest.mark.parametrize("api", sorted(APIS))
def test_no_reservation_exceeds_the_models_context_window(make: Make, api: str) -> None:
    """Two megabytes of text, or a PDF of unknown length, are reserved as one context window."""
    gateway = make(api, caps={"usd": 10_000})
    window = 1_050_000
    for fields in (picture(api, noise(9)), document(api, pdf(filling=MEBIBYTE))):
        body = planned(gateway, fields, input=2000, output=10)
        body |= {"stop": "x" * 2 * MEBIBYTE} if api == "chat" else {}
        if api == "anthropic":
            body["system"] = "x" * 2 * MEBIBYTE
        elif api == "responses":
            body["instructions"] = "x" * 2 * MEBIBYTE
        elif api == "google":
            body["systemInstruction"] = {"parts": [{"text": "x" * 2 * MEBIBYTE}]}
        assert gateway.send(body=body | gateway.api.limited(1000)).status == 200
    gateway.usage_records(2)
    assert all(900_000 < tokens <= window + 1000 for tokens in reserved(gateway))


def reserved(gateway: RunningGateway) -> list[int]:
    """The reservations in the gateway's ledger, in tokens."""
    lines = (gateway.folder / "state" / "ledger.jsonl").read_text().splitlines()
    entries = [json.loads(line) for line in lines]
    return [entry["tokens"] for entry in entries if entry["kind"] == "reserved"]


def test_a_pdf_near_the_cap_is_counted_by_the_provider(make: Make) -> None:
    """The bytes of a PDF do not bound its tokens, but the provider's count does."""
    gateway = make("anthropic", caps={"tokens": 50_000})
    body = planned(gateway, document("anthropic", pdf()), input=5000, output=10)
    assert gateway.send(body=body | {"max_tokens": 1000}).status == 200
    assert gateway.standin.counted == 1
    assert reserved(gateway)[0] < 10_000


def test_a_pdf_without_a_count_is_bounded_by_its_pages(make: Make) -> None:
    """Without a count each page has a bound; a run with tokens for the pages goes on."""
    gateway = make("responses", caps={"tokens": 100_000})
    body = planned(gateway, document("responses", pdf(5)), input=9000, counts=[{"status": 404}])
    assert gateway.send(body=body | {"max_output_tokens": 1000}).status == 200
    assert 5 * PAGE_TOKENS < reserved(gateway)[0] < 5 * PAGE_TOKENS + 10_000


def test_the_pages_of_plain_and_compressed_documents_are_counted() -> None:
    """Plain page objects are counted; a compressed document is bounded by its size, never 0."""
    assert page_count(pdf(7)) == 7
    packed = base64.b64encode(b"%PDF-1.5\n" + random.Random(1).randbytes(500_000)).decode()
    assert 30 <= page_count(packed) <= 1000
    assert page_count("") == 1
    assert page_count("no base64 at all!") == 1


BY_REFERENCE: list[tuple[str, dict[str, Any]]] = [
    (api, _with_part(api, part))
    for api, part in (
        ("anthropic", {"type": "document", "source": {"type": "url", "url": "http://a"}}),
        ("responses", {"type": "input_file", "file_url": "http://a"}),
        ("responses", {"type": "input_file", "file_id": "f"}),
        ("responses", {"type": "input_file", "file_data": "http://a"}),
        ("responses", {"type": "input_file", "file_id": "f", "file_data": "data:text/csv;base64,"}),
        ("chat", {"type": "file", "file": {"file_id": "f"}}),
        ("chat", {"type": "file", "file": {"file_id": "f", "file_data": "data:text/csv;base64,"}}),
        ("google", {"inlineData": {"mimeType": "audio/mp3", "data": ""}}),
        ("google", {"inlineData": {"mimeType": "video/mp4", "data": ""}}),
        ("anthropic", {"type": "image", "source": {"type": "base64", "data": "a"}}),
    )
]


@pytest.mark.parametrize(("api", "fields"), BY_REFERENCE)
def test_content_without_a_price_is_refused_with_a_400(
    make: Make, api: str, fields: dict[str, Any]
) -> None:
    """After a 400 a CLI takes the request to be wrong, and not its credentials."""
    gateway = make(api)
    reply = gateway.send(**fields)
    assert reply.status == 400
    assert gateway.events.refusals[0][0] == "policy"
    assert gateway.served == []


def test_claude_code_drops_a_document_that_is_refused(make: Make) -> None:
    """Claude Code looks for this sentence in a 400; without it every later request would fail."""
    gateway = make("anthropic")
    source = {"type": "base64", "media_type": "application/zip", "data": ""}
    reply = gateway.send(**_with_part("anthropic", {"type": "document", "source": source}))
    assert reply.status == 400
    assert reply.json["error"]["type"] == "invalid_request_error"
    assert "PDF specified was not valid" in reply.json["error"]["message"]
