"""Routes of agents, crews and language models (component ``agents``)."""

from __future__ import annotations

from fast_crewai.hooks.areas import executor_state, token_preflight
from fast_crewai.hooks.areas.agent_executor import EXECUTOR_LOOP
from fast_crewai.hooks.areas.private_attributes import private_attributes
from fast_crewai.hooks.areas.react_parser import PARSE, REPAIR
from fast_crewai.hooks.areas.user_data import USER_DATA

ROUTES = (
    EXECUTOR_LOOP,
    PARSE,
    REPAIR,
    *executor_state.ROUTES,
    private_attributes("agents", "crewai.agents.agent_builder.base_agent:BaseAgent"),
    private_attributes("agents", "crewai.crew:Crew"),
    private_attributes("agents", "crewai.llms.base_llm:BaseLLM"),
    private_attributes("agents", "crewai.security.fingerprint:Fingerprint"),
    *token_preflight.ROUTES,
    USER_DATA,
)
