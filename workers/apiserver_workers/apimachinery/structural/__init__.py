"""Structural schemas of custom resources: pruning, defaulting, validation and rules, as pure functions on JSON values.

Upstream: apiextensions-apiserver/pkg/apiserver/schema, pkg/apiserver/validation, kube-openapi/pkg/validation.
"""
