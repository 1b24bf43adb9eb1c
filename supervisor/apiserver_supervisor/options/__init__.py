"""The options as data: a flag is one entry in the module of its group.

Groups are in upstream's order, which is the order of --help. Those that kube-apiserver has dropped are where they were; the
supervisor's own group comes before the global one.
"""

from apiserver_supervisor.options import (
    admission,
    api_enablement,
    auditing,
    authentication,
    authorization,
    cloud_provider,
    egress_selector,
    etcd,
    features,
    generic,
    global_flags,
    insecure_serving,
    logs,
    metrics,
    misc,
    secure_serving,
    storage,
    supervisor,
    traces,
)
from apiserver_supervisor.options.flag import Flag, FlagGroup

GROUPS: tuple[FlagGroup, ...] = tuple(
    module.GROUP
    for module in (
        generic,
        etcd,
        secure_serving,
        insecure_serving,
        auditing,
        features,
        authentication,
        authorization,
        cloud_provider,
        storage,
        api_enablement,
        egress_selector,
        admission,
        metrics,
        logs,
        traces,
        misc,
        supervisor,
        global_flags,
    )
)

FLAGS: dict[str, Flag] = {flag.name: flag for group in GROUPS for flag in group.flags}
