"""PodSecurity: pods keep to the level that their namespace's labels ask for (k8s.io/pod-security-admission)."""

from apiserver_workers.admission.pod_security.plugin import PodSecurity

__all__ = ["PodSecurity"]
