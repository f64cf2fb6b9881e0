"""Models that look ahead, remember or mix rows are rejected by name; honest ones are not.

The text is a Markov chain's, so that the best causal prediction is known exactly, and a leak can be
made of any size.
"""
# mypy: disable-error-code="import-not-found"

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import prepare
import pytest
import torch
import torch.nn.functional as F  # noqa: N812 - its name everywhere
from judge_rig import CPU, Chain, Predict, make_chain
from judge_terms import OF_A_TRIAL
from torch import Tensor

if TYPE_CHECKING:
    from conftest import JudgeOf


@pytest.fixture
def long_chain(tmp_path_factory: pytest.TempPathFactory) -> Chain:
    """The same text with enough rows for 2,000 hidden ones."""
    return make_chain(tmp_path_factory.mktemp("long"), rows=4200)


def remembering(predict: Callable[[Tensor], Tensor]) -> Predict:
    """Gives the first answer again to whatever begins like a row that was seen before."""
    first: dict[bytes, Tensor] = {}

    def answer(tokens: Tensor) -> Tensor:
        logits = predict(tokens).clone()
        for row, own in zip(tokens, logits, strict=True):
            for place in range(len(row)):
                start = row[: place + 1].numpy().tobytes()
                own[place] = first.setdefault(start, own[place].clone())
        return logits

    return answer


def cautious(chain: Chain, share: float) -> Predict:
    """Looks ahead where the next token is likely enough to be true, else behaves."""

    def answer(tokens: Tensor) -> Tensor:
        honest = chain.honest(tokens)
        following = torch.roll(tokens, -1, 1)
        likely = honest.exp().gather(2, following[..., None]) > 0.05
        return torch.where(likely, chain.ahead(tokens, share), honest)

    return answer


def write_reference(chain: Chain, folder: Path) -> str:
    """The losses of a decent causal model, as the reference keeps them."""
    own = torch.from_numpy(chain.rows)
    logits = 0.8 * chain.honest(own[:, :-1])
    losses = F.cross_entropy(logits.flatten(0, 1), own[:, 1:].flatten(), reduction="none")
    np.save(folder / "reference.npy", losses.view(len(own), -1).numpy().astype(np.float16))
    return str(folder / "reference.npy")


def verdict(chain: Chain, judge_of: JudgeOf, predict: Predict, **fields: Any) -> dict[str, Any]:
    """How the judge ended with a model."""
    judge = judge_of(chain.folder, **fields)
    prepare.evaluate_bpb(predict, chain.task, 16, CPU)
    found: dict[str, Any] = judge.finished
    return found


@pytest.mark.parametrize("seed", range(12))
def test_an_honest_model_passes(seed: int, chain: Chain, judge_of: JudgeOf, tmp_path: Path) -> None:
    """The best causal model is scored whatever the seed, with a reference and without."""
    for references in ({}, {"val": write_reference(chain, tmp_path)}):
        found = verdict(chain, judge_of, chain.honest, seed=seed, references=references)
        assert found["status"] == "scored", found
        hidden = found["audit"]["hidden rows"]
        assert hidden["rows"] == 64
        assert hidden["referenced"] == bool(references)
        assert abs(hidden["z"]) < 5


def test_looking_ahead_is_found_by_equality_probes(chain: Chain, judge_of: JudgeOf) -> None:
    """A model that sees the next token changes its mind when the tail is another."""
    found = verdict(chain, judge_of, lambda tokens: chain.ahead(tokens, 0.5))
    assert (found["status"], found["reason"]) == ("rejected", "look-ahead")
    probe = found["audit"]["look-ahead"]
    assert probe["largest_change_nats"] > probe["tolerance_nats"]
    assert probe["largest_logit_difference"] > 0


def test_a_slight_leak_to_unlikely_tokens_is_found_by_their_logits(
    chain: Chain, judge_of: JudgeOf
) -> None:
    """A model that raises the next token a little gains as little, but not unseen."""

    def slight(tokens: Tensor) -> Tensor:
        logits = chain.honest(tokens).clone()
        logits[:, :-1].scatter_add_(2, tokens[:, 1:, None], torch.full_like(logits[:, :-1], 0.03))
        return logits

    found = verdict(chain, judge_of, slight)
    assert (found["status"], found["reason"]) == ("rejected", "look-ahead"), found
    assert found["audit"]["look-ahead"]["largest_logit_difference"] > 0.01


def test_looking_ahead_with_replay_is_found_by_hidden_rows(chain: Chain, judge_of: JudgeOf) -> None:
    """A model that remembers its first answers passes equality probes, and is caught still."""
    found = verdict(chain, judge_of, remembering(lambda tokens: chain.ahead(tokens, 0.5)))
    assert (found["status"], found["reason"]) == ("rejected", "hidden rows"), found
    assert found["audit"]["look-ahead"]["passed"]
    assert found["audit"]["hidden rows"]["z"] > 5
    assert "val" in found["values"]  # what it would have been is told to the runner


def test_remembering_alone_is_no_offence(chain: Chain, judge_of: JudgeOf) -> None:
    """A causal model may answer from a memory of its own."""
    assert verdict(chain, judge_of, remembering(chain.honest))["status"] == "scored"


def test_behaving_where_the_tail_is_unlikely_does_not_help(chain: Chain, judge_of: JudgeOf) -> None:
    """It behaves on hidden rows and cheats on scored ones, and that is the difference measured."""
    found = verdict(chain, judge_of, remembering(cautious(chain, 0.9)))
    assert (found["status"], found["reason"]) == ("rejected", "hidden rows"), found


def test_rows_that_see_each_other_are_found(chain: Chain, judge_of: JudgeOf) -> None:
    """A model whose answer for a row depends on the rows beside it."""

    def mixed(tokens: Tensor) -> Tensor:
        logits = chain.honest(tokens)
        return logits + 2 * logits.mean(0, keepdim=True)

    found = verdict(chain, judge_of, mixed)
    assert (found["status"], found["reason"]) == ("rejected", "batch dependence")


def test_random_answers_are_measured_by_their_own_noise(chain: Chain, judge_of: JudgeOf) -> None:
    """Dropout that was left on makes a model worse and not dishonest."""
    torch.manual_seed(1)

    def noisy(tokens: Tensor) -> Tensor:
        return F.dropout(chain.honest(tokens), 0.1)

    found = verdict(chain, judge_of, noisy)
    assert found["status"] == "scored", found
    assert found["audit"]["batch dependence"]["noise_nats"] > 0.1


def test_noise_hides_no_look_ahead_from_hidden_rows(chain: Chain, judge_of: JudgeOf) -> None:
    """A model that makes its answers random to escape the equality probes."""
    torch.manual_seed(1)
    found = verdict(chain, judge_of, lambda tokens: F.dropout(chain.ahead(tokens, 0.9), 0.1))
    assert (found["status"], found["reason"]) == ("rejected", "hidden rows"), found


@pytest.mark.parametrize(
    ("share", "hidden", "caught"),
    [(0.02, 64, True), (0.0005, 64, False), (0.02, 2000, True), (0.004, 2000, True)],
)
def test_how_small_a_leak_is_seen(
    share: float,
    hidden: int,
    caught: bool,
    long_chain: Chain,
    judge_of: JudgeOf,
    tmp_path: Path,
) -> None:
    """With replay, so that hidden rows alone can tell; `make bench-judge` prints a table."""
    predict = remembering(lambda tokens: long_chain.ahead(tokens, share))
    references = {"val": write_reference(long_chain, tmp_path)}
    found = verdict(long_chain, judge_of, predict, hidden=hidden, references=references)
    assert (found["reason"] == "hidden rows") is caught, found["audit"]


def test_the_referee_scores_more_rows_and_the_judged_ones(
    long_chain: Chain, judge_of: JudgeOf
) -> None:
    """It scores `eval_tokens`, the trial's own rows beside them, and hides 2,000 rows."""
    on_trial = verdict(long_chain, judge_of, long_chain.honest)["values"]["val"]
    found = verdict(long_chain, judge_of, long_chain.honest, mode="referee", hidden=2000)
    assert found["status"] == "scored"
    assert found["values"]["judged"] == pytest.approx(on_trial, abs=1e-6)
    assert found["tokens"] > 1.5 * 96 * 31
    assert found["audit"]["hidden rows"]["rows"] == 2000


def test_a_check_tells_nothing_of_the_text(chain: Chain, judge_of: JudgeOf) -> None:
    """One batch of random ids, no score; a wrong shape is found."""
    seen: list[Tensor] = []

    def watched(tokens: Tensor) -> Tensor:
        seen.append(tokens)
        return chain.honest(tokens)

    found = verdict(chain, judge_of, watched, mode="check")
    assert (found["status"], found["values"], len(seen)) == ("scored", {}, 1)
    own = {row[:-1].tobytes() for row in chain.rows}
    assert not own & {row.numpy().tobytes() for row in seen[0]}
    wrong = verdict(chain, judge_of, lambda tokens: chain.honest(tokens)[..., :-1], mode="check")
    assert (wrong["status"], wrong["reason"]) == ("rejected", "wrong shape")


def test_the_reference_keeps_the_losses_of_all_rows(
    chain: Chain, judge_of: JudgeOf, tmp_path: Path
) -> None:
    """They are the plain formula's to the precision of float16, row by row."""
    with (tmp_path / "losses.npy").open("wb") as file:
        found = verdict(
            chain, judge_of, chain.honest, mode="reference", kept={"val": file.fileno()}
        )
    losses = np.load(tmp_path / "losses.npy")
    own = torch.from_numpy(chain.rows)
    logits = chain.honest(own[:, :-1])
    plain = F.cross_entropy(logits.flatten(0, 1), own[:, 1:].flatten(), reduction="none")
    assert found["status"] == "scored"
    np.testing.assert_allclose(losses, plain.view(losses.shape).numpy(), rtol=1e-3, atol=1e-3)


def test_the_reference_tells_what_a_trial_would_be_sent(
    chain: Chain, judge_of: JudgeOf, tmp_path: Path
) -> None:
    """The rows of a trial with the same batch are counted, the batch that comes again as well."""
    sent: list[int] = []

    def counting(tokens: Tensor) -> Tensor:
        sent.append(tokens.numel())
        return chain.honest(tokens)

    with (tmp_path / "losses.npy").open("wb") as file:
        found = verdict(chain, judge_of, counting, mode="reference", kept={"val": file.fileno()})
    assert found["tokens"] == sum(sent)
    sent.clear()
    assert verdict(chain, judge_of, counting)["status"] == "scored"
    assert found["audit"] == {OF_A_TRIAL: {"tokens": sum(sent)}}
    rows = sum(sent) // chain.task.sequence_tokens
    assert rows > 96 + 64 + 8  # final and hidden rows and probes alone
