"""CEL in --authentication-config: what may be written, and what becomes of a token's claims."""

from __future__ import annotations

import asyncio
import json
from typing import Any

import pytest
from apiserver_workers.apimachinery.user import UserInfo
from apiserver_workers.authentication.configuration import parse_authentication_config
from apiserver_workers.authentication.interface import AuthenticationError
from apiserver_workers.authentication.oidc import user_of

from tests.auth.remote import Authority
from tests.auth.test_authentication import config
from tests.auth.test_jwt import OpenIdProvider, answers

Object = dict[str, Any]
NAME = {"expression": "claims.sub"}


@pytest.fixture(scope="module")
def authority(tmp_path_factory: pytest.TempPathFactory) -> Authority:
    return Authority(tmp_path_factory.mktemp("issuer"))


def document(*, url: str = "https://issuer", authority: str = "", mappings: Object | None = None, **jwt: Any) -> bytes:
    issuer = {"url": url, "audiences": ["client"]} | ({"certificateAuthority": authority} if authority else {})
    entry = {"issuer": issuer, "claimMappings": {"username": NAME} | (mappings or {})} | jwt
    kind = {"apiVersion": "apiserver.config.k8s.io/v1", "kind": "AuthenticationConfiguration"}
    return json.dumps(kind | {"jwt": [entry]}).encode()


def fault(**fields: Any) -> str:
    try:
        parse_authentication_config(document(**fields), [])
    except ValueError as error:
        return str(error).removeprefix("invalid authentication configuration: ")
    return ""


def user(claims: Object, **fields: Any) -> UserInfo | str:
    (jwt,) = parse_authentication_config(document(**fields), []).jwt
    try:
        return asyncio.run(user_of(claims, jwt))
    except AuthenticationError as error:
        return str(error)


UNDECLARED = "compilation failed: ERROR: <input>:1:1: undeclared reference to 'x' (in container '')\n | x\n | ^"
UNVERIFIED = (
    "claims.email_verified must be used in claimMappings.username.expression or"
    " claimMappings.extra[*].valueExpression or claimValidationRules[*].expression when claims.email is used in"
    " claimMappings.username.expression"
)
EMAIL = {"username": {"expression": "claims.email"}}
RESERVED = "k8s.io, kubernetes.io and their subdomains are reserved for Kubernetes use"


@pytest.mark.parametrize(
    ("fields", "text"),
    [
        ({}, ""),
        ({"mappings": {"username": {"expression": "x"}}}, f'username.expression: Invalid value: "x": {UNDECLARED}'),
        ({"mappings": {"groups": {"expression": "x"}}}, f'groups.expression: Invalid value: "x": {UNDECLARED}'),
        ({"mappings": {"uid": {"expression": "x"}}}, f'uid.expression: Invalid value: "x": {UNDECLARED}'),
        ({"mappings": {"uid": {"expression": "1"}}}, ""),
        (
            {"mappings": {"username": NAME | {"prefix": ""}}},
            'username.prefix: Invalid value: "": may not be specified when expression is set',
        ),
        (
            {"mappings": {"username": NAME | {"claim": "sub"}}},
            'username: Invalid value: "": claim and expression can\'t both be set',
        ),
        ({"mappings": EMAIL}, f'username.expression: Invalid value: "claims.email": {UNVERIFIED}'),
        ({"mappings": {"username": {"expression": "claims.?email.orValue('x')"}}}, UNVERIFIED),
        ({"mappings": {"username": {"expression": "claims.email_verified ? claims.email : ''"}}}, ""),
        ({"mappings": EMAIL | {"extra": [{"key": "a.b/c", "valueExpression": "string(claims.email_verified)"}]}}, ""),
        (
            {
                "mappings": EMAIL,
                "claimValidationRules": [{"expression": "claims.?email_verified.orValue(true) == true"}],
            },
            "",
        ),
        # a group does not count
        ({"mappings": EMAIL | {"groups": {"expression": "string(claims.email_verified)"}}}, UNVERIFIED),
        ({"mappings": {"extra": [{"key": "", "valueExpression": "''"}]}}, "extra[0].key: Required value"),
        ({"mappings": {"extra": [{"key": "a", "valueExpression": "''"}]}}, "must be a domain-prefixed path"),
        ({"mappings": {"extra": [{"key": "a.b/C", "valueExpression": "''"}]}}, '"a.b/C": must be lowercase'),
        ({"mappings": {"extra": [{"key": "x.k8s.io/c", "valueExpression": "''"}]}}, RESERVED),
        ({"mappings": {"extra": [{"key": "kubernetes.io/c", "valueExpression": "''"}]}}, RESERVED),
        ({"mappings": {"extra": [{"key": "a.b/c"}]}}, "extra[0].valueExpression: Required value"),
        (
            {"mappings": {"extra": [{"key": "a.b/c", "valueExpression": "''"}] * 2}},
            'extra[1].key: Duplicate value: "a.b/c"',
        ),
        (
            {"claimValidationRules": [{"expression": "1"}]},
            'claimValidationRules[0].expression: Invalid value: "1": must evaluate to bool',
        ),
        (
            {"claimValidationRules": [{"expression": "true", "requiredValue": "x"}]},
            'requiredValue: Invalid value: "x": may not be specified when expression is set',
        ),
        (
            {"claimValidationRules": [{"expression": "true"}] * 2},
            'claimValidationRules[1].expression: Duplicate value: "true"',
        ),
        (
            {"claimValidationRules": [{"claim": "a", "expression": "true"}]},
            'claimValidationRules[0]: Invalid value: "a": claim and expression can\'t both be set',
        ),
        ({"userValidationRules": [{}]}, "userValidationRules[0].expression: Required value"),
        ({"userValidationRules": [{"expression": "user.x == ''"}]}, "undefined field 'x'"),
        ({"userValidationRules": [{"expression": "claims.a == ''"}]}, "undeclared reference to 'claims'"),
        (
            {"userValidationRules": [{"expression": "true"}] * 2},
            'userValidationRules[1].expression: Duplicate value: "true"',
        ),
    ],
)
def test_what_may_be_written(fields: Object, text: str) -> None:
    found = fault(**fields)
    assert text in found
    assert bool(text) == bool(found)


def says(expression: str, claims: Object) -> UserInfo | str:
    return user(claims, mappings={"username": {"expression": expression}})


@pytest.mark.parametrize(
    ("expression", "claims", "name"),
    [
        ("claims.sub", {"sub": "jane"}, "jane"),
        ("'x:' + claims.sub", {"sub": "jane"}, "x:jane"),
        # numbers are doubles, as Go decodes them
        ("string(claims.n)", {"n": 3}, "3"),
        ("claims.n == 3.0 ? 'same' : 'other'", {"n": 3}, "same"),
        ("type(claims.n) == double ? 'double' : 'other'", {"n": 3}, "double"),
        ("claims.a__dot__b", {"a.b": "dotted"}, "dotted"),
        ("claims.roles.a__dash__b", {"roles": {"a-b": "inside"}}, "inside"),
        ("claims.roles[0].a__slash__b", {"roles": [{"a/b": "deep"}]}, "deep"),
        ("claims['a.b']", {"a.b": "dotted"}, "dotted"),
        ("has(claims.x) ? 'there' : 'not there'", {}, "not there"),
        ("claims.?x.orValue('none')", {}, "none"),
        ("dyn(claims.roles).exists(r, r == 'admin') ? 'admin' : 'user'", {"roles": ["admin"]}, "admin"),
    ],
)
def test_what_expressions_see_of_claims(expression: str, claims: Object, name: str) -> None:
    found = says(expression, claims)
    assert isinstance(found, UserInfo)
    assert found.name == name


@pytest.mark.parametrize(
    ("expression", "text"),
    [
        (
            "claims.x",
            "oidc: error evaluating username claim expression: expression 'claims.x' resulted in error: no such key: x",
        ),
        (
            "claims.n",
            "oidc: error evaluating username claim expression: username claim expression must return a string",
        ),
        ("claims.empty", "oidc: empty username via CEL expression is not allowed"),
    ],
)
def test_a_name_must_be_a_string_that_is_not_empty(expression: str, text: str) -> None:
    assert says(expression, {"n": 1, "empty": ""}) == text


@pytest.mark.parametrize(
    ("value", "groups"),
    [("a", ("a",)), ("", ()), (None, ()), (["a", "", "b"], ("a", "b")), ([], ())],
)
def test_groups_are_a_string_or_a_list_of_strings(value: Any, groups: tuple[str, ...]) -> None:
    found = user({"sub": "jane", "groups": value}, mappings={"groups": {"expression": "claims.groups"}})
    assert found == UserInfo("jane", "", groups)


@pytest.mark.parametrize("value", [1, True, {"a": "b"}, ["a", 1]])
def test_groups_that_are_none_are_refused(value: Any) -> None:
    found = user({"sub": "jane", "groups": value}, mappings={"groups": {"expression": "claims.groups"}})
    start = "oidc: error evaluating group claim expression: "
    assert found == f"{start}expression must return a string or a list of strings"


def test_a_uid_and_what_is_said_beyond() -> None:
    extra = [
        {"key": "a.b/c", "valueExpression": "dyn(claims.roles).map(r, r + '!')"},
        {"key": "a.b/d", "valueExpression": "''"},
    ]
    mappings = {"uid": {"expression": "claims.id"}, "extra": extra}
    found = user({"sub": "jane", "id": "7", "jti": "t", "roles": ["x", "y"]}, mappings=mappings)
    beyond = {"authentication.kubernetes.io/credential-id": ["JTI=t"], "a.b/c": ["x!", "y!"]}
    assert found == UserInfo("jane", "7", (), beyond)
    wrong = user({"sub": "jane", "id": 7, "roles": []}, mappings=mappings)
    assert wrong == "oidc: error evaluating uid claim expression: uid claim expression must return a string"
    wrong = user(
        {"sub": "jane", "id": "7", "roles": []}, mappings={"extra": [{"key": "a.b/c", "valueExpression": "1"}]}
    )
    assert wrong == (
        "oidc: error evaluating extra claim expression: 1: expression must return a string or a list of strings"
    )


def test_rules_about_claims_and_users() -> None:
    rules = [{"expression": "claims.tenant == 'a'", "message": "wrong tenant"}]
    users = [{"expression": "!user.username.startsWith('system:')", "message": "reserved"}]
    given = {"claimValidationRules": rules, "userValidationRules": users}
    assert user({"sub": "jane", "tenant": "a"}, **given) == UserInfo("jane")
    assert user({"sub": "jane", "tenant": "b"}, **given) == (
        "oidc: error evaluating claim validation expression: validation expression 'claims.tenant == 'a'' failed:"
        " wrong tenant"
    )
    assert user({"sub": "jane"}, **given) == (
        "oidc: error evaluating claim validation expression: expression 'claims.tenant == 'a'' resulted in error:"
        " no such key: tenant"
    )
    assert user({"sub": "system:x", "tenant": "a"}, **given) == (
        "oidc: error evaluating user info validation rule: validation expression"
        " '!user.username.startsWith('system:')' failed: reserved"
    )


def test_a_user_has_all_fields_and_names_with_dots() -> None:
    rule = "has(user.uid) && user.uid == '' && user.groups == ['g'] && user.extra.a__dot__b__slash__c == ['x']"
    mappings = {"groups": {"expression": "['g']"}, "extra": [{"key": "a.b/c", "valueExpression": "'x'"}]}
    found = user({"sub": "jane"}, mappings=mappings, userValidationRules=[{"expression": rule}])
    assert found == UserInfo("jane", "", ("g",), {"a.b/c": ["x"]})


def test_an_expression_may_not_cost_too_much() -> None:
    loops = "dyn(claims.l).all(a, dyn(claims.l).all(b, dyn(claims.l).all(c, a + b + c > 0.0)))"
    found = user({"sub": "jane", "l": [1] * 200}, claimValidationRules=[{"expression": loops}])
    assert isinstance(found, str)
    assert found.endswith("resulted in error: operation cancelled: actual cost limit exceeded")


def test_tokens_are_judged_by_expressions(tmp_path: Any, authority: Authority) -> None:
    provider: Any
    with OpenIdProvider(authority) as provider:
        path = tmp_path / "authentication.json"
        mappings = {"username": {"expression": "'jwt:' + claims.sub"}, "groups": {"expression": "claims.roles"}}
        rules = [{"expression": "claims.exp - claims.iat <= 3600.0", "message": "lives too long"}]
        content = document(
            url=provider.url, authority=authority.file.read_text(), mappings=mappings, claimValidationRules=rules
        )
        path.write_bytes(content)
        short = {"iat": 1_000_000, "roles": ["dev"]}
        good, late = provider.token(iat=None, roles=["dev"]), provider.token(**short)
        assert answers(config(tmp_path, authentication_config=str(path)), late, good) == [
            "[invalid bearer token, oidc: error evaluating claim validation expression: validation expression"
            " 'claims.exp - claims.iat <= 3600.0' failed: lives too long]",
            "[invalid bearer token, oidc: error evaluating claim validation expression: expression"
            " 'claims.exp - claims.iat <= 3600.0' resulted in error: no such key: iat]",
        ]
        path.write_bytes(document(url=provider.url, authority=authority.file.read_text(), mappings=mappings))
        assert answers(config(tmp_path, authentication_config=str(path)), good) == [
            UserInfo("jwt:jane", "", ("dev", "system:authenticated"))
        ]
