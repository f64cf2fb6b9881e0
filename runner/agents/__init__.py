"""The agents: one file for each CLI, one row of agents.toml for each agent."""

from runner.agents.base import Turn, TurnOutcome
from runner.agents.prompts import PromptName, instructions, remarks, render_prompt, together
from runner.agents.table import Agent, AgentSpec, agent_names, load_agent

__all__ = [
    "Agent", "AgentSpec", "PromptName", "Turn", "TurnOutcome",
    "agent_names", "instructions", "load_agent", "remarks",
    "render_prompt", "together",
]  # fmt: skip
