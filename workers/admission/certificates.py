"""Certificate signing requests: nobody asks for membership of the administrators' group."""

from __future__ import annotations

import base64
import binascii

from cryptography import x509
from cryptography.x509.oid import NameOID

from workers.admission.plugin import Plugin, forbidden, on
from workers.registry.attributes import CREATE, Attributes

CLIENT_SIGNER = "kubernetes.io/kube-apiserver-client"
ADMINISTRATORS = "system:masters"


class CertificateSubjectRestriction(Plugin):
    """plugin/pkg/admission/certificates/subjectrestriction."""

    operations = frozenset((CREATE,))
    resources = on("certificatesigningrequests.certificates.k8s.io")

    async def validate(self, attributes: Attributes) -> None:
        assert attributes.obj is not None
        spec = attributes.obj["spec"]
        if spec.get("signerName") != CLIENT_SIGNER:
            return
        try:
            request = x509.load_pem_x509_csr(base64.b64decode(spec.get("request") or ""))
        except (ValueError, binascii.Error):
            return  # validation has said so
        groups = request.subject.get_attributes_for_oid(NameOID.ORGANIZATION_NAME)
        if any(group.value == ADMINISTRATORS for group in groups):
            text = f"use of {CLIENT_SIGNER} signer with {ADMINISTRATORS} group is not allowed"
            raise forbidden(attributes, text)
