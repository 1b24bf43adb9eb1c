"""logs flags (upstream: staging/src/k8s.io/component-base/logs/api/v1/options.go)."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from apiserver_supervisor.options.flag import BOOL, DURATION, INT, STRING, STRINGS, Flag, FlagGroup
from apiserver_supervisor.options.validators import log_modules, not_negative, one_of, positive

ALPHA = "the alpha logging features"
SPLITTING = ("log_text_split_stream", "log_json_split_stream")
BUFFERS = ("log_text_info_buffer_size", "log_json_info_buffer_size")


def _text_only(options: Any) -> Iterator[str]:
    if options.vmodule and options.logging_format != "text":
        yield "--vmodule: Forbidden: Only supported for text log format"
    for field in (*SPLITTING, *BUFFERS):
        if field in options.given and getattr(options, field) not in (False, "", "0"):
            yield f"--{field.replace('_', '-')}: Forbidden: Feature LoggingAlphaOptions is disabled"


GROUP = FlagGroup(
    "Logs",
    (
        Flag("log-flush-frequency", DURATION, 5.0, "Longest time that a line waits to be written.", positive),
        Flag("log-json-info-buffer-size", STRING, "0", f"One of {ALPHA}, which this server does not have."),
        Flag("log-json-split-stream", BOOL, False, f"One of {ALPHA}, which this server does not have."),
        Flag("log-text-info-buffer-size", STRING, "0", f"One of {ALPHA}, which this server does not have."),
        Flag("log-text-split-stream", BOOL, False, f"One of {ALPHA}, which this server does not have."),
        Flag("logging-format", STRING, "text", "Form of the log lines: text or json.", one_of("text", "json")),
        Flag("v", INT, 0, "How much is logged: 0 is little, 4 is debugging. Also -v.", not_negative),
        Flag(
            "vmodule",
            STRINGS,
            (),
            "How much single modules log: module=N, with * and ? for parts of names. For the text format only.",
            log_modules,
        ),
    ),
    (_text_only,),
)
