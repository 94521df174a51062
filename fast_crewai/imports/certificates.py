"""The certificates that an LLM's clients trust are read when a connection needs them.

CrewAI makes two clients for an LLM, one for ``async`` code, and each of them has OpenSSL take in
all certificates of a file, certifi's or the user's: 20 ms each, and most programs use one of them.
Here such a context has one certificate, and the text of all; it takes them in before anything looks
at them. The text is read when it was read before: a file that changes later changes nothing.

That OpenSSL takes them, and that the same becomes of it, is not guessed: the first client in an
environment is made as without us, and compared.
"""

from __future__ import annotations

import contextlib
import functools
import hashlib
import os
import sys
import types
import weakref
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from fast_crewai import config
from fast_crewai.imports import store
from fast_crewai.imports.feature import OFF, Feature

CERTIFICATES = Feature(
    "imports.certificates",
    "httpx._config:create_ssl_context",
    "an LLM's two clients take in a hundred certificates each, before there is a connection",
)

# Digest of httpx's file with the function → versions of httpx that have it.
VERSIONS = {
    "a4fa7653ec2271f70ab05f8a6111352d": ("0.28.1",),
}

_PROVIDERS = "crewai.llms.providers."
_CONFIG, _USER, _NAME = "httpx._config", "httpx._transports.default", "create_ssl_context"
_FRAMES = 16  # between CrewAI's function and the context: constructors of openai's and httpx's
_FILE, _FOLDER = "SSL_CERT_FILE", "SSL_CERT_DIR"  # variables that say where other certificates are
_ASKING = (  # what the certificates of a context are seen by; only ``_ssl`` may define these
    "_wrap_bio",
    "_wrap_socket",
    "cert_store_stats",
    "get_ca_certs",
    "load_verify_locations",
    "set_default_verify_paths",
)
_SEEN = (  # what a context of ours must have in common with plain ones
    "check_hostname",
    "hostname_checks_common_name",
    "keylog_filename",
    "maximum_version",
    "minimum_version",
    "options",
    "post_handshake_auth",
    "protocol",
    "security_level",
    "verify_flags",
    "verify_mode",
)
_BEGIN, _END = "-----BEGIN CERTIFICATE-----", "-----END CERTIFICATE-----"

_providers: set[str] = set()  # files
_replaced: tuple[Any, Callable[..., Any], Callable[..., Any]] | None = None  # module, ours, httpx's
_bundle: _Bundle | None = None
_waiting: weakref.WeakSet[Any] = weakref.WeakSet()


class _Bundle:
    """A file of certificates that contexts wait for."""

    def __init__(self, content: bytes, kind: Any) -> None:
        text = content.decode("ascii")
        if not text.count(_BEGIN) == text.count("-----BEGIN ") == text.count(_END) > 0:
            raise ValueError("there is something else than certificates")
        self.content, self.kind = content, kind
        self.first = text[text.index(_BEGIN) : text.index(_END) + len(_END)] + "\n"
        self.waits = _class(kind, text)

    def context(self) -> Any:
        """As Python makes a context for the file, but it waits. Raises what Python raises."""
        import ssl

        made: Any = ssl.create_default_context(cadata=self.first)
        if type(made) is not self.kind:
            raise TypeError("Python makes another context")
        made.__class__ = self.waits
        _waiting.add(made)
        return made


def _class(kind: Any, text: str) -> Any:
    load = vars(kind.__base__)["load_verify_locations"]

    def having_all(context: Any) -> Any:
        # Two threads may come here at once: what is there already isn't added again.
        load(context, cadata=text)
        object.__setattr__(context, "__class__", kind)
        return context

    def asking(name: str) -> Callable[..., Any]:
        @functools.wraps(getattr(kind, name))
        def ask(self: Any, *arguments: Any, **options: Any) -> Any:
            return getattr(having_all(self), name)(*arguments, **options)

        return ask

    names = {name: asking(name) for name in _ASKING}
    about = {name: getattr(kind, name) for name in ("__module__", "__qualname__", "__doc__")}
    made: Any = type(kind.__name__, (kind,), {"__slots__": (), **about, **names})
    del made.__slots__  # seen in ``dir``
    return made


def executed(name: str, is_wanted: Callable[[], bool]) -> None:
    """A module of CrewAI's has been executed: it may be one that makes clients. Never raises.

    ``is_wanted`` says at each client whether the user wants this now.
    """
    if not name.startswith(_PROVIDERS) or not name.endswith(".completion"):
        return
    file = getattr(sys.modules.get(name), "__file__", None)
    if CERTIFICATES.state == OFF or _USER not in sys.modules or file is None:
        return
    try:
        problem = None if _replaced is not None else _install(is_wanted)
    except Exception as error:
        problem = f"{type(error).__name__}: {error}"
    if problem is not None:
        CERTIFICATES.turn_off(problem)
    _providers.add(file)


def _install(is_wanted: Callable[[], bool]) -> str | None:
    global _replaced
    source: Any = sys.modules[_CONFIG]
    user: Any = sys.modules[_USER]
    original = vars(user)[_NAME]
    if not _is_own(original, source, _NAME) or vars(source)[_NAME] is not original:
        return f"{_NAME} of httpx was replaced"
    if hashlib.sha256(Path(source.__file__).read_bytes()).hexdigest()[:32] not in VERSIONS:
        return "httpx differs from every version that it was proven on"
    ours = _making(original, is_wanted)
    _replaced = user, ours, original
    setattr(user, _NAME, ours)
    return None


def _is_own(function: Any, module: Any, name: str) -> bool:
    """Whether a function is the module's own one, of that name."""
    return (
        type(function) is types.FunctionType
        and function.__globals__ is vars(module)
        and function.__name__ == name
        and not hasattr(function, "__wrapped__")
        and function.__code__.co_filename == module.__file__
    )


def _making(original: Callable[..., Any], is_wanted: Callable[[], bool]) -> Callable[..., Any]:
    @functools.wraps(original)
    def create_ssl_context(verify: Any = True, cert: Any = None, trust_env: bool = True) -> Any:
        if verify is True and cert is None and is_wanted():
            try:
                made = _made(trust_env, original) if _is_for_crewai() else None
            except Exception as error:  # as without us, and it says what is wrong
                made = None
                CERTIFICATES.turn_off(f"{type(error).__name__}: {error}")
            if made is not None:
                return made
        return original(verify=verify, cert=cert, trust_env=trust_env)

    return create_ssl_context


def _is_for_crewai() -> bool:
    frame: types.FrameType | None = sys._getframe(2)
    for _ in range(_FRAMES):
        if frame is None:
            break
        if frame.f_code.co_filename in _providers:
            return True
        frame = frame.f_back
    return False


def _made(trust_env: bool, original: Callable[..., Any]) -> Any:
    """A context that waits; in a first run one of httpx's; None: it is httpx's matter."""
    global _bundle
    import ssl

    file = _file(config.environment() if trust_env else {})
    if file is None:
        return None
    kind: Any = ssl.SSLContext
    if not _is_known(ssl):
        CERTIFICATES.turn_off("Python's ssl was replaced")
        return None
    content = Path(file).read_bytes()
    found = _bundle
    if found is None or found.content != content or found.kind is not kind:
        found = _Bundle(content, kind)
        mark = _mark(content, ssl)
        if mark is None or (store.read(mark) is None and not _prepare(mark)):
            CERTIFICATES.turn_off("there is no cache folder, or it can't be written")
            return None
        if store.read(mark) is None:
            return _compared(found, original(trust_env=trust_env), mark)
        _bundle = found
    made = found.context()
    CERTIFICATES.used()
    return made


def _file(environment: Mapping[str, str]) -> str | None:
    """Where httpx takes the certificates from, if it is a file that is known."""
    if environment.get(_FILE):
        return environment[_FILE]
    if environment.get(_FOLDER):
        return None
    import certifi

    own = _is_own(certifi.where, sys.modules["certifi.core"], "where")
    return certifi.where() if own else None


def _is_known(ssl: Any) -> bool:
    """Whether nobody has replaced how Python makes a context."""
    kind = ssl.SSLContext
    return (
        type(kind) is type
        and kind.__module__ == "ssl"
        and kind.__bases__ == (sys.modules["_ssl"]._SSLContext,)
        and vars(kind).keys().isdisjoint(_ASKING)
        and _is_own(ssl.create_default_context, ssl, "create_default_context")
    )


def _mark(content: bytes, ssl: Any) -> Path | None:
    """The file that is there once it has been seen here what becomes of the certificates."""
    cache = config.cache_folder()
    if cache is None:
        return None
    places = [Path(file).stat() for file in (__file__, ssl.__file__)]
    key = repr(
        (
            sys.version,
            sys.prefix,
            ssl.OPENSSL_VERSION,
            [(place.st_mtime_ns, place.st_size) for place in places],
            hashlib.sha256(content).digest(),
        )
    )
    return cache / "imports" / f"{hashlib.sha256(key.encode()).hexdigest()[:32]}-certificates"


def _prepare(mark: Path) -> bool:
    """Whether a first run can leave a mark."""
    cache = mark.parents[1]
    return not cache.exists() or os.access(cache, os.W_OK)


def _compared(found: _Bundle, plain: Any, mark: Path) -> Any:
    """A first run: the context that it is made with, and a mark if ours is the same."""
    ours = found.context()
    before = [getattr(ours, name, None) for name in _SEEN]
    same = before == [getattr(plain, name, None) for name in _SEEN] and (
        ours.get_ca_certs(binary_form=True) == plain.get_ca_certs(binary_form=True)
        and ours.cert_store_stats() == plain.cert_store_stats()
        and type(ours) is type(plain) is found.kind
    )
    if same:
        store.write(mark, found.kind.__name__)
    said = "what becomes of the certificates is noted" if same else "its certificates differ"
    CERTIFICATES.turn_off(f"first run here: {said}")
    return plain


def end() -> None:
    """From now on all is as without us: contexts that wait take in what they lack."""
    global _replaced
    if _replaced is not None:
        user, ours, original = _replaced
        if vars(user).get(_NAME) is ours:
            setattr(user, _NAME, original)
        _replaced = None
    for context in list(_waiting):
        with contextlib.suppress(Exception):  # whoever uses it is told
            context.cert_store_stats()
    _waiting.clear()
