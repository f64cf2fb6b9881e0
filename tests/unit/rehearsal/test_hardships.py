"""What a rehearsal's plan can ask for beside experiments, and what the model charges for it."""

from __future__ import annotations

import json
import re
import struct
import subprocess
import sys
import zlib
from pathlib import Path
from typing import Any

import anthropic
import openai
import pytest
from google import genai
from google.genai import errors, types

from images.rehearsal.scripted_model import materials
from images.rehearsal.scripted_model.conversation import (
    CUTS,
    Answer,
    Await,
    CompactEarly,
    Conversation,
    Delegate,
    Look,
    Output,
    Prompt,
    Said,
    Say,
    Shell,
    Step,
)
from images.rehearsal.scripted_model.hardships import HARDSHIPS, SUBTASK
from images.rehearsal.scripted_model.script import work
from images.rehearsal.scripted_model.server import DIALECTS, EASY, Hardness, hardness
from images.rehearsal.scripted_model.session import Session
from images.rehearsal.scripted_model.weight import PICTURE_TOKENS, media, weigh

from .play import FIRST, NUDGE, Cli, Sandbox, cli_tools, session_of
from .rig import CLIS, KEY, post_json, serving

PICTURE = "iVBORw0KGgo" * 100_000


def hard_session(*plan: str, provider: str = "anthropic") -> Session:
    return session_of(lambda: work(1, plan), CLIS[provider])


def steps_of(*plan: str, most: int = 40) -> list[Step]:
    """The steps of a rehearsal of this plan, in their order."""
    cli = Cli(hard_session(*plan), Sandbox().run)
    cli.events.append(Prompt(FIRST))
    for _ in range(most):
        answer = cli.ask()
        cli.events += [Said(), Output(answer.number, "done")]
    return cli.steps


@pytest.mark.parametrize("word", HARDSHIPS)
def test_an_ordinary_rehearsal_has_no_hardship(word: str) -> None:
    """What a plan has to ask for is not met without it, and nobody keeps an account then."""
    ordinary = steps_of("baseline", "improve", "crash", "worsen")
    assert all(isinstance(step, Shell) and not step.cut and not step.thinking for step in ordinary)
    assert hardness(("baseline", "explore"), print) == EASY
    assert hardness(("baseline", word), print) != EASY


def test_files_are_made_and_read() -> None:
    """Each file is made by shell, and then read with the CLI's own tool."""
    read = [step.path for step in steps_of("pdf", "notebook", "pictures") if isinstance(step, Look)]
    assert read == [materials.PDF, materials.NOTEBOOK, *materials.PICTURES]


def test_a_reading_that_was_cut_short_is_done_again() -> None:
    """A prompt where the file should have been makes the model read it once more."""
    cli = Cli(hard_session("pdf"), Sandbox().run)
    cli.events.append(Prompt(FIRST))
    while not isinstance((answer := cli.ask()).step, Look):
        cli.events += [Said(), Output(answer.number, "done")]
    cli.events += [Said(), Prompt(NUDGE)]
    assert cli.ask().step == answer.step


EARLY_COMPACTION = {
    "claude": "CLAUDE_AUTOCOMPACT_PCT_OVERRIDE",
    "codex": "model_auto_compact_token_limit",
    "gemini": "compressionThreshold",
}


def test_an_early_compaction_begins_with_the_next_turn() -> None:
    """The CLIs read when to compact as a turn begins, so the model ends its own."""
    cli = Cli(hard_session("narrow", "fill"), Sandbox().run)
    assert "new turn" in cli.turn(FIRST)
    (step,) = (step for step in cli.steps if isinstance(step, CompactEarly))
    for name, word in EARLY_COMPACTION.items():
        call = cli_tools(name).call(step, frozenset())
        assert call is not None
        assert word in json.dumps(call.arguments)
    cli.turn(NUDGE)
    assert Look(materials.TEXT, f"read {materials.TEXT}") in cli.steps


def test_thinking_costs_what_the_limit_lets_it() -> None:
    """A model that thinks fills what the request allows, and not more."""
    step = next(step for step in steps_of("think") if isinstance(step, Shell) and step.thinking)
    asked = Conversation((Prompt(FIRST),), frozenset({"Bash"}), "m", True, 100, output_limit=2000)
    thinking = Answer(asked, 1, step)
    assert thinking.bill(thinking.thinking_tokens(0)).output == 2000


def test_the_sub_agents_conversation_is_its_own() -> None:
    """A sub-agent is told from the main one by its task, and leaves the main one's place alone."""
    session = hard_session("delegate")
    main = Conversation((Prompt(FIRST),), frozenset({"Bash"}), "m", True, 100)
    first = session.answer(main)
    task = Conversation((Prompt(SUBTASK),), frozenset({"Bash"}), "small", True, 100)
    answer = session.answer(task)
    assert isinstance(answer.step, Shell)
    assert answer.call_id("toolu_") != first.call_id("toolu_")
    seen = (*task.events, Said(), Output(answer.number, "12 program.md"))
    done = session.answer(Conversation(seen, task.tools, "small", True, 100))
    assert "counted" in done.text
    assert session.answer(main).step == first.step


def test_a_sub_agent_that_has_a_number_is_waited_for() -> None:
    """Codex names the agent it started; the model then waits for it."""
    cli = Cli(hard_session("delegate"), Sandbox().run)
    cli.events.append(Prompt(FIRST))
    while not isinstance((answer := cli.ask()).step, Delegate):
        cli.events += [Said(), Output(answer.number, "done")]
    cli.events += [Said(), Output(answer.number, '{"agent_id":"01a2","nickname":"Ada"}')]
    assert cli.ask().step == Await(("01a2",))


READ, SPAWN = Look("material/figure-1.png", "look"), Delegate(SUBTASK, "have it counted", True)
OLDER, NEWER = {"exec_command"}, {"exec"}


@pytest.mark.parametrize(
    ("dialect", "tools", "step", "called", "words"),
    [
        ("anthropic", {"Bash"}, READ, "Read", "/workspace/material/figure-1.png"),
        ("anthropic", {"Bash"}, SPAWN, "Agent", "haiku"),
        ("openai", OLDER, READ, "view_image", "/workspace/material/figure-1.png"),
        ("openai", OLDER, Look("a.pdf", "read"), "exec_command", "head -c 36000 a.pdf"),
        ("openai", OLDER, SPAWN, "spawn_agent", "multi_agent_v1"),
        ("openai", OLDER, Await(("01a2",)), "wait_agent", "01a2"),
        ("openai", NEWER, READ, "exec", "image(await tools.view_image("),
        ("openai", NEWER, SPAWN, "spawn_agent", "collaboration"),
        ("google", {"run_shell_command"}, READ, "read_file", "material/figure-1.png"),
        ("google", {"run_shell_command"}, SPAWN, "invoke_agent", "generalist"),
        ("google", {"complete_task"}, Say("counted"), "complete_task", '"response": "counted"'),
    ],
)
def test_each_cli_is_spoken_to_in_its_own_words(
    dialect: str, tools: set[str], step: Step, called: str, words: str
) -> None:
    """A step becomes a call of the tool that this CLI has for it."""
    asked = Conversation((Prompt(FIRST),), frozenset(tools), "m", True, 100)
    call = cli_tools(CLIS[dialect]).call(step, asked.tools)
    answer = json.dumps(DIALECTS[dialect].whole(Answer(asked, 1, step, call)))
    assert f'"name": "{called}"' in answer
    assert words in answer.replace('\\"', '"')


def made(program: str, folder: Path) -> None:
    subprocess.run([sys.executable, "-c", program], cwd=folder, check=True, capture_output=True)


def test_the_pdf_is_one(tmp_path: Path) -> None:
    """Its table says where each object is, and there are three pages."""
    made(materials.MAKE_PDF, tmp_path)
    pdf = (tmp_path / materials.PDF).read_bytes()
    start = int(pdf.split(b"startxref\n")[1].split(b"\n")[0])
    assert pdf[start:].startswith(b"xref\n0 10\n")
    places = [int(line[:10]) for line in pdf[start:].splitlines()[3:12]]
    assert all(pdf[at:].startswith(b"%d 0 obj" % number) for number, at in enumerate(places, 1))
    assert len(re.findall(rb"/Type /Page\b", pdf)) == 3


def test_the_pictures_have_three_megabytes_each(tmp_path: Path) -> None:
    """Five PNGs of noise, whose rows come out whole."""
    made(materials.MAKE_PICTURES, tmp_path)
    for name in materials.PICTURES:
        png = (tmp_path / name).read_bytes()
        assert len(png) > 3_000_000
        width, height = struct.unpack(">II", png[16:24])
        (size,) = struct.unpack(">I", png[33:37])
        assert len(zlib.decompress(png[41 : 41 + size])) == height * (1 + 3 * width)


def test_the_notebook_has_text_code_and_a_picture(tmp_path: Path) -> None:
    """It holds what a notebook of an experiment holds."""
    made(materials.MAKE_NOTEBOOK, tmp_path)
    book = json.loads((tmp_path / materials.NOTEBOOK).read_text())
    assert [cell["cell_type"] for cell in book["cells"]] == ["markdown", "code"]
    assert "image/png" in book["cells"][1]["outputs"][1]["data"]


@pytest.mark.parametrize(
    "part",
    [
        {"type": "image", "source": {"type": "base64", "media_type": "image/png", "data": PICTURE}},
        {"type": "input_image", "image_url": f"data:image/png;base64,{PICTURE}"},
        {"inlineData": {"mimeType": "image/png", "data": PICTURE}},
    ],
)
def test_a_picture_weighs_what_a_picture_weighs(part: dict[str, Any]) -> None:
    """In each dialect, a picture counts by itself and not by its letters."""
    body = {"model": "m", "content": [part]}
    assert PICTURE_TOKENS < weigh(body) < PICTURE_TOKENS + 100
    assert media(body) == ("image/png",)


class CutSession(Session):
    """A session whose every streamed step is one that fails the first time."""

    def __init__(self, provider: str) -> None:
        super().__init__(self._work, lambda _: None, cli_tools(CLIS[provider]))

    def _work(self) -> Any:
        yield Shell("git status", "look around", cut=CUTS[0])


ASKED: dict[str, tuple[str, dict[str, Any]]] = {
    "anthropic": (
        "/v1/messages",
        {
            "model": "claude-opus-4-6", "max_tokens": 1000, "stream": True,
            "messages": [{"role": "user", "content": [
                {"type": "text", "text": FIRST, "cache_control": {"type": "ephemeral", "ttl": "1h"}}
            ]}],
            "tools": [{"name": "Bash", "input_schema": {"type": "object"}}],
        },
    ),
    "openai": (
        "/v1/responses",
        {
            "model": "gpt-6-sol", "stream": True,
            "input": [
                {"type": "additional_tools", "tools": [{"name": "exec", "type": "custom"}]},
                {"role": "user", "content": FIRST},
            ],
        },
    ),
    "google": (
        "/v1beta/models/gemini-3.1-pro-preview:streamGenerateContent",
        {
            "contents": [{"role": "user", "parts": [{"text": FIRST}]}],
            "tools": [{"functionDeclarations": [{"name": "run_shell_command"}]}],
        },
    ),
}  # fmt: skip


def ask(url: str, provider: str) -> str:
    """The whole stream of one request."""
    return post_json(url, *ASKED[provider])[1]


@pytest.mark.parametrize(
    ("provider", "failure", "usage"),
    [
        ("anthropic", '"overloaded_error"', '"cache_creation_input_tokens"'),
        ("openai", '"type": "response.failed"', '"usage": null'),
        ("google", '"status": "UNAVAILABLE"', '"promptTokenCount"'),
    ],
)
def test_a_stream_fails_once(provider: str, failure: str, usage: str) -> None:
    """It begins well, fails as the provider's do, and succeeds when it is asked for again."""
    charged: list[str] = []
    how = Hardness(account=charged.append)
    with serving(provider, CutSession(provider), how) as url:
        first, second = ask(url, provider), ask(url, provider)
    assert failure in first
    assert usage in first
    assert "git status" not in first
    assert failure not in second
    assert "git status" in second
    cut, whole = (json.loads(line.removeprefix("account: ")) for line in charged)
    assert (cut["cut"], whole["cut"]) == (True, False)
    assert cut["output"] < whole["output"]
    assert sum(cut[name] for name in ("input", "cache_write_5m", "cache_write_1h")) > 0


def test_sdks_take_a_broken_stream_for_what_it_is() -> None:
    """Each provider's own SDK raises, or says `response.failed`."""
    with serving("anthropic", CutSession("anthropic")) as url:
        client = anthropic.Anthropic(base_url=url, api_key=KEY, max_retries=0)
        body = ASKED["anthropic"][1] | {"stream": True}
        with client, pytest.raises(anthropic.APIStatusError, match="Overloaded"):
            list(client.messages.create(**body))
    with (
        serving("openai", CutSession("openai")) as url,
        openai.OpenAI(base_url=f"{url}/v1", api_key=KEY) as gpt,
    ):
        assert "response.failed" in [e.type for e in gpt.responses.create(**ASKED["openai"][1])]
    declared = types.FunctionDeclaration(name="run_shell_command")
    config = types.GenerateContentConfig(tools=[types.Tool(function_declarations=[declared])])
    with (
        serving("google", CutSession("google")) as url,
        genai.Client(api_key=KEY, http_options=types.HttpOptions(base_url=url)) as gemini,
    ):
        stream = gemini.models.generate_content_stream(model="m", contents=FIRST, config=config)
        with pytest.raises(errors.ServerError, match="overloaded"):
            list(stream)


def test_the_account_is_what_the_answer_reports() -> None:
    """What is written into the account is what the answer's own usage says, kind by kind."""
    charged: list[str] = []
    how = Hardness(account=charged.append)
    with serving("anthropic", hard_session("pdf"), how) as url:
        answer = ask(url, "anthropic")
    entry = json.loads(charged[0].removeprefix("account: "))
    assert f'"ephemeral_1h_input_tokens": {entry["cache_write_1h"]}' in answer
    assert f'"usage": {{"output_tokens": {entry["output"]}}}' in answer
    with serving("openai", hard_session("pdf", provider="openai"), how) as url:
        answer = ask(url, "openai")
    entry = json.loads(charged[1].removeprefix("account: "))
    assert f'"cache_write_tokens": {entry["cache_write_5m"]}' in answer
    assert f'"output_tokens": {entry["output"]}' in answer


def test_a_count_fails_in_several_ways() -> None:
    """It is refused, late, and not found; an answer still comes."""
    path, body = "/v1/messages/count_tokens", {"model": "m", "messages": []}
    how = Hardness(uncounted=True, slow_seconds=0.0)
    with serving("anthropic", hard_session("uncounted"), how) as url:
        seen = [post_json(url, path, body)[0] for _ in range(3)]
        assert "message_stop" in ask(url, "anthropic")
    assert seen == [500, 504, 404]
