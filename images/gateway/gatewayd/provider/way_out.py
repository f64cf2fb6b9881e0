"""The one way out of the gateway: to the provider's host and port, and to no other address.

Invariant: every name that the session looks up is the provider's, and every address that it gets
was checked. aiohttp connects to the addresses that it gets from here, never to the name, so a name
server that answers otherwise a moment later changes nothing. TLS is verified for the name all the
same. An address in `base_url` is its own answer and needs no look-up.

The attack that this stops: whoever can answer for the provider's name (a name server, the router
of a network) leads the gateway, and the key with it, to the engine's machine, a metadata service or
a server in the user's network.
"""

from __future__ import annotations

import socket
from collections.abc import Sequence

import addresses
from aiohttp.abc import AbstractResolver, ResolveResult
from aiohttp.resolver import ThreadedResolver
from yarl import URL

from ..settings import Settings


class ForbiddenAddressError(OSError):
    """The provider's name has no address that may be called; the text has what it has."""


class CheckedResolver(AbstractResolver):
    """Looks up the provider's name, and gives the addresses that may be called.

    `private_ok` of the settings allows private addresses, until the name has a public one: a
    server on the internet does not move into the user's network.

    Args:
        settings: the run's; they name the provider's host and port.
        lookup: asks the name server.
        own: the container's own networks.
    """

    def __init__(
        self,
        settings: Settings,
        lookup: AbstractResolver | None = None,
        own: Sequence[addresses.Network] | None = None,
    ) -> None:
        url = URL(settings.base_url)
        self._host, self._port = url.raw_host or "", url.port
        self._private_ok = settings.private_ok
        self._lookup = lookup or ThreadedResolver()
        self._own = addresses.own_networks() if own is None else tuple(own)

    async def resolve(
        self, host: str, port: int = 0, family: socket.AddressFamily = socket.AF_INET
    ) -> list[ResolveResult]:
        """The addresses of the provider that may be called.

        Raises:
            ForbiddenAddressError: there is none among those that it has, or it is another host.
            OSError: the name is not known.
        """
        if (host, port) != (self._host, self._port):
            raise ForbiddenAddressError(f"{host}:{port} is not the provider")
        found = await self._lookup.resolve(host, port, family)
        faults = {one["host"]: self._fault(one["host"]) for one in found}
        allowed = [one for one in found if not faults[one["host"]]]
        if not allowed:
            raise ForbiddenAddressError(addresses.refusal(host, faults))
        if any(not addresses.kind(one["host"]) for one in allowed):
            self._private_ok = False
        return allowed

    async def close(self) -> None:
        """Ends the look-ups."""
        await self._lookup.close()

    def _fault(self, address: str) -> str:
        return addresses.fault(
            address, named=self._host, private_ok=self._private_ok, own=self._own
        )
