"""authentication flags."""

from supervisor.options.flag import BOOL, STRING, STRING_ARRAY, STRINGS, Flag, FlagGroup
from supervisor.options.validators import no_blanks, readable

GROUP = FlagGroup(
    "Authentication",
    (
        Flag(
            "anonymous-auth",
            BOOL,
            True,
            "Requests without credentials become user system:anonymous of group system:unauthenticated.",
        ),
        Flag("api-audiences", STRINGS, (), "Audiences accepted in tokens. By default the service account issuers."),
        Flag(
            "client-ca-file",
            STRING,
            "",
            "CA of client certificates: the common name is the user, organizations are the groups.",
            readable,
        ),
        Flag(
            "requestheader-allowed-names",
            STRINGS,
            (),
            "Common names that a front proxy's certificate may have; empty is any.",
            no_blanks,
        ),
        Flag(
            "requestheader-client-ca-file",
            STRING,
            "",
            "CA of front proxies, whose X-Remote- headers are believed.",
            readable,
        ),
        Flag(
            "requestheader-extra-headers-prefix",
            STRINGS,
            (),
            "Prefixes of headers with a user's extra fields, such as X-Remote-Extra-.",
            no_blanks,
        ),
        Flag(
            "requestheader-group-headers",
            STRINGS,
            (),
            "Headers with a user's groups, such as X-Remote-Group.",
            no_blanks,
        ),
        Flag(
            "requestheader-username-headers",
            STRINGS,
            (),
            "Headers with a user's name, such as X-Remote-User.",
            no_blanks,
        ),
        Flag(
            "service-account-issuer",
            STRING_ARRAY,
            (),
            "Issuer of service account tokens; the first one issues, all are accepted. May be repeated.",
        ),
        Flag(
            "service-account-key-file",
            STRING_ARRAY,
            (),
            "PEM file with keys that verify service account tokens. May be repeated.",
            readable,
        ),
        Flag("token-auth-file", STRING, "", 'CSV file of static tokens: token,user,uid,"group1,group2".', readable),
    ),
)
