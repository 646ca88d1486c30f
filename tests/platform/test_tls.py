"""TLS, with a certificate that the client trusts and with one that it doesn't."""

from __future__ import annotations

import ssl
from collections.abc import Iterator
from datetime import datetime, timedelta, timezone
from ipaddress import ip_address
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

from django_opentrain.platform.client import PlatformClient, build_session
from django_opentrain.platform.errors import OpenTrainConnectionError
from tests.platform.conftest import TOKEN
from tests.platform.scripted_server import ScriptedServer, serving
from tests.platform.test_resources import INSTALL


@pytest.fixture(scope="module")
def certificate(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A self-signed certificate for 127.0.0.1, with its key in the same file."""
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "OpenTrain of these tests")])
    now = datetime.now(timezone.utc)
    signed = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - timedelta(hours=1))
        .not_valid_after(now + timedelta(hours=1))
        .add_extension(x509.SubjectAlternativeName([x509.IPAddress(ip_address("127.0.0.1"))]), critical=False)
        .sign(key, hashes.SHA256())
    )
    path = tmp_path_factory.mktemp("tls") / "server.pem"
    path.write_bytes(
        key.private_bytes(
            serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
        )
        + signed.public_bytes(serialization.Encoding.PEM)
    )
    return path


@pytest.fixture
def tls_server(certificate: Path) -> Iterator[ScriptedServer]:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(certificate)
    with serving(context) as scripted:
        yield scripted


def test_a_trusted_certificate(
    tls_server: ScriptedServer, certificate: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("REQUESTS_CA_BUNDLE", str(certificate))
    tls_server.answers(200, {"install": INSTALL})
    with build_session() as session:
        assert PlatformClient(tls_server.url, TOKEN, session=session).get_install().id == "ins_1"


def test_an_untrusted_certificate_is_refused_once_and_for_all(
    tls_server: ScriptedServer, pauses: list[float]
) -> None:
    with build_session() as session:
        client = PlatformClient(tls_server.url, TOKEN, session=session, sleep=pauses.append)
        with pytest.raises(OpenTrainConnectionError, match="certificates") as caught:
            client.get_install()
    assert not caught.value.outcome_unknown
    assert pauses == []
    assert tls_server.received == []


def test_a_port_that_does_not_speak_tls(server: ScriptedServer, pauses: list[float]) -> None:
    with build_session() as session:
        client = PlatformClient(
            server.url.replace("http:", "https:"), TOKEN, session=session, sleep=pauses.append
        )
        with pytest.raises(OpenTrainConnectionError, match="No secure connection"):
            client.get_install()
    assert pauses == []
