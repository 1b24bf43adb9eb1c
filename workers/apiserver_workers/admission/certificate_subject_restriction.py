"""CertificateSubjectRestriction: nobody becomes a master by a client certificate of the cluster's own signer."""

from __future__ import annotations

import base64

from cryptography import x509
from cryptography.x509.oid import NameOID

from apiserver_workers.admission.plugin import Plugin, forbidden
from apiserver_workers.admission.signers import REQUESTS
from apiserver_workers.registry.attributes import CREATE, Attributes

CLIENT_SIGNER = "kubernetes.io/kube-apiserver-client"
MASTERS = "system:masters"


class CertificateSubjectRestriction(Plugin):
    """Sees new certificate requests."""

    name = "CertificateSubjectRestriction"
    operations = frozenset((CREATE,))
    resources = frozenset((REQUESTS,))

    def validate(self, attributes: Attributes) -> None:
        assert attributes.obj is not None
        spec = attributes.obj.get("spec") or {}
        if spec.get("signerName") != CLIENT_SIGNER:
            return
        try:
            request = x509.load_pem_x509_csr(base64.b64decode(spec.get("request") or ""))
        except ValueError as error:
            raise forbidden(attributes, f"failed to parse CSR: {error}") from None
        organizations = request.subject.get_attributes_for_oid(NameOID.ORGANIZATION_NAME)
        if any(organization.value == MASTERS for organization in organizations):
            raise forbidden(attributes, f"use of {CLIENT_SIGNER} signer with {MASTERS} group is not allowed")
