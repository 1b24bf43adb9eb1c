"""Windows options of security contexts, and host process pods (pkg/apis/core/validation)."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any

from apiserver_workers.apimachinery.validation.field import Errors, each, invalid
from apiserver_workers.apimachinery.validation.names import is_dns1123_subdomain

Object = dict[str, Any]

CONTAINER_KINDS = ("initContainers", "containers", "ephemeralContainers")
MOST_SPEC_BYTES, LONGEST_DOMAIN, LONGEST_USER = 64 * 1024, 256, 104
_control = re.compile(r"[\x00-\x1f\x7f]+")
_netbios = re.compile(r'[^\\/:*?|<>."]{1,15}')
_user_characters = re.compile(r'[\["/\\:;|=,+*?<>@\]]+')
_dots_or_spaces = re.compile(r"[. ]+")
MIXED = "If pod contains any hostProcess containers then all containers must be HostProcess containers"


def visit_containers(spec: Object, path: str) -> Iterator[tuple[str, Object]]:
    """(path, container) of every kind of container, in upstream's order."""
    for kind in CONTAINER_KINDS:
        yield from each(f"{path}.{kind}", spec.get(kind))


def validate_windows_options(options: Object | None, path: str) -> Errors:
    if options is None:
        return []
    errors: Errors = []
    name, user, document = (options.get(f) for f in ("gmsaCredentialSpecName", "runAsUserName", "gmsaCredentialSpec"))
    if name is not None:
        errors += [invalid(f"{path}.gmsaCredentialSpecName", name, fault) for fault in is_dns1123_subdomain(name)]
    if document is not None:
        at, size = f"{path}.gmsaCredentialSpec", len(document.encode())
        if not size:
            errors.append(invalid(at, document, "gmsaCredentialSpec cannot be an empty string"))
        elif size > MOST_SPEC_BYTES:
            errors.append(invalid(at, document, f"gmsaCredentialSpec size must be under {MOST_SPEC_BYTES // 1024} KiB"))
    if user is not None:
        errors += [invalid(f"{path}.runAsUserName", user, fault) for fault in _user_name_faults(user)]
    return errors


def _user_name_faults(value: str) -> Iterator[str]:
    """`user` or `domain\\user`."""
    if not value:
        yield "runAsUserName cannot be an empty string"
    elif _control.search(value):
        yield "runAsUserName cannot contain control characters"
    elif value.count("\\") > 1:
        yield "runAsUserName cannot contain more than one backslash"
    else:
        domain, backslash, user = value.rpartition("\\")
        if backslash:
            yield from _domain_faults(domain)
        if not user:
            yield "runAsUserName's User cannot be empty"
        elif len(user) > LONGEST_USER:
            yield f"runAsUserName's User length must not be longer than {LONGEST_USER} characters"
        if user and _dots_or_spaces.fullmatch(user):
            yield "runAsUserName's User cannot contain only periods or spaces"
        if _user_characters.search(user):
            yield "runAsUserName's User cannot contain the following characters: \"/\\:;|=,+*?<>@[]"


def _domain_faults(domain: str) -> Iterator[str]:
    if len(domain) >= LONGEST_DOMAIN:
        yield f"runAsUserName's Domain length must be under {LONGEST_DOMAIN} characters"
    if not _netbios.fullmatch(domain) and is_dns1123_subdomain(domain.lower()):
        yield "runAsUserName's Domain doesn't match the NetBios nor the DNS format"


def validate_host_process(spec: Object, path: str) -> Errors:
    """validateWindowsHostProcessPod: all containers are host processes or none is, and such pods are on the host's network."""
    errors: Errors = []
    of_pod = ((spec.get("securityContext") or {}).get("windowsOptions") or {}).get("hostProcess")
    some = others = 0
    for at, container in visit_containers(spec, path):
        own = ((container.get("securityContext") or {}).get("windowsOptions") or {}).get("hostProcess")
        if of_pod is not None and own is not None and of_pod != own:
            text = f"pod hostProcess value must be identical if both are specified, was {str(of_pod).lower()}"
            errors.append(invalid(f"{at}.securityContext.windowsOptions.hostProcess", own, text))
        if own or (own is None and of_pod):
            some += 1
        else:
            others += 1
    if not some:
        return errors
    if others:
        errors.append(invalid(path, "", MIXED))
    if not spec.get("hostNetwork"):
        text = "hostNetwork must be true if pod contains any hostProcess containers"
        errors.append(invalid(f"{path}.hostNetwork", False, text))
    return errors
