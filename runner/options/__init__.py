"""Makes a `RunSpec` of the options of a command, before anything is started.

Everything that can be wrong with a request is found here, as far as it shows without the engine.
What a run is comes from its options and from here alone: nothing later reads the environment for
it. Later readers of the environment ask only about this machine (how to reach its engine and what
image builds need); a test lists them.
"""

from runner.options.asked import RunOptions
from runner.options.environment import environment
from runner.options.model import REHEARSAL_KEY
from runner.options.referee import retest_times, texts_to_verify, verify_texts
from runner.options.runs import agent_run, baseline_run, password, with_key

__all__ = [
    "REHEARSAL_KEY", "RunOptions",
    "agent_run", "baseline_run", "environment", "password", "retest_times", "texts_to_verify",
    "verify_texts", "with_key",
]  # fmt: skip
