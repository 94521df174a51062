"""docs/api.md says what the docstrings say, and every public name has one."""

import importlib.util
from pathlib import Path
from types import ModuleType

TOOL = Path(__file__).parents[2] / "tools" / "api_docs.py"


def tool() -> ModuleType:
    spec = importlib.util.spec_from_file_location("api_docs", TOOL)
    assert spec and spec.loader
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def test_the_document_is_current() -> None:
    docs = tool()
    written = docs.TARGET.read_text("utf-8")
    assert written == docs.document(), "run tools/api_docs.py"
    for names in docs.MODULES.values():
        assert all(name in written for name in names)
