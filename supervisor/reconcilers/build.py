"""Which reconciler the options ask for."""

from __future__ import annotations

import grpc

from supervisor.options.parsing import CompletedOptions
from supervisor.reconcilers.reconcilers import (
    LeaseReconciler,
    MasterCountReconciler,
    NoneReconciler,
    ReconcileError,
    Reconciler,
)
from supervisor.reconcilers.store import Store, StoreError
from workers.storage.factory import parse_overrides, storage_formats, watched_rules
from workers.storage.formats import Unreadable

unreachable = (StoreError, grpc.RpcError)
failures = (ReconcileError, Unreadable, ValueError, *unreachable)


def build(options: CompletedOptions) -> Reconciler:
    """The reconciler of --endpoint-reconciler-type, connected to etcd."""
    if options.endpoint_reconciler_type == "none":
        return NoneReconciler()
    formats = storage_formats(options)
    store = Store(
        options.etcd_servers,
        options.etcd_prefix,
        ca=options.etcd_cafile,
        certificate=options.etcd_certfile,
        key=options.etcd_keyfile,
        others=parse_overrides(options.etcd_servers_overrides),
        formats=formats,
        rules=watched_rules(options, formats),
    )
    ip, port = options.advertise_address, options.advertise_port or options.secure_port
    if options.endpoint_reconciler_type == "master-count":
        return MasterCountReconciler(store, ip, port, options.apiserver_count)
    return LeaseReconciler(store, ip, port)
