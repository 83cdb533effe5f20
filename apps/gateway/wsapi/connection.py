"""One WebSocket API connection: session by ticket, signed requests, user data.

Requests of one connection start in the order they came and run side by side; orders keep their order in the log,
because each begins and is admitted in the order of the frames. A flood or garbage cuts the connection off. A session by
ticket that nobody uses ends as one of the site does (threat-T5); its page comes back, and the site says who it is then.

Of more requests than may run at once the first waits for room, and the ones after it are not read; without room for
WSAPI_ROOM_WAIT_S they are refused, until a request ends.
"""

import asyncio
import time
from collections import deque
from collections.abc import Callable
from typing import TYPE_CHECKING, Final

import structlog

from apps.accounts.policy import SESSION_ABSOLUTE_S, SESSION_IDLE_S
from apps.common.clock import now_us
from apps.common.crashpoints import reach
from apps.gateway import errors, handshake, params, signature, timeunit
from apps.gateway.asgi import Receive, Scope, Send, header
from apps.gateway.errors import ApiError
from apps.gateway.http import address_of
from apps.gateway.keys import Credential, Revocable
from apps.gateway.limits.admission import check
from apps.gateway.metrics import CUT_OFF, SOCKETS, ws_requests
from apps.gateway.params import Flag
from apps.gateway.policy import (
    LOGONS_FAILED_MAX,
    WSAPI_GARBAGE_MAX,
    WSAPI_IN_FLIGHT_MAX,
    WSAPI_REQUESTS_PER_S,
    WSAPI_ROOM_WAIT_S,
)
from apps.gateway.registry import Call, Endpoint, Security
from apps.gateway.socket import POLICY_VIOLATION, Socket
from apps.gateway.wsapi import frames
from apps.gateway.wsapi.frames import FrameError, Request
from apps.gateway.wsapi.session import SESSION_METHODS, SHOW_LIMITS, session_weight, without
from apps.gateway.wsapi.subscriptions import Subscriptions

if TYPE_CHECKING:
    from apps.gateway.gateway import Gateway

log = structlog.get_logger("nebannpet.gateway.wsapi")

REVOKED: Final = 4001
BANNED: Final = 418
API_KEY: Final = "apiKey"


class WsApiConnection(Revocable):
    def __init__(
        self, gateway: "Gateway", socket: Socket, *, address: str, own_origin: bool, shows_limits: bool = True,
        in_microseconds: bool = False,
    ) -> None:  # fmt: skip
        self.gateway = gateway
        self.socket = socket
        self.address: str = address
        # Only a page of ours may log on: a foreign page has no ticket, and must not even try one.
        self.own_origin = own_origin
        self.shows_limits = shows_limits
        self.in_microseconds = in_microseconds
        self.session: Credential | None = None
        self.session_since_ms: int | None = None
        # By time.monotonic(): when the session asked for something, and who looks whether it still does.
        self._used_s = 0.0
        self._idle: asyncio.TimerHandle | None = None
        self.subscriptions = Subscriptions(self)
        self._followed: dict[tuple[str, int], Credential] = {}
        self._tasks: set[asyncio.Task[None]] = set()
        # Waits for room.
        self._next: Request | None = None
        self._patience: asyncio.TimerHandle | None = None
        # It waited in vain, and no request has ended since.
        self._stands_still = False
        self._recent: deque[float] = deque(maxlen=WSAPI_REQUESTS_PER_S)
        self._garbage = 0
        self._failed_logons = 0
        self._after_answers: list[Callable[[], None]] = []
        self.connected_ms = now_us() // 1000

    # -- frames -------------------------------------------------------------------------------------------------------
    def on_text(self, text: str | None) -> None:
        """A message came; None for one that is no text. Requests start in the order of their frames."""
        if self.socket.closed:
            return
        now = time.monotonic()
        if len(self._recent) == WSAPI_REQUESTS_PER_S and now - self._recent[0] < 1.0:
            CUT_OFF.labels("flood").inc()
            self.socket.close(POLICY_VIOLATION, "Too many requests")
            return
        self._recent.append(now)
        try:
            if text is None:
                raise FrameError(errors.malformed_frame("text frames only"))
            request = frames.parse(text)
        except FrameError as error:
            self._refuse_frame(error)
            return
        self._garbage = 0
        if len(self._tasks) < WSAPI_IN_FLIGHT_MAX:
            self._start(request)
        elif self._stands_still:
            self._refuse(request)
        else:
            self._next = request
            self._patience = asyncio.get_running_loop().call_later(WSAPI_ROOM_WAIT_S, self._give_up)
            self.socket.hold()

    def _start(self, request: Request) -> None:
        # Tasks begin in the order in which they were made, and so do their commands come into the log.
        task = asyncio.create_task(self._answer(request))
        self._tasks.add(task)
        task.add_done_callback(self._ended)

    def _ended(self, task: asyncio.Task[None]) -> None:
        self._tasks.discard(task)
        self._stands_still = False
        if self._next is not None and len(self._tasks) == WSAPI_IN_FLIGHT_MAX - 1:
            # After the others that end in this turn, so that there is room for as many as possible.
            asyncio.get_running_loop().call_soon(self._go_on)

    def _go_on(self) -> None:
        """There is room."""
        request = self._take_next()
        if request is not None:
            self._start(request)
            self.socket.go_on()

    def _give_up(self) -> None:
        """There was none for WSAPI_ROOM_WAIT_S."""
        request = self._take_next()
        if request is not None:
            self._stands_still = True
            self._refuse(request)
            self.socket.go_on()

    def _take_next(self) -> Request | None:
        request, self._next = self._next, None
        if self._patience is not None:
            self._patience.cancel()
            self._patience = None
        return request if not self.socket.closed else None

    def _refuse(self, request: Request) -> None:
        self._count_refused()
        self.socket.push(frames.refusal(request.id, errors.too_many_requests()))

    def _count_refused(self) -> None:
        """A frame that becomes no request counts all the same; nobody waits for the verdict."""
        self.gateway.limits.admit(self.address, 1)

    def _refuse_frame(self, error: FrameError) -> None:
        self._count_refused()
        self._garbage += 1
        if self._garbage > WSAPI_GARBAGE_MAX:
            CUT_OFF.labels("garbage").inc()
            self.socket.close(POLICY_VIOLATION, "Too many malformed requests")
            return
        self.socket.push(frames.refusal(error.request_id, error.error))

    async def _answer(self, request: Request) -> None:
        endpoint = self.gateway.registry.ws.get(request.method)
        trading, limits, sent, shows = False, "", request.params, self.shows_limits
        received_us = now_us()
        try:
            handler = SESSION_METHODS.get(request.method)
            call: Call | None = None
            credential: Credential | None = None
            refused: ApiError | None = None
            try:
                shows, sent = self._shows_limits(sent)
                if not self.gateway.follower.started.is_set():
                    raise errors.not_executed()
                if endpoint is not None:
                    credential = await self._authorize(endpoint, request.params, received_us)
                    call = _call(endpoint, sent, credential, received_us)
                elif handler is None:
                    raise errors.unknown_ws_method()
            except ApiError as error:
                refused = error
            if call is not None:
                weight = call.endpoint.weight_of(call.values)
            else:
                weight = session_weight(request.params, self.gateway.tail.seq) if handler is not None else 1
            orders = call.endpoint.orders if call is not None else None
            usage = await self.gateway.limits.admit(self.address, weight, credential=credential, orders=orders)
            tier = self.gateway.limits.tier(credential)
            if shows:
                limits = frames.rate_limits(tier, usage, shows_orders=bool(orders))
            check(usage, tier, call, is_wallet=False, at_ms=received_us // 1000)
            if refused is not None:
                raise refused
            if call is not None:
                if credential is not None:
                    self._check_still(credential, call.endpoint, request.params)
                trading = call.endpoint.security is Security.TRADE
                result = await call.endpoint.handler(self.gateway, call)
            else:
                assert handler is not None, "a request without endpoint is one of the session"
                result = await handler(self, request.params)
            if self.in_microseconds:
                result = timeunit.in_microseconds(result)
            status, text = 200, frames.answer(request.id, result, limits)
        except ApiError as error:
            status = error.status
            text = frames.refusal(
                request.id, error, limits, now_ms=received_us // 1000, in_microseconds=self.in_microseconds
            )
        except Exception:  # the top of a request: the client gets a documented answer, the log the reason
            log.exception("a request failed", method=request.method)
            failure = errors.unknown_outcome() if trading else errors.unknown_error()
            status, text = failure.status, frames.refusal(request.id, failure, limits)
        known = endpoint is not None or request.method in SESSION_METHODS
        ws_requests(request.method if known else "unknown", status).inc()
        if trading:
            reach("gateway.reply.before")
        self.socket.push(text)
        if self._after_answers:
            todo, self._after_answers = self._after_answers, []
            for action in todo:
                action()
        if status == BANNED:
            CUT_OFF.labels("banned").inc()
            self.socket.close(POLICY_VIOLATION, "The address is banned for a while.")

    def _shows_limits(self, sent: dict[str, str]) -> tuple[bool, dict[str, str]]:
        """Whether the answer shows what is used, and the other parameters."""
        if SHOW_LIMITS not in sent:
            return self.shows_limits, sent
        return Flag(SHOW_LIMITS).parse(sent[SHOW_LIMITS]), without(SHOW_LIMITS, sent)

    def after_answer(self, action: Callable[[], None]) -> None:
        """Do something once the answer of the request under way is queued. Call it without a wait in between."""
        self._after_answers.append(action)

    async def _authorize(self, endpoint: Endpoint, signed: dict[str, str], received_us: int) -> Credential | None:
        """Who may do this; nobody where anybody may. `signed`: everything that was sent, as the signature covers it."""
        if endpoint.security is Security.NONE:
            return None
        if endpoint.security is Security.USER_STREAM and signed.get("apiKey") and "signature" not in signed:
            credential = await self._find(signed["apiKey"])
            self._note(credential, received_us)
        else:
            credential = await self.authenticate(signed, received_us)
        self.gateway.credentials.check(credential, endpoint)
        return credential

    def _check_still(self, credential: Credential, endpoint: Endpoint, sent: dict[str, str]) -> None:
        """Who was allowed before the request waited for admission may not be any more. Raises as Credential.check and
        `authenticate`: the session may have ended or changed, of which a credential does not always tell.
        """
        credential.check_still(endpoint, self.address)
        if self.session is not credential and not _is_signed(sent):
            raise errors.session_required()

    # -- who is calling -----------------------------------------------------------------------------------------------
    async def authenticate(self, sent: dict[str, str], received_us: int) -> Credential:
        """The signer of this request, else the session's account. Raises -1022, -1021, -2014, -2015."""
        if _is_signed(sent):
            return await self.verify_signed(sent, received_us)
        if self.session is None:
            raise errors.session_required()
        if sent.get("timestamp"):
            signature.check_time(sent["timestamp"], sent.get("recvWindow"), now_us=received_us)
        if self.session.kind == "key":
            self._note(self.session, received_us)
        self._used_s = time.monotonic()
        return self.session

    async def verify_signed(self, sent: dict[str, str], received_us: int) -> Credential:
        for name in ("apiKey", "signature"):
            if not sent.get(name):
                raise errors.missing(name)
        credential = await self._find(sent["apiKey"])
        verifier = credential.verifier
        assert verifier is not None, "API keys can verify"
        if not any(verifier.matches(message, sent["signature"]) for message in frames.signed_messages(sent)):
            raise errors.bad_signature()
        signature.check_time(sent.get("timestamp"), sent.get("recvWindow"), now_us=received_us)
        self._note(credential, received_us)
        return credential

    def _note(self, key: Credential, received_us: int) -> None:
        self.gateway.credentials.last_uses.note(key.id, received_us, self.address)

    async def _find(self, api_key: str) -> Credential:
        known = self.gateway.credentials.knows(api_key)
        self.gateway.limits.check_before_signature(self.address, knows_key=known)
        return await self.gateway.credentials.find(api_key, self.address)

    def log_on(self, session: Credential) -> None:
        """Requests without a signature are this account's from now on."""
        self.session, self.session_since_ms = session, now_us() // 1000
        self.follow(session)
        if session.kind == "ticket":
            self._used_s = time.monotonic()
            self._look_for_use(self._used_s + SESSION_ABSOLUTE_S)

    def _look_for_use(self, ends_s: float) -> None:
        """Now and whenever the session would be idle for too long; in any case it is over at `ends_s`."""
        left_s = min(self._used_s + SESSION_IDLE_S, ends_s) - time.monotonic()
        if left_s > 0:
            self._idle = asyncio.get_running_loop().call_later(left_s, self._look_for_use, ends_s)
        else:
            self.on_revoked()

    def _stop_looking(self) -> None:
        if self._idle is not None:
            self._idle.cancel()
            self._idle = None

    def count_failed_logon(self) -> None:
        self._failed_logons += 1
        if self._failed_logons >= LOGONS_FAILED_MAX:
            CUT_OFF.labels("logons").inc()
            self.socket.close(POLICY_VIOLATION, "Too many failed log-ons")

    def log_off(self) -> None:
        self.session, self.session_since_ms = None, None
        self._stop_looking()

    def follow(self, credential: Credential) -> None:
        """Close this connection when the credential is revoked. One that has ended is not followed: nobody would
        ever take it off the list again.
        """
        if self.socket.closed:
            return
        self._followed[(credential.kind, credential.id)] = credential
        self.gateway.credentials.follow(credential, self)

    def on_revoked(self) -> None:
        """The session ends with it, also where another key was revoked: a credential itself is not this connection's
        to mark, since a key's is everybody's who uses the key.
        """
        self.log_off()
        self.socket.close(REVOKED, "The session or key was revoked.")

    def leave(self) -> None:
        """The connection has ended. Requests under way go on: their commands may be in the log already."""
        self._take_next()
        self._stop_looking()
        self.subscriptions.leave()
        for credential in self._followed.values():
            self.gateway.credentials.unfollow(credential, self)


def _is_signed(sent: dict[str, str]) -> bool:
    """Or means to be; without either the session is asked."""
    return "signature" in sent or API_KEY in sent


def _call(endpoint: Endpoint, sent: dict[str, str], credential: Credential | None, received_us: int) -> Call:
    """Validate."""
    if API_KEY in sent:
        # The other parameters of security no endpoint knows anyway.
        sent = without(API_KEY, sent)
    return Call(
        endpoint=endpoint,
        values=endpoint.reader.read(sent),
        credential=credential,
        received_ms=received_us // 1000,
    )


async def serve(gateway: "Gateway", scope: Scope, receive: Receive, send: Send) -> None:
    try:
        asked = params.parse_pairs(scope["query_string"])
        shows_limits = SHOW_LIMITS not in asked or Flag(SHOW_LIMITS).parse(asked[SHOW_LIMITS])
        in_microseconds = "timeUnit" in asked and timeunit.is_microseconds(asked["timeUnit"])
    except ApiError as error:
        await handshake.refuse(receive, send, error)
        return
    socket = Socket(scope, receive, send)
    origin = (header(scope, b"origin") or b"").decode("latin-1")
    connection = WsApiConnection(
        gateway, socket, address=address_of(scope), own_origin=origin in gateway.config.origins,
        shows_limits=shows_limits, in_microseconds=in_microseconds,
    )  # fmt: skip
    gauge = SOCKETS.labels("ws-api")
    gauge.inc()
    try:
        with gateway.drain.socket(lambda time_ms: socket.push(f'{{"event":{{"e":"serverShutdown","E":{time_ms}}}}}')):
            await socket.run(on_text=connection.on_text)
    finally:
        gauge.dec()
        connection.leave()
