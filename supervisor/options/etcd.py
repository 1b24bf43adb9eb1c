"""etcd flags."""

from supervisor.options.flag import DURATION, STRING, STRINGS, Flag, FlagGroup
from supervisor.options.validators import not_negative, readable, urls

GROUP = FlagGroup(
    "Etcd",
    (
        Flag("etcd-cafile", STRING, "", "CA that verifies etcd's certificate.", readable),
        Flag("etcd-certfile", STRING, "", "Client certificate shown to etcd.", readable),
        Flag(
            "etcd-compaction-interval",
            DURATION,
            300.0,
            "Period of compacting etcd's history; 0 is never.",
            not_negative,
        ),
        Flag("etcd-keyfile", STRING, "", "Key of that certificate.", readable),
        Flag("etcd-prefix", STRING, "/registry", "Prefix of every key in etcd."),
        Flag(
            "etcd-servers",
            STRINGS,
            (),
            "URLs of the etcd members. Without it an etcd of its own is started, meant for one machine.",
            urls,
        ),
    ),
)
