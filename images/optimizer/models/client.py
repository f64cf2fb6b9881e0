"""Asks the run's model, by the provider's SDK and through the gateway's socket.

Invariant: what a model or a provider does wrong becomes a `NoAnswer` with a reason for people. Only
that no request can succeed is an error: the run may not ask any more, or has no model. The gateway
repeats what the provider refuses, so what is repeated here is only what the gateway cannot: a
request that found no gateway, and one that it asked to send again later. A reply that was begun is
paid for, and is not asked for again.
"""

from __future__ import annotations

import re
import threading
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor, as_completed
from dataclasses import dataclass
from pathlib import Path

from model_config import ModelConfig
from tenacity import RetryCallState, Retrying, retry_if_exception, wait_exponential

from models.replies import Api, AwayError, NoReplyError, Reply, StatusError
from models.terms import Answer, NoAnswer, OutOfBudgetError, Prompt, UselessModelError

SOCKET = Path("/run/gateway/llm.sock")
AT_ONCE = 20
MAX_ANSWER_CHARS = 2 << 20
BAD_REQUEST = (400, 422)
# An empty account, a refused key, an unknown model: no other request fares better.
USELESS = (401, 402, 403, 404)
GOOGLE_REFUSES_KEY = re.compile(r"API key (not valid|expired)", re.I)  # with status 400
SPENT = "cap"
EMPTY_ACCOUNT = "quota"
ORPHANED = "orphaned"
LATER = ("busy", "ledger", ORPHANED)


@dataclass(frozen=True)
class Patience:
    """How long a request waits, between its attempts, for what passes.

    Attributes:
        away_seconds: for a gateway that is started again.
        busy_seconds: for one that is busy, or whose other requests hold what is left to spend.
        orphaned_seconds: for a runner that is gone. An answer that is given up now would be kept,
            and a resumed run would have it; so PID 1's deadline ends this wait, not this bound.
    """

    away_seconds: float = 60.0
    busy_seconds: float = 300.0
    orphaned_seconds: float = 7 * 24 * 3600.0


class ModelClient:
    """A model behind the gateway: the `Model` of terms.py, and `Arriving` of kept.py.

    Args:
        api: the provider's.
        patience: how long a request waits.
        note: is told, once for each, of a part that requests go without because the provider
            refuses it. Any thread may call it, one at a time.
    """

    def __init__(self, api: Api, patience: Patience, note: Callable[[str], None]) -> None:
        self._api = api
        self._patience = patience
        self._note = note
        self._threads = ThreadPoolExecutor(AT_ONCE, thread_name_prefix="model")
        self._refused = threading.Lock()
        self._without: frozenset[str] = frozenset()

    def ask(self, prompts: Sequence[Prompt]) -> list[Answer | NoAnswer]:
        """The answers, in the order of the prompts; up to `AT_ONCE` are asked side by side.

        Raises:
            OutOfBudgetError: the gateway admits no further request of this run.
            UselessModelError: the provider serves this run no model.
        """
        answers = dict(self.arriving(prompts))
        return [answers[place] for place in range(len(prompts))]

    def arriving(self, prompts: Sequence[Prompt]) -> Iterator[tuple[int, Answer | NoAnswer]]:
        """Place in `prompts` and answer, in the order in which they come.

        Raises:
            OutOfBudgetError: after the last answer, if the run may not ask any more.
            UselessModelError: likewise, if the provider serves this run no model.
        """
        places = {self._threads.submit(self._answer, one): n for n, one in enumerate(prompts)}
        try:
            yield from self._collected(places)
        finally:
            _cancel(places)

    def _collected(
        self, places: dict[Future[Answer | NoAnswer], int]
    ) -> Iterator[tuple[int, Answer | NoAnswer]]:
        ends: OutOfBudgetError | UselessModelError | None = None
        for future in as_completed(places):
            if future.cancelled():
                continue
            try:
                answer = future.result()
            except (OutOfBudgetError, UselessModelError) as error:
                ends = ends or error
                _cancel(places)  # the others that are under way were admitted
                continue
            yield places[future], answer
        if ends is not None:
            raise ends

    def _answer(self, prompt: Prompt) -> Answer | NoAnswer:
        try:
            return _judged(self._reply(prompt))
        except StatusError as error:
            return _failure(error)
        except AwayError as error:
            return NoAnswer(f"the gateway could not be reached ({error})")
        except NoReplyError as error:
            return NoAnswer(str(error), error.request)

    def _reply(self, prompt: Prompt) -> Reply:
        """The reply, after parts of the request were left out where they are refused."""
        while True:
            without = self._without
            try:
                return self._patiently(prompt, without)
            except StatusError as error:
                refused = self._refused_part(error, without)
                if refused is None:
                    raise
                self._leave_out(refused, error.message)

    def _leave_out(self, part: str, why: str) -> None:
        with self._refused:
            if part not in self._without:
                self._without |= {part}
                self._note(f"from now on the model is asked without {part}: {why}")

    def _refused_part(self, error: StatusError, without: frozenset[str]) -> str | None:
        if error.refusal or error.status not in BAD_REQUEST:
            return None
        for fallback in self._api.fallbacks:
            if fallback.name not in without and fallback.refused.search(error.message):
                return fallback.name
        return None

    def _patiently(self, prompt: Prompt, without: frozenset[str]) -> Reply:
        retrying = Retrying(
            retry=retry_if_exception(_passes),
            wait=wait_exponential(multiplier=0.1, max=5),
            stop=self._waited_enough,
            reraise=True,
        )
        return retrying(self._api.send, prompt, without)

    def _waited_enough(self, state: RetryCallState) -> bool:
        """Whether the waits so far, without the attempts, are all that this failure is worth."""
        error = state.outcome.exception() if state.outcome else None
        if isinstance(error, AwayError):
            return state.idle_for >= self._patience.away_seconds
        if isinstance(error, StatusError) and error.refusal == ORPHANED:
            return state.idle_for >= self._patience.orphaned_seconds
        return state.idle_for >= self._patience.busy_seconds


def _no_note(_note: str) -> None:
    pass


def open_model(
    config: ModelConfig,
    socket: Path = SOCKET,
    patience: Patience | None = None,
    note: Callable[[str], None] = _no_note,
) -> ModelClient:
    """The model of a run.

    Args:
        config: names the provider and the model, and has the token.
        socket: the gateway's; it need not be there yet.
        patience: how long a request waits; None for the usual times.
        note: see `ModelClient`.
    """
    return ModelClient(_api(config, str(socket)), patience or Patience(), note)


def _api(config: ModelConfig, socket: str) -> Api:
    """The provider's API; only its own SDK is imported, which takes a second or more."""
    if config.provider == "anthropic":
        from models.anthropic_api import AnthropicApi

        return AnthropicApi(config.model, config.token, socket)
    if config.provider == "openai":
        from models.openai_api import OpenAIApi

        return OpenAIApi(config.model, config.token, socket)
    from models.google_api import GoogleApi

    return GoogleApi(config.model, config.token, socket)


def _passes(error: BaseException) -> bool:
    """Whether the same request may succeed later."""
    return isinstance(error, AwayError) or (
        isinstance(error, StatusError) and error.refusal in LATER
    )


def _cancel(futures: dict[Future[Answer | NoAnswer], int]) -> None:
    for future in futures:
        future.cancel()


def _judged(reply: Reply) -> Answer | NoAnswer:
    """The answer in a reply, if it has one."""
    if reply.declined:
        return NoAnswer(f"the model did not answer: {reply.declined}", reply.request)
    if len(reply.text) > MAX_ANSWER_CHARS:
        size = f"{len(reply.text)} characters, and at most {MAX_ANSWER_CHARS} are read"
        return NoAnswer(f"the answer has {size}", reply.request)
    if not reply.text.strip():
        why = "its thoughts took all of max_tokens" if reply.cut else "it is empty"
        return NoAnswer(f"the model gave no answer: {why}", reply.request)
    text = reply.text.encode("utf-8", "replace").decode()  # half of a surrogate pair is no text
    return Answer(text, reply.request, cut=reply.cut)


def _failure(error: StatusError) -> NoAnswer:
    """What is said of a response that is no answer.

    Raises:
        OutOfBudgetError: it says that the run may not ask any more.
        UselessModelError: it says that the provider serves this run no model.
    """
    message = error.message.removeprefix("gateway: ")
    if error.refusal == SPENT:
        raise OutOfBudgetError(message)
    if error.refusal == EMPTY_ACCOUNT:
        raise UselessModelError(message)
    if error.refusal:
        return NoAnswer(f"the gateway refused the request: {message}", error.request)
    reason = f"the provider answered {error.status}: {message}"
    if error.status in USELESS or GOOGLE_REFUSES_KEY.match(message):
        raise UselessModelError(reason)
    return NoAnswer(reason, error.request)
