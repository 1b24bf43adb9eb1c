"""secure serving flags (upstream: staging/src/k8s.io/apiserver/pkg/server/options/serving.go)."""

from __future__ import annotations

from apiserver_supervisor.options.files import serving_pair, sni_pairs
from apiserver_supervisor.options.flag import (
    BOOL,
    INT,
    INTS,
    IP,
    NAMED_CERT_KEY,
    PORT,
    STRING,
    STRINGS,
    Flag,
    FlagGroup,
)
from apiserver_supervisor.options.validators import TLS_VERSIONS, cipher_suites, curves, not_negative, one_of, port

GROUP = FlagGroup(
    "Secure serving",
    (
        Flag("bind-address", IP, "0.0.0.0", "Address that the HTTPS port listens on; 0.0.0.0 or :: is all of them."),
        Flag(
            "cert-dir",
            STRING,
            "/var/run/kubernetes",
            "Folder of the serving pair apiserver.crt and apiserver.key, which is made if it is not there. Not used with --tls-cert-file and --tls-private-key-file.",
        ),
        Flag("disable-http2-serving", BOOL, False, "Serve HTTP/1.1 only."),
        Flag(
            "http2-max-streams-per-connection",
            INT,
            0,
            "Requests that one HTTP/2 connection may have under way; 0 is 100.",
            not_negative,
        ),
        Flag(
            "permit-address-sharing",
            BOOL,
            False,
            "Bind with SO_REUSEADDR, also while a wildcard or specific address is bound by another process.",
        ),
        Flag("permit-port-sharing", BOOL, False, "Bind with SO_REUSEPORT, so that several servers share the port."),
        Flag("secure-port", PORT, 6443, "HTTPS port; auto takes a free one and reports it.", port),
        Flag(
            "tls-cert-file",
            STRING,
            "",
            "Serving certificate, followed by its chain. Made if this and --tls-private-key-file are not given.",
        ),
        Flag(
            "tls-cipher-suites",
            STRINGS,
            (),
            "Allowed cipher suites up to TLS 1.2, by their IANA names such as TLS_ECDHE_RSA_WITH_AES_128_GCM_SHA256.",
            cipher_suites,
        ),
        Flag(
            "tls-curve-preferences",
            INTS,
            (),
            "Allowed key exchanges by their IANA numbers: 23, 24, 25 (the NIST curves), 29 (X25519), 4588 (X25519MLKEM768). Before Python 3.15 it can be one of the first four.",
            curves,
        ),
        Flag(
            "tls-min-version",
            STRING,
            "",
            "Lowest TLS version accepted: VersionTLS12 (the default) or VersionTLS13 are advisable.",
            one_of("", *TLS_VERSIONS),
        ),
        Flag("tls-private-key-file", STRING, "", "Key of the serving certificate."),
        Flag(
            "tls-sni-cert-key",
            NAMED_CERT_KEY,
            (),
            "Another certificate and key, cert,key or cert,key:pattern,pattern, chosen by the server name that the client asks for. May be repeated.",
        ),
    ),
    (serving_pair, sni_pairs),
)
