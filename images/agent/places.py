"""Fixed places inside the agent's container, known to agentd and to the `trial` command."""

from __future__ import annotations

WORKSPACE = "/workspace"
HOME = "/home/agent"
STATE = f"{HOME}/.bakeoff"
OUTBOX = f"{STATE}/outbox"
TRIAL_LOGS = f"{STATE}/trials"
BUNDLE = f"{STATE}/repo.bundle"
TRIAL_SOCKET = "\0bakeoff-trial"  # abstract: it has no file that could be removed
