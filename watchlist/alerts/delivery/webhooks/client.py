"""Sends a webhook: one POST request to an address that was checked before.

The host name is looked up once, and the connection goes to an address from this lookup. A second lookup could lead to
an address that was not checked. TLS and the `Host` header still use the name.
"""

import asyncio
import ssl
import time
from collections.abc import Callable, Mapping, Sequence
from datetime import UTC, datetime

import httpx

from watchlist.alerts.delivery.outcomes import Outcome, Result, judge_status
from watchlist.alerts.delivery.webhooks.addresses import Address, Network, is_allowed
from watchlist.alerts.delivery.webhooks.name_lookup import LookupFailed, Resolve, find_addresses, resolve_with_system

TIMEOUT_SECONDS = 3.0
"""The time limit of a whole attempt, from the lookup of the name to the status of the answer."""

MAX_ADDRESSES = 3
"""To how many addresses of a host name one attempt tries to connect, one after another."""


class WebhookClient:
    """Sends webhooks. Thread-safe.

    `allowed` holds the networks to which webhooks may go although the networks are not public. `tls` decides which
    certificates are accepted.
    """

    def __init__(
        self,
        allowed: Sequence[Network] = (),
        resolve: Resolve = resolve_with_system,
        tls: ssl.SSLContext | None = None,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._allowed = allowed
        self._resolve = resolve
        self._tls = tls or httpx.create_ssl_context(trust_env=False)
        self._clock = clock

    def post(self, url: str, headers: Mapping[str, str], body: bytes) -> Outcome:
        """Makes one attempt of at most TIMEOUT_SECONDS. Returns an Outcome also after a failure."""
        deadline = self._clock() + TIMEOUT_SECONDS
        try:
            target = httpx.URL(url)
            port = target.port or (443 if target.scheme == "https" else 80)
            host = target.raw_host.decode()  # `target.host` raises if a label xn--… is not valid
            found = find_addresses(host, port, TIMEOUT_SECONDS, self._resolve)
        except httpx.InvalidURL:
            return Outcome(Result.REFUSED, "the URL is not valid")
        except LookupFailed as error:
            return Outcome(Result.RETRY_ALL, str(error))
        addresses = [address for address in found if is_allowed(address, self._allowed)]
        if not addresses:
            return Outcome(Result.REFUSED, f"{host} leads to {found[0]}, which is not a public address")
        return asyncio.run(self._send_within(deadline - self._clock(), target, addresses, headers, body))

    async def _send_within(
        self, seconds: float, url: httpx.URL, addresses: Sequence[Address], headers: Mapping[str, str], body: bytes
    ) -> Outcome:
        try:
            async with asyncio.timeout(seconds):
                return await self._send(url, addresses[:MAX_ADDRESSES], headers, body)
        except TimeoutError:
            return Outcome(Result.RETRY_ALL, f"the receiver did not answer within {TIMEOUT_SECONDS:.0f} seconds")
        except (httpx.HTTPError, OSError) as error:
            return Outcome(Result.RETRY_ALL, _describe(error))

    async def _send(
        self, url: httpx.URL, addresses: Sequence[Address], headers: Mapping[str, str], body: bytes
    ) -> Outcome:
        """Sends the request to the first address that accepts a connection. Raises httpx.HTTPError."""
        # A proxy of the environment would look the name up again.
        async with httpx.AsyncClient(verify=self._tls, trust_env=False, timeout=None, follow_redirects=False) as client:  # nosec B113 # noqa: S113 - the caller limits the time
            for address in addresses[:-1]:
                try:
                    return await self._send_to(client, address, url, headers, body)
                except httpx.ConnectError:
                    continue  # nothing was sent
            return await self._send_to(client, addresses[-1], url, headers, body)

    async def _send_to(
        self, client: httpx.AsyncClient, address: Address, url: httpx.URL, headers: Mapping[str, str], body: bytes
    ) -> Outcome:
        request = client.build_request(
            "POST",
            url.copy_with(host=str(address)),
            headers={**headers, "Host": url.netloc.decode()},
            content=body,
            extensions={"sni_hostname": url.raw_host.decode()},
        )
        response = await client.send(request, stream=True)
        # The status says whether the receiver has the message. Its body is not read, whatever its length.
        await response.aclose()
        phrase = response.reason_phrase if response.reason_phrase.isprintable() else ""
        return judge_status(
            response.status_code, phrase[:60], response.headers.get("Retry-After", ""), datetime.now(UTC)
        )


def _describe(error: BaseException) -> str:
    """Returns a short text about an error of a connection."""
    cause: BaseException | None = error
    while cause is not None:
        if isinstance(cause, ssl.SSLCertVerificationError):
            return f"the certificate of the receiver is not valid: {cause.verify_message}"
        if isinstance(cause, ssl.SSLError):
            return "the receiver does not speak TLS as expected"
        if isinstance(cause, ConnectionRefusedError):
            return "the receiver refused the connection"
        cause = cause.__cause__ or cause.__context__
    if isinstance(error, httpx.ConnectError):
        return "the receiver cannot be reached"
    return "the receiver closed the connection without a valid answer"
