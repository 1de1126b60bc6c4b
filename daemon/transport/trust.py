"""Whom we talk to: the one place that says what a venue's certificate must be. It imports nothing that is slow."""

import ssl


def client_context(ca_file: str | None) -> ssl.SSLContext:
    """A context that verifies the peer's chain and name, with TLS 1.2 or later.

    Trust comes from the system's store; `ca_file` (PEM) adds a root to it and never replaces or loosens it.
    Raises OSError (ssl.SSLError included) when `ca_file` cannot be read or holds no certificate.
    """
    # Not ssl.create_default_context: it obeys SSLKEYLOGFILE, and session keys of a trading account belong in no file.
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    # A TLS 1.2 peer that renegotiates would make a write wait for a read, which write_now cannot do.
    context.options |= ssl.OP_NO_RENEGOTIATION | ssl.OP_NO_COMPRESSION
    context.set_alpn_protocols(["http/1.1"])
    context.load_default_certs(ssl.Purpose.SERVER_AUTH)
    if ca_file:
        context.load_verify_locations(cafile=ca_file)
    return context
