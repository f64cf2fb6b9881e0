"""The agents: one file for each CLI, one row of agents.toml for each agent."""

from runner.agents.base import Turn, TurnOutcome
from runner.agents.models import RunModel, model_of, model_of_agent, model_of_baseline
from runner.agents.prompts import (
    PromptName,
    instructions,
    phrases,
    remarks,
    render_prompt,
    together,
)
from runner.agents.table import MODEL_NAME, Agent, AgentSpec, agent_names, load_agent

__all__ = [
    "MODEL_NAME", "Agent", "AgentSpec", "PromptName", "RunModel", "Turn", "TurnOutcome",
    "agent_names", "instructions", "load_agent", "model_of", "model_of_agent", "model_of_baseline",
    "phrases", "remarks", "render_prompt", "together",
]  # fmt: skip
