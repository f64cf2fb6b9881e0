"""The gateway looks its provider up itself, and connects to what it has checked."""

from __future__ import annotations

import asyncio
import socket
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from typing import Any

import pytest
from aiohttp.abc import AbstractResolver, ResolveResult

from images.gateway.gatewayd.dialects import DIALECTS
from images.gateway.gatewayd.provider.upstream import Upstream, UpstreamError, open_session
from images.gateway.gatewayd.provider.way_out import CheckedResolver, ForbiddenAddressError
from images.gateway.gatewayd.refusal import Reason, Refusal
from images.gateway.gatewayd.settings import Settings, read_settings

from .rig import KEY, TOKEN

HOST = "provider.example"
PUBLIC, PRIVATE, METADATA = "104.18.6.192", "192.168.7.7", "169.254.169.254"


class NameServer(AbstractResolver):
    """Answers from a list, one entry for each question; the last one again and again."""

    def __init__(self, *answers: Sequence[str]) -> None:
        self._answers = list(answers)
        self.asked: list[str] = []

    async def resolve(
        self,
        host: str,
        port: int = 0,
        family: socket.AddressFamily = socket.AF_INET,  # noqa: ARG002 # aiohttp's
    ) -> list[ResolveResult]:
        self.asked.append(host)
        answer = self._answers.pop(0) if len(self._answers) > 1 else self._answers[0]
        if not answer:
            raise socket.gaierror(socket.EAI_NONAME, "Name or service not known")
        return [
            {
                "hostname": host, "host": address, "port": port, "proto": 0, "flags": 0,
                "family": socket.AF_INET6 if ":" in address else socket.AF_INET,
            }
            for address in answer
        ]  # fmt: skip

    async def close(self) -> None:
        pass


def settings(base_url: str, **more: Any) -> Settings:
    return read_settings(
        {
            "provider": "anthropic", "base_url": base_url, "api_key": KEY, "token": TOKEN,
            "models": ["claude-opus-4-6"], "deadline_seconds": 60, **more,
        }
    )  # fmt: skip


def resolver(*answers: Sequence[str], **more: Any) -> CheckedResolver:
    """One for `HOST`, whose name server gives these answers."""
    return CheckedResolver(settings(f"https://{HOST}", **more), NameServer(*answers), own=())


async def found(checked: CheckedResolver, host: str = HOST, port: int = 443) -> list[str]:
    return [one["host"] for one in await checked.resolve(host, port)]


async def test_public_addresses_pass_and_others_are_left_out() -> None:
    """A name may have both."""
    assert await found(resolver([PUBLIC])) == [PUBLIC]
    assert await found(resolver([METADATA, PUBLIC, "::ffff:10.0.0.1"])) == [PUBLIC]


@pytest.mark.parametrize("address", [PRIVATE, METADATA, "127.0.0.1", "::1", "::ffff:10.1.2.3"])
async def test_a_name_that_leads_inside_is_refused_with_what_it_has(address: str) -> None:
    """The provider's own name never has such an address."""
    with pytest.raises(ForbiddenAddressError, match=HOST) as caught:
        await found(resolver([address]))
    assert address in str(caught.value)


async def test_a_private_server_is_called_if_the_user_names_it() -> None:
    """Then its name may lead to a private address, and still not to a metadata service."""
    assert await found(resolver([PRIVATE], private_ok=True)) == [PRIVATE]
    with pytest.raises(ForbiddenAddressError):
        await found(resolver([METADATA], private_ok=True))


async def test_a_public_server_does_not_move_inside() -> None:
    """A name server that changes its answer meanwhile is not followed, whoever named it."""
    for allowed in (False, True):
        checked = resolver([PUBLIC], [PRIVATE], private_ok=allowed)
        assert await found(checked) == [PUBLIC]
        with pytest.raises(ForbiddenAddressError):
            await found(checked)


@pytest.mark.parametrize(("host", "port"), [("other.example", 443), (HOST, 80), (HOST, 0)])
async def test_no_other_host_or_port_is_looked_up(host: str, port: int) -> None:
    """The name server is not even asked."""
    names = NameServer([PUBLIC])
    checked = CheckedResolver(settings(f"https://{HOST}"), names, own=())
    with pytest.raises(ForbiddenAddressError, match="not the provider"):
        await found(checked, host, port)
    assert names.asked == []


@asynccontextmanager
async def upstream(base_url: str, names: NameServer, **more: Any) -> AsyncIterator[Upstream]:
    """The way to a provider through that name server."""
    told = settings(base_url, **more)
    async with open_session(told, names) as session:
        yield Upstream(told, session)


async def attempt(way: Upstream) -> int:
    """The status of one request."""
    dialect = DIALECTS["anthropic"][0]
    answer = await way.attempt(dialect, "/v1/messages", b"{}", {}, streamed=False)
    return answer.status


async def test_a_request_goes_to_the_address_that_was_checked() -> None:
    """The name is looked up once, by us, and no second answer can count."""
    served = asyncio.Event()

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        served.set()
        writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\nConnection: close\r\n\r\n{}")
        await writer.drain()
        writer.close()

    server = await asyncio.start_server(serve, "127.0.0.1", 0)
    async with server:
        port = server.sockets[0].getsockname()[1]
        names = NameServer(["127.0.0.1"], [METADATA])
        async with upstream(f"http://provider.localhost:{port}", names) as way:
            assert await attempt(way) == 200
        assert served.is_set()
    assert names.asked == ["provider.localhost"]


async def test_a_forbidden_address_is_a_refusal_and_no_outage() -> None:
    """It is not tried again, and no time is given back for it; an unknown name is an outage."""
    async with upstream(f"https://{HOST}", NameServer([METADATA])) as way:
        with pytest.raises(Refusal, match="metadata") as refused:
            await attempt(way)
    assert refused.value.reason is Reason.ADDRESS
    assert HOST in refused.value.detail
    async with upstream(f"https://{HOST}", NameServer([])) as way:
        with pytest.raises(UpstreamError, match="no connection"):
            await attempt(way)


async def test_the_answer_to_a_refusal_ends_the_cli() -> None:
    """In every dialect it is a status that no CLI waits for."""
    refusal = Refusal(Reason.ADDRESS, "the provider is not called")
    statuses = {one.reply(refusal).status for row in DIALECTS.values() for one in row}
    assert statuses == {400, 403}
