"""What may be left out of CrewAI's import, by version: reviewed, and proven by the tests.

A name is here only if nothing needs it while CrewAI is imported, and a module only if executing it
later makes no difference that isn't made up for; ``tests/process/test_deferred.py`` is the proof.
"""

from __future__ import annotations

# Digest of all files of MODULES → versions of CrewAI that have them.
VERSIONS = {
    "7286f669d79733de444696107f2b380f": ("1.15.30",),
}

_PROVIDERS = "crewai.rag.embeddings.providers"

# Package of a provider of embeddings → names that it takes from a module of its own.
_PROVIDER = {
    "aws": {"bedrock": ("BedrockProvider",)},
    "cohere": {"cohere_provider": ("CohereProvider",)},
    "custom": {"custom_provider": ("CustomProvider",)},
    "google": {
        "genai_vertex_embedding": ("GoogleGenAIVertexEmbeddingFunction",),
        "generative_ai": ("GenerativeAiProvider",),
        "vertex": ("VertexAIProvider",),
    },
    "huggingface": {"huggingface_provider": ("HuggingFaceProvider",)},
    "ibm": {"watsonx": ("WatsonXProvider",)},
    "instructor": {"instructor_provider": ("InstructorProvider",)},
    "jina": {"jina_provider": ("JinaProvider",)},
    "microsoft": {"azure": ("AzureProvider",)},
    "ollama": {"ollama_provider": ("OllamaProvider",)},
    "onnx": {"onnx_provider": ("ONNXProvider",)},
    "openai": {"openai_provider": ("OpenAIProvider",)},
    "openclip": {"openclip_provider": ("OpenCLIPProvider",)},
    "openrouter": {"openrouter_provider": ("OpenRouterProvider",)},
    "oracle": {
        "embedding_callable": ("OracleEmbeddingFunction",),
        "oracle_provider": ("OracleProvider",),
    },
    "roboflow": {"roboflow_provider": ("RoboflowProvider",)},
    "sentence_transformer": {"sentence_transformer_provider": ("SentenceTransformerProvider",)},
    "text2vec": {"text2vec_provider": ("Text2VecProvider",)},
    "voyageai": {"voyageai_provider": ("VoyageAIProvider",)},
}

# Module → names that it doesn't import until they are asked for.
LEFT: dict[str, frozenset[str]] = {
    "crewai.rag": frozenset({"RagConfigType", "set_rag_config"}),
    "crewai.rag.factory": frozenset({"RagConfigType"}),
    "crewai.knowledge.storage.knowledge_storage": frozenset(
        {"ChromaDBConfig", "ChromaEmbeddingFunctionWrapper", "get_rag_client"}
    ),
} | {
    f"{_PROVIDERS}.{package}": frozenset(name for names in modules.values() for name in names)
    for package, modules in _PROVIDER.items()
}

# CrewAI's modules that are not imported for that reason.
DEFERRED = (
    "crewai.rag.chromadb.types",
    "crewai.rag.chromadb.config",
    "crewai.rag.config.types",
    "crewai.rag.config.utils",
    *(f"{_PROVIDERS}.{package}.{module}" for package, ms in _PROVIDER.items() for module in ms),
    f"{_PROVIDERS}.custom.embedding_callable",
    f"{_PROVIDERS}.ibm.embedding_callable",
    f"{_PROVIDERS}.voyageai.embedding_callable",
)

# Where the first name of this module would be imported, these are imported as without us, and the
# calls of ``warnings.filterwarnings`` in the last one's body are made.
EARLY = "crewai.rag"
BEFORE = (  # others' modules that chromadb would have imported then, and CrewAI needs anyway
    "numpy",
    "numpy.typing",
    "opentelemetry.sdk.resources",
    "opentelemetry.sdk.trace",
    "opentelemetry.sdk.trace.export",
    "opentelemetry.sdk._logs.export",
    "pydantic.dataclasses",
    "pydantic_settings",
    "yaml",
)
EAGER = (
    "crewai.rag.config.constants",
    "crewai.rag.chromadb.constants",
    "crewai.rag.core.base_client",
    "crewai.rag.config.base",
    "crewai.rag.qdrant",
    "crewai.rag.config.optional_imports.providers",
    "crewai.rag.factory",
)
FILTERING = "crewai.rag.chromadb.config"

# The one class that CrewAI's models are annotated with.
SHELL = ("chromadb.api.types", "EmbeddingFunction")
SHELL_USER = f"{_PROVIDERS}.custom.types"

# The class of CrewAI's of which DEFERRED has subclasses.
BASE = ("crewai.rag.core.base_embeddings_provider", "BaseEmbeddingsProvider")

# Variables that are read when chromadb is imported begin so, or are fields of these settings.
VARIABLES = ("CHROMA", "GRPC", "PYDANTIC")
HOME = frozenset({"HOME", "USERPROFILE"})  # where a class of chromadb says its models are
SETTINGS = ("chromadb.config", "Settings")

MODULES = tuple(sorted({*LEFT, *DEFERRED, *EAGER, SHELL_USER}))

# Left out, with what only they need; and what must not be there, because it'd be left out, too.
PACKAGES = ("chromadb",)
ABSENT = ("qdrant_client",)

_FUNCTIONS = (  # modules of chromadb that the providers use
    "amazon_bedrock_embedding_function",
    "cohere_embedding_function",
    "google_embedding_function",
    "huggingface_embedding_function",
    "instructor_embedding_function",
    "jina_embedding_function",
    "ollama_embedding_function",
    "onnx_mini_lm_l6_v2",
    "open_clip_embedding_function",
    "openai_embedding_function",
    "roboflow_embedding_function",
    "sentence_transformer_embedding_function",
    "text2vec_embedding_function",
)

# What is left out takes names from these. Whoever replaces one of them finds, as without us, that
# it has been taken before.
WATCHED = frozenset(
    {
        "crewai.rag.chromadb.constants",
        "crewai.rag.config.base",
        "crewai.rag.config.constants",
        "crewai.rag.config.optional_imports.providers",
        "crewai.rag.core.base_client",
        "crewai.rag.core.base_embeddings_callable",
        "crewai.rag.core.base_embeddings_provider",
        "crewai.rag.core.types",
        "crewai.rag.factory",
        "crewai.utilities.import_utils",
        "crewai_core.printer",
        *(f"{_PROVIDERS}.{package}.types" for package in _PROVIDER),
    }
)
LIBRARIES = frozenset(  # the same, of others; imported later they come from where they were
    {
        "chromadb",
        "chromadb.api",
        "chromadb.api.configuration",
        "chromadb.api.types",
        "chromadb.config",
        "chromadb.utils.embedding_functions",
        *(f"chromadb.utils.embedding_functions.{name}" for name in _FUNCTIONS),
        "grpc",
        "httpx",
        "jsonschema",
        "numpy",
        "numpy.typing",
        "opentelemetry.sdk.resources",
        "opentelemetry.sdk.trace",
        "opentelemetry.sdk.trace.export",
        "orjson",
        "overrides",
        "pybase64",
        "pydantic",
        "pydantic.dataclasses",
        "pydantic_core",
        "pydantic_settings",
        "tenacity",
        "typing_extensions",
        "yaml",
    }
)
