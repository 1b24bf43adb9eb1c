"""ResourceQuota: a namespace uses no more than its quotas grant (k8s.io/apiserver/pkg/admission/plugin/resourcequota)."""

from apiserver_workers.admission.resource_quota.plugin import ResourceQuota

__all__ = ["ResourceQuota"]
