"""The agents: one file a CLI, one row an agent in agents.toml."""

from runner.agents.base import Turn, TurnOutcome
from runner.agents.prompts import PromptName, instructions, render_prompt
from runner.agents.table import Agent, AgentSpec, agent_names, load_agent

__all__ = [
    "Agent", "AgentSpec", "PromptName", "Turn", "TurnOutcome",
    "agent_names", "instructions", "load_agent", "render_prompt",
]  # fmt: skip
