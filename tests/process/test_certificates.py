"""An LLM's clients, whose certificates wait for a connection: what they do is as without us."""

import datetime
import importlib.util
import os
import re
from pathlib import Path

import pytest
from helpers import code, environment, start
from test_lazy import ON, QUIET

pytestmark = pytest.mark.skipif(importlib.util.find_spec("crewai") is None, reason="needs CrewAI")

BEGIN = """
import os, socket, ssl, sys, threading
from crewai import LLM
if "fast_crewai" in sys.modules:
    from fast_crewai.imports.certificates import CERTIFICATES
def llm():
    return LLM("gpt-4o", api_key="none", base_url=os.environ["URL"], max_retries=0)
def context(client):
    return client._client._transport._pool._ssl_context
def tried(function):
    try:
        return function()
    except Exception as error:
        told = f"{type(error).__name__}: {error}"
        return told + (f" from {tried_cause(error)}" if error.__cause__ else "")
def tried_cause(error):
    return f"{type(error.__cause__).__name__}: {error.__cause__}"
def reason():
    "Why it isn't used; nothing is waited for on the plain side."
    return CERTIFICATES.reason if "fast_crewai" in sys.modules else None
"""
SERVER = """
import http.server, json
class Handler(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    def do_GET(self):
        answer = json.dumps({"object": "list", "data": []}).encode()
        self.send_response(200)
        self.send_header("content-type", "application/json")
        self.send_header("content-length", str(len(answer)))
        self.end_headers()
        self.wfile.write(answer)
    def log_message(self, *arguments):
        pass
def serve(certificate):
    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    server.handle_error = lambda *arguments: None
    of_server = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    of_server.load_cert_chain(certificate)
    server.socket = of_server.wrap_socket(server.socket, server_side=True)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    os.environ["URL"] = f"https://localhost:{server.server_port}/v1"
"""


def certificate(folder: Path, name: str) -> None:
    """``name.pem``: a certificate for localhost; ``name.key.pem``: with its key, by itself."""
    from cryptography import x509
    from cryptography.hazmat.primitives import hashes, serialization
    from cryptography.hazmat.primitives.asymmetric import ec
    from cryptography.x509.oid import NameOID

    key = ec.generate_private_key(ec.SECP256R1())
    subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)])
    now = datetime.datetime.now(datetime.timezone.utc)
    made = (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(subject)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - datetime.timedelta(days=1))
        .not_valid_after(now + datetime.timedelta(days=1))
        .add_extension(x509.SubjectAlternativeName([x509.DNSName("localhost")]), critical=False)
        .add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
        .sign(key, hashes.SHA256())
    )
    text = made.public_bytes(serialization.Encoding.PEM)
    secret = key.private_bytes(
        serialization.Encoding.PEM,
        serialization.PrivateFormat.PKCS8,
        serialization.NoEncryption(),
    )
    (folder / f"{name}.pem").write_bytes(text)
    (folder / f"{name}.key.pem").write_bytes(secret + text)


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Certificates, and a cache in which first runs have left their marks for three files."""
    import certifi

    place = tmp_path_factory.mktemp("certificates")
    for name in ("trusted", "other"):
        certificate(place, name)
    usual = Path(certifi.where()).read_bytes()
    (place / "many.pem").write_bytes(usual + (place / "trusted.pem").read_bytes())
    (place / "twice.pem").write_bytes((place / "trusted.pem").read_bytes() * 2)
    for number, file in enumerate(("many.pem", "many.pem", "twice.pem", "trusted.pem", "")):
        done = start("-c", ON + BEGIN + "llm(); print(reason())", env=variables(place, file))
        assert done.returncode == 0, done.stderr
        if number:
            assert done.stdout.startswith("first run" if number > 1 else "\n"), done.stdout
    return place


def variables(folder: Path, file: str = "many.pem", **more: str) -> dict[str, str]:
    env = environment(**QUIET, XDG_CACHE_HOME=folder, CREWAI_STORAGE_DIR="same", URL="https://x/v1")
    env = {n: v for n, v in env.items() if not n.startswith("SSL_") and "proxy" not in n.lower()}
    return env | ({"SSL_CERT_FILE": str(folder / file)} if file else {}) | more


def both(program: str, env: dict[str, str], cwd: Path, used: bool = True) -> str:
    """What it prints, plain and with contexts that wait (or not, if they mustn't)."""
    check = "CERTIFICATES.calls == 2" if used else "not CERTIFICATES.calls"
    check = f"if 'fast_crewai' in sys.modules: assert {check}, CERTIFICATES\n"
    program = f"{BEGIN}{SERVER}{code(program)}\n{check}"
    answers = [start("-c", first + program, env=env, cwd=cwd) for first in ("", ON)]
    plain, ours = (re.sub("0x[0-9a-f]+|localhost:[0-9]+", "#", a.stdout) for a in answers)
    assert plain == ours, answers[1].stderr
    assert [a.returncode for a in answers] == [0, 0], answers[0].stderr + answers[1].stderr
    assert plain
    return plain


CASES = {
    "requests": """
        serve("trusted.key.pem")
        import asyncio
        made = llm()
        print(tried(lambda: made._client.models.list().data))
        print(type(context(made._client)), context(made._client).cert_store_stats())
        async def ask():
            return (await made._async_client.models.list()).data
        print(tried(lambda: asyncio.run(ask())))
        print(type(context(made._async_client)))
    """,
    "a server that isn't trusted": """
        serve("other.key.pem")
        import asyncio
        made = llm()
        print(tried(lambda: made._client.models.list().data))
        async def ask():
            return (await made._async_client.models.list()).data
        print(tried(lambda: asyncio.run(ask())))
    """,
    "what is in the store": """
        made = llm()
        print(context(made._client).get_ca_certs())
        print(context(made._async_client).cert_store_stats())
    """,
    "what a context tells": """
        import copy, pickle
        c = context(llm()._client)
        print(isinstance(c, ssl.SSLContext), c, repr(type(c)), type(c).__name__, type(c).__doc__)
        print(c.options, c.verify_mode, c.check_hostname, c.verify_flags, c.minimum_version)
        print([i["name"] for i in c.get_ciphers()], c.session_stats(), c.keylog_filename)
        print(tried(lambda: copy.copy(c)), tried(lambda: pickle.dumps(c)), vars(c), dir(c))
        print(c.get_ca_certs(binary_form=True)[-1], type(c))
    """,
    "more certificates": """
        c = context(llm()._client)
        c.load_verify_locations("other.pem")
        print([i["subject"] for i in c.get_ca_certs()], type(c))
        d = context(llm()._client)
        d.load_default_certs()
        d.set_default_verify_paths()
        print(len(d.get_ca_certs()), tried(lambda: d.load_verify_locations("missing")))
        if "fast_crewai" in sys.modules: CERTIFICATES.calls = 2
    """,
    "a file that changes later": """
        import pathlib, shutil
        file = pathlib.Path("mine.pem")
        file.write_bytes(pathlib.Path("many.pem").read_bytes())
        os.environ["SSL_CERT_FILE"] = str(file)
        made = llm()
        file.write_text("nothing")
        print(len(context(made._client).get_ca_certs()))
        file.unlink()
        print(len(context(made._async_client).get_ca_certs()))
    """,
    "objects for bytes": """
        c = context(llm()._client)
        o = c.wrap_bio(ssl.MemoryBIO(), ssl.MemoryBIO(), server_hostname="localhost")
        print(type(o), o.context is c, type(c), tried(lambda: c.wrap_socket(None)))
        print(tried(lambda: c.wrap_bio(1, 2)), tried(lambda: o.do_handshake()))
    """,
    "methods that somebody replaces": """
        made = llm()
        seen = []
        original = ssl.SSLContext.wrap_bio
        def wrap_bio(self, *arguments, **options):
            seen.append(len(self.get_ca_certs()))
            return original(self, *arguments, **options)
        ssl.SSLContext.wrap_bio = wrap_bio
        context(made._client).wrap_bio(ssl.MemoryBIO(), ssl.MemoryBIO(), server_hostname="a")
        print(seen)
    """,
    "threads": """
        serve("trusted.key.pem")
        made, answers = llm(), []
        def ask():
            answers.append(tried(lambda: made._client.models.list().data))
        threads = [threading.Thread(target=ask) for _ in range(8)]
        [t.start() for t in threads], [t.join() for t in threads]
        print(answers, context(made._client).cert_store_stats())
    """,
    "uninstalled": """
        import httpx
        made = llm()
        if "fast_crewai" in sys.modules:
            import fast_crewai
            calls = CERTIFICATES.calls
            fast_crewai.uninstall()
            assert not hasattr(httpx._transports.default.create_ssl_context, "__wrapped__")
        print([type(context(client)) for client in (made._client, made._async_client)])
        print(len(context(made._client).get_ca_certs()), len(context(llm()._client).get_ca_certs()))
        if "fast_crewai" in sys.modules: CERTIFICATES.calls = calls
    """,
    "a fork": """
        made = llm()
        sys.stdout.flush()
        child = os.fork() if hasattr(os, "fork") else 0
        print(len(context(made._client).get_ca_certs()))
        sys.stdout.flush()
        if not child and hasattr(os, "fork"): os._exit(0)
        if child: os.waitpid(child, 0)
    """,
}

# Others have a say: all is plain, from the beginning.
PLAIN = {
    "certificates of a folder": """
        os.environ["SSL_CERT_FILE"], os.environ["SSL_CERT_DIR"] = "", "."
        print(context(llm()._client).get_ca_certs(), reason() or None)
    """,
    "files that are none": """
        for text in ("", "text", "-----BEGIN CERTIFICATE-----", "\\xff"):
            open("bad.pem", "w", encoding="latin-1").write(text)
            os.environ["SSL_CERT_FILE"] = "bad.pem"
            print(tried(lambda: len(context(llm()._client).get_ca_certs())))
        os.environ["SSL_CERT_FILE"] = "missing.pem"
        print(tried(llm))
    """,
    "a context of the user's class": """
        class Own(ssl.SSLContext):
            pass
        ssl.SSLContext = Own
        print(str(tried(lambda: type(context(llm()._client)))).split(":")[0])
    """,
    "a function of the user's": """
        original = ssl.create_default_context
        def create(*arguments, **options):
            print(arguments, sorted(options))
            return original(*arguments, **options)
        ssl.create_default_context = create
        print(len(context(llm()._client).get_ca_certs()))
    """,
    "a user's own client": """
        import httpx, openai
        for client in (httpx.Client(), openai.OpenAI(api_key="none")._client):
            c = client._transport._pool._ssl_context
            print(type(c), type(c).__mro__[1], len(c.get_ca_certs()))
    """,
    "switched off for a while": """
        if "fast_crewai" in sys.modules:
            import fast_crewai
            with fast_crewai.disabled():
                made = llm()
        else:
            made = llm()
        print(type(context(made._client)).__mro__, len(context(made._client).get_ca_certs()))
    """,
}


@pytest.mark.parametrize("case", CASES)
def test_nobody_can_tell(case: str, folder: Path) -> None:
    both(CASES[case], variables(folder), folder)


@pytest.mark.parametrize("case", PLAIN)
def test_others_have_a_say(case: str, folder: Path) -> None:
    both(PLAIN[case], variables(folder), folder, used=False)


def test_certifis_own_file(folder: Path) -> None:
    both("print(context(llm()._client).get_ca_certs())", variables(folder, ""), folder)


def test_a_certificate_that_is_there_twice(folder: Path) -> None:
    both("print(context(llm()._client).get_ca_certs())", variables(folder, "twice.pem"), folder)


def test_it_waits(folder: Path) -> None:
    """The contexts have one certificate until somebody asks, and then all."""
    program = """
        first = llm()
        made, more = context(first._client), context(first._async_client)
        import _ssl
        count = _ssl._SSLContext.cert_store_stats
        print(count(made)["x509"], count(more)["x509"])
        many = made.cert_store_stats()["x509"]
        print(many > 100, count(made)["x509"] == many, count(more)["x509"])
    """
    done = start("-c", ON + BEGIN + code(program), env=variables(folder))
    assert done.stdout == "1 1\nTrue True 1\n", done.stderr


def test_a_mark_that_cannot_be_left(folder: Path, tmp_path: Path) -> None:
    """Without a cache folder each run is as without us."""
    blocked = tmp_path / "file"
    blocked.write_text("")
    env = variables(folder, "other.pem") | {"XDG_CACHE_HOME": str(blocked)}
    done = start("-c", ON + BEGIN + "print(len(context(llm()._client).get_ca_certs()))", env=env)
    assert (done.stdout, done.returncode) == ("1\n", 0), done.stderr


@pytest.mark.skipif(os.name == "nt", reason="needs POSIX permissions")
def test_a_mark_of_somebody_elses(folder: Path, tmp_path: Path) -> None:
    """A mark that others can have written is none."""
    import shutil

    shutil.copytree(folder / "fast-crewai", tmp_path / "fast-crewai")
    marks = list((tmp_path / "fast-crewai" / "imports").glob("*-certificates"))
    assert len(marks) == 4
    for mark in marks:
        mark.chmod(0o666)
    env = variables(folder) | {"XDG_CACHE_HOME": str(tmp_path)}
    done = start("-c", ON + BEGIN + "llm(); print(reason())", env=env)
    assert done.stdout.startswith("first run here"), done.stdout + done.stderr
