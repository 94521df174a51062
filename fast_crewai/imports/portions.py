"""What else may be left out of CrewAI's import, in portions that are asked for one by one.

As in ``manifest``: a name is here only if nothing needs it while CrewAI is imported. A portion
whose import does anything that isn't made up for, in the environment it is measured in, is imported
as without us: ``proving``.
"""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType
from typing import NamedTuple


class Filter(NamedTuple):
    """One of warnings: of a message, or of a library's own category ("module:category")."""

    action: str
    of: str
    at_end: bool = False  # else it comes before the others


class Portion(NamedTuple):
    """A library that CrewAI needs for something that most programs don't do, or a large table."""

    left: Mapping[str, frozenset[str]]  # module → names that it doesn't import or make at once
    versions: Mapping[str, tuple[str, ...]]  # digest of the files of these → CrewAI's versions
    deferred: tuple[str, ...] = ()  # CrewAI's modules that are not imported for that reason
    tables: frozenset[str] = frozenset()  # those of them that are nothing but a table
    measured: tuple[str, ...] = ()  # others' modules whose import may have effects
    watched: frozenset[str] = frozenset()  # CrewAI's modules that deferred ones take names from
    libraries: frozenset[str] = frozenset()  # the same, of others
    variables: tuple[str, ...] = ()  # of the environment, read by the import, contain these words
    unread: frozenset[str] = frozenset()  # though they contain one
    stands: frozenset[str] = frozenset()  # what models and type variables are made with
    filters: Mapping[str, tuple[Filter, ...]] = MappingProxyType(
        {}
    )  # what a package adds, in order
    harmless: frozenset[str] = frozenset()  # of its effects, as ``effects`` calls them

    def reads(self, variable: str) -> bool:
        name = variable.upper()
        return name not in self.unread and any(word in name for word in self.variables)

    @property
    def modules(self) -> tuple[str, ...]:
        """Those whose files must be known."""
        return tuple(sorted({*self.left, *self.deferred} - self.tables))

    @property
    def packages(self) -> tuple[str, ...]:
        return tuple(sorted({name.partition(".")[0] for name in self.measured}))

    @property
    def imported(self) -> frozenset[str]:
        """Packages of others that it takes names from."""
        return frozenset(name.partition(".")[0] for name in (*self.measured, *self.libraries))


_V = ("1.15.30",)
_OTEL = (
    "opentelemetry.exporter.otlp.proto.http.trace_exporter",
    "opentelemetry.sdk.resources",
    "opentelemetry.sdk.trace",
    "opentelemetry.sdk.trace.export",
    "opentelemetry.trace",
)
_WINDOWS = ("LLM", "OPENAI", "AZURE", "AZURE_OPENAI", "ANTHROPIC", "GEMINI", "BEDROCK", "BARE")

PORTIONS: dict[str, Portion] = {
    "context windows": Portion(  # of 3,000 models
        left={
            "crewai.llms.context_window": frozenset(
                {"_CATALOG", "_CATALOG_PROVIDER_PREFIXES", "LLM_CONTEXT_WINDOW_SIZES"}
                | {f"{name}_CONTEXT_WINDOWS" for name in _WINDOWS[1:]}
            ),
            "crewai.llm": frozenset(
                {"LLM_CONTEXT_WINDOW_SIZES", "OPENAI_CONTEXT_WINDOWS"}
                | {"AZURE_OPENAI_CONTEXT_WINDOWS"}
            ),
        },
        versions={"57ccb29ce5440d067a338b9e32e01eec": _V},
    ),
    "platform": Portion(  # 300 applications and their tools
        left={"crewai_core.platform_apps": frozenset({"PLATFORM_CATALOG"})},
        versions={"adf3daeae10d6d463b113c50e94ccefd": _V},
        deferred=("crewai_core.platform_catalog",),
        tables=frozenset({"crewai_core.platform_catalog"}),
    ),
    "telemetry": Portion(
        left={
            "crewai.telemetry.telemetry": frozenset(
                {"BatchSpanProcessor", "CommonAttributesSpanProcessor", "Resource", "SERVICE_NAME"}
                | {"SafeOTLPSpanExporter", "Span", "TracerProvider"}
            ),
            "crewai.telemetry.tracing": frozenset({"TraceSession", "telemetry_session"}),
            "crewai.telemetry.utils": frozenset({"Span", "Status", "StatusCode"}),
            "crewai_core.telemetry": frozenset(
                {"BatchSpanProcessor", "Context", "OTLPSpanExporter", "Resource", "SERVICE_NAME"}
                | {"Span", "SpanExportResult", "SpanProcessor", "Status", "StatusCode"}
                | {"TracerProvider"}
            ),
        },
        versions={"fe24bae0152ec99e1fcb74ef5ceb48ee": _V},
        deferred=("crewai.telemetry.tracing.session",),
        measured=_OTEL,
        watched=frozenset(
            {
                "crewai.events.event_bus",
                "crewai.events.event_context",
                "crewai.execution",
                "crewai.telemetry.tracing.context",
                "crewai.version",
            }
        ),
        libraries=frozenset({*_OTEL, "opentelemetry", "opentelemetry.context", "requests"}),
        variables=("OTEL", "PROTO"),
        unread=frozenset({"OTEL_SDK_DISABLED"}),  # until a tracer provider is made
    ),
    "http": Portion(
        left={
            "crewai.a2a.auth.client_schemes": frozenset({"DigestAuth", "httpx"}),
            "crewai.a2a.auth.server_schemes": frozenset({"PyJWKClient", "httpx", "jwt"}),
            "crewai_core.auth.oauth2": frozenset({"httpx"}),
            "crewai_core.auth.utils": frozenset({"PyJWKClient", "jwt"}),
            "crewai_core.plus_api": frozenset({"httpx"}),
        },
        versions={"2f067ea0d696abc5746618feb716fddf": _V},
        measured=("httpx", "jwt"),
        libraries=frozenset({"cryptography.x509", "httpx", "jwt"}),
        variables=("CRYPTOGRAPHY",),
    ),
    "drawing": Portion(
        left={
            "crewai.flow": frozenset({"visualize_flow_structure"}),
            "crewai.flow.runtime": frozenset({"render_interactive"}),
            "crewai.flow.visualization": frozenset({"render_interactive"}),
            "crewai.flow.visualization.renderers": frozenset({"render_interactive"}),
        },
        versions={"80a788679130811d8df89bf33ae6e118": _V},
        deferred=("crewai.flow.visualization.renderers.interactive",),
        measured=("jinja2",),
        watched=frozenset({"crewai.flow.visualization.builder", "crewai.flow.visualization.types"}),
        libraries=frozenset({"jinja2", "jinja2.ext", "jinja2.parser"}),
    ),
    "numpy": Portion(  # what a knowledge source's embeddings are, which nothing of CrewAI's fills
        left={
            "crewai.rag.core.types": frozenset({"NDArray", "floating", "integer", "np", "number"}),
            "crewai.rag.core.base_embeddings_callable": frozenset(
                {"Embeddable", "Embedding", "Embeddings", "np"}
            ),
            "crewai.knowledge.source.base_knowledge_source": frozenset({"np"}),
        },
        versions={"49eeea845ef597bc204aad3d6fce9411": _V},
        measured=("numpy", "numpy.typing"),
        libraries=frozenset({"numpy"}),
        variables=("NUMPY", "NPY", "OPENBLAS", "GOTO", "OMP_", "MKL", "BLIS"),
        stands=frozenset({"Embeddable", "np"}),
        filters={
            "numpy": (
                Filter("always", "numpy.exceptions:RankWarning"),
                Filter("ignore", "numpy.dtype size changed"),
                Filter("ignore", "numpy.ufunc size changed"),
                Filter("ignore", "numpy.ndarray size changed"),
            )
        },
        harmless=frozenset({"copyreg"}),  # how arrays' types are pickled
    ),
    "references": Portion(  # of JSON schemas, which may be on the web
        left={"crewai.utilities.pydantic_schema_utils": frozenset({"jsonref"})},
        versions={"cc65a3c6c15690245371c3bd833addd5": _V},
        measured=("jsonref", "requests", "urllib3"),
        libraries=frozenset({"jsonref", "requests", "urllib3"}),
        filters={
            "urllib3": (
                Filter("always", "urllib3.exceptions:SecurityWarning", at_end=True),
                Filter("default", "urllib3.exceptions:InsecurePlatformWarning", at_end=True),
            ),
            "requests": (
                Filter("ignore", "urllib3.exceptions:DependencyWarning"),
                Filter("default", "requests.exceptions:FileModeWarning", at_end=True),
            ),
        },
        harmless=frozenset({"what runs at exit (+1)"}),  # where certifi's file is
    ),
    "yaml": Portion(
        left={
            "crewai.flow.flow_definition": frozenset({"yaml"}),
            "crewai.project.crew_base": frozenset({"yaml"}),
            "crewai.skills.parser": frozenset({"yaml"}),
        },
        versions={"c264eedeb45771857bdfef6410ab8e8a": _V},
        measured=("yaml",),
    ),
}
