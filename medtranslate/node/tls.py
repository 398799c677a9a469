"""TLS of both sides, each of which shows a certificate (PS3.15 B.9: BCP 195)."""

from __future__ import annotations

import ssl

from medtranslate.config import NodeRules
from medtranslate.config.node import Certificates
from medtranslate.errors import SettingsError


def server_context(files: Certificates) -> ssl.SSLContext:
    """Make the context of a server that takes callers with a certificate of a trusted authority alone.

    Raises:
        SettingsError: a file is missing, or is no certificate or key.
    """
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.verify_mode = ssl.CERT_REQUIRED
    return _loaded(context, files)


def client_context(rules: NodeRules) -> ssl.SSLContext:
    """Make the context for sending; the certificate of the other side has to bear its host name.

    Raises:
        SettingsError: as `server_context`.
    """
    assert rules.tls is not None
    return _loaded(ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT), rules.tls)


def _loaded(context: ssl.SSLContext, files: Certificates) -> ssl.SSLContext:
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    try:
        context.load_cert_chain(files.cert, files.key, password="")
        context.load_verify_locations(files.ca)
    except OSError as error:  # ssl.SSLError is one
        raise SettingsError(
            f"tls: {files.cert}, {files.key}, {files.ca}: cannot be loaded ({error.strerror or error});"
            " name a certificate, its key without a password, and the authorities, as PEM"
        ) from error
    return context
