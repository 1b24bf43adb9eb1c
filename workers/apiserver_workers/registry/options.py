"""The options of each verb, parsed and valid (the endpoints parse them from query and body)."""

from __future__ import annotations

from dataclasses import dataclass, field

from apiserver_workers.apimachinery.selectors import FieldSelector, LabelSelector


@dataclass(slots=True)
class ListOptions:
    """meta.internalversion.ListOptions. `send_initial_events` None: not asked for. `timeout` None: the default."""

    labels: LabelSelector | None = None
    fields: FieldSelector | None = None
    watch: bool = False
    allow_bookmarks: bool = False
    resource_version: str = ""
    resource_version_match: str = ""
    timeout: int | None = None
    limit: int = 0
    continue_token: str = ""
    send_initial_events: bool | None = None


@dataclass(slots=True)
class WriteOptions:
    """CreateOptions, UpdateOptions and PatchOptions (`force` only there). `asked_validation` is what the request says of
    `field_validation`."""

    dry_run: bool = False
    field_manager: str = ""
    field_validation: str = ""
    force: bool | None = None
    asked_validation: str = ""


@dataclass(slots=True)
class DeleteOptions:
    """meta/v1.DeleteOptions. `uid` and `resource_version` are the preconditions, None where not given."""

    grace_period: int | None = None
    orphan_dependents: bool | None = None
    propagation_policy: str | None = None
    uid: str | None = None
    resource_version: str | None = None
    dry_run: list[str] = field(default_factory=list)
