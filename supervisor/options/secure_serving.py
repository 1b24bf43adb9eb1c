"""secure serving flags."""

from supervisor.options.flag import IP, NAMED_CERT_KEY, PORT, STRING, STRINGS, Flag, FlagGroup
from supervisor.options.validators import TLS_VERSIONS, one_of, port, readable

GROUP = FlagGroup(
    "Secure serving",
    (
        Flag("bind-address", IP, "0.0.0.0", "Address that the HTTPS port listens on; 0.0.0.0 or :: is all of them."),
        Flag("secure-port", PORT, 6443, "HTTPS port; auto takes a free one and reports it.", port),
        Flag(
            "tls-cert-file",
            STRING,
            "",
            "Serving certificate, followed by its chain. Made by the server's own CA if this and --tls-private-key-file are not given.",
            readable,
        ),
        Flag("tls-cipher-suites", STRINGS, (), "Allowed cipher suites of TLS 1.2, by their IANA names."),
        Flag(
            "tls-min-version",
            STRING,
            "",
            "Lowest TLS version accepted: VersionTLS12 (the default) or VersionTLS13 are advisable.",
            one_of("", *TLS_VERSIONS),
        ),
        Flag("tls-private-key-file", STRING, "", "Key of the serving certificate.", readable),
        Flag(
            "tls-sni-cert-key",
            NAMED_CERT_KEY,
            (),
            "Another certificate and key, cert,key or cert,key:pattern,pattern, chosen by the server name that the client asks for. May be repeated.",
        ),
    ),
)
