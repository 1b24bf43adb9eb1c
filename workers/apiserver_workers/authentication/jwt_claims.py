"""Reading JWTs of strangers: every field has the type that Go's decoding into structs would demand, or the token is none.

Nothing here raises anything but what it says, whatever the bytes are.
"""

from __future__ import annotations

from typing import Any, NamedTuple

import jwt
import orjson

Claims = dict[str, Any]
# A type, a tuple of types, or the shapes of an object's fields.
Shape = type | tuple[type, ...] | dict[str, Any]

NUMBER = (int, float)
TEXTS = (str, list)  # a string, or a list of strings
HEADER = {"alg": str, "kid": str}
REGISTERED = {"iss": str, "sub": str, "aud": TEXTS, "exp": NUMBER, "nbf": NUMBER, "iat": NUMBER, "jti": str}

_JWS = jwt.PyJWS()


class Unverified(NamedTuple):
    """What a token says before anybody has looked at its signature."""

    algorithm: str
    key_id: str
    issuer: str


class WrongType(ValueError):
    """A claim has another type than its name demands."""


def unverified(token: str) -> Unverified | None:
    """The parts of a token that choose who judges it; None if it is no JWT."""
    segments = token.split(".")
    if len(segments) != 3:
        return None
    try:
        header = shaped(_object(segments[0]), HEADER)
        claims = shaped(_object(segments[1]), {"iss": str})
    except ValueError:
        return None
    return Unverified(header.get("alg", ""), header.get("kid", ""), claims.get("iss", ""))


def verified(token: str, key: Any, algorithm: str) -> Claims | None:
    """The claims of a token that this key has signed, None if it has not. Their types are unchecked."""
    try:
        payload = _JWS.decode(token, key, [algorithm])
        claims = orjson.loads(payload)
    except (jwt.PyJWTError, ValueError, TypeError, RecursionError):
        return None
    return claims if isinstance(claims, dict) else None


def shaped(value: Any, shape: Shape) -> Any:
    """The value without the nulls among the fields that `shape` names; fields that it does not name stay as they are.

    Raises WrongType for what has another type.
    """
    if isinstance(shape, dict):
        return _fields(value, shape)
    if isinstance(value, bool) or not isinstance(value, shape):
        raise WrongType(f"{type(value).__name__} where another type is expected")
    if isinstance(value, list) and not all(isinstance(one, str) for one in value):
        raise WrongType("list of anything but strings")
    return value


def _fields(value: Any, shape: dict[str, Any]) -> Claims:
    if not isinstance(value, dict):
        raise WrongType(f"{type(value).__name__} where an object is expected")
    found = {name: one for name, one in value.items() if one is not None or name not in shape}
    for name, wanted in shape.items():
        if name in found:
            found[name] = shaped(found[name], wanted)
    return found


def _object(segment: str) -> Any:
    return orjson.loads(jwt.utils.base64url_decode(segment))
