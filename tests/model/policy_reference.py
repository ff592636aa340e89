"""The policy language, written down naively: what one document says.

Nothing is compiled, patterns are followed character by character, and every
rule stands where a reader looks for it. Knows no speed and no malformed documents.
"""

import base64
import ipaddress
import json
import re
from datetime import datetime, timezone

VARIABLE = re.compile(r"\$\{([^}]*)\}")


class Unknown(Exception):
    """It cannot be said whether it matches."""


def listed(value):
    return value if isinstance(value, list) else [value]


def values_of(context, key):
    return [value for name, value in context if name.lower() == key.lower()]


def substitute(inside, context):
    if inside in ("*", "?", "$"):
        return inside
    key, _, default = inside.partition(",")
    values = values_of(context, key.strip())
    if len(values) == 1:
        return values[0]
    if not values and default:
        return default.strip()[1:-1]
    raise Unknown


def elements(text, context, variables, wildcards):
    """A policy's text as characters, and None, True for '*' and '?'."""
    at = 0
    while at < len(text):
        variable = VARIABLE.match(text, at) if variables else None
        if variable:
            yield from substitute(variable.group(1), context)
            at = variable.end()
            continue
        special = {"*": None, "?": True} if wildcards else {}
        yield special.get(text[at], text[at])
        at += 1


def matches(text, value, context, variables, wildcards=True, fold=False):
    """Follows every way to match at once: the set of places reached."""
    pattern = list(elements(text, context, variables, wildcards))
    if fold:
        value = value.lower()
        pattern = [one.lower() if isinstance(one, str) else one
                   for one in pattern]
    places = {0}
    for element in pattern:
        if element is None:
            places = set(range(min(places), len(value) + 1)) if places else places
        else:
            places = {at + 1 for at in places if at < len(value)
                      and (element is True or element == value[at])}
    return len(value) in places


# --- conditions ---------------------------------------------------------------

def number(text):
    if not re.fullmatch(r"[+-]?[0-9]+(\.[0-9]+)?", text):
        raise Unknown
    return float(text)


def date(text):
    try:
        return number(text) * 1000
    except Unknown:
        pass
    try:
        parsed = datetime.fromisoformat(text.replace("Z", "+00:00"))
    except ValueError:
        raise Unknown from None
    if parsed.tzinfo is None:
        parsed = parsed.replace(tzinfo=timezone.utc)
    return parsed.timestamp() * 1000


def truth(text):
    if text.lower() not in ("true", "false"):
        raise Unknown
    return text.lower() == "true"


def network(text):
    try:
        parsed = ipaddress.ip_network(text, strict=False)
    except ValueError:
        raise Unknown from None
    mapped = getattr(parsed.network_address, "ipv4_mapped", None)
    if mapped is None:
        return parsed
    return ipaddress.ip_network(f"{mapped}/{parsed.prefixlen - 96}", strict=False)


def inside(operand, value):
    outer, inner = network(operand), network(value)
    return outer.version == inner.version and inner.subnet_of(outer)


def arn_matches(operand, value, context, variables):
    if operand == "*":
        return True
    hidden = VARIABLE.sub(lambda found: found.group().replace(":", "\0"), operand)
    wanted = [part.replace("\0", ":") for part in hidden.split(":", 5)]
    given = value.split(":", 5)
    unknown = False
    if len(given) != 6:
        return False
    for pattern, part in zip(wanted, given):
        try:
            if not matches(pattern, part, context, variables):
                return False
        except Unknown:
            unknown = True
    if unknown:
        raise Unknown
    return True


COMPARE = {
    "Equals": lambda a, b: a == b,
    "LessThan": lambda a, b: a < b,
    "LessThanEquals": lambda a, b: a <= b,
    "GreaterThan": lambda a, b: a > b,
    "GreaterThanEquals": lambda a, b: a >= b,
}


def one_matches(operator, operand, value, context, variables):
    """Of the operators without their Not."""
    if operator in ("StringEquals", "StringEqualsIgnoreCase"):
        return matches(operand, value, context, variables, False,
                       operator.endswith("Case"))
    if operator == "StringLike":
        return matches(operand, value, context, variables)
    if operator.startswith("Numeric"):
        return COMPARE[operator[7:]](number(value), number(operand))
    if operator.startswith("Date"):
        return COMPARE[operator[4:]](date(value), date(operand))
    if operator == "Bool":
        return truth(value) == truth(operand)
    if operator == "BinaryEquals":
        return value.encode("latin-1", "replace") == base64.b64decode(operand)
    if operator == "IpAddress":
        return inside(operand, value)
    return arn_matches(operand, value, context, variables)


def as_text(value):
    if isinstance(value, bool):
        return "true" if value else "false"
    return str(value)


def value_holds(operator, negated, operands, value, context, variables, allows):
    unknown = False
    for operand in operands:
        try:
            if one_matches(operator, operand, value, context, variables):
                return not negated
        except Unknown:
            unknown = True
    return negated and not (unknown and allows)


def condition_holds(name, key, operands, context, variables, allows):
    quantifier, _, operator = name.rpartition(":")
    if_exists = operator.endswith("IfExists")
    operator = operator.removesuffix("IfExists")
    negated = "Not" in operator
    operator = operator.replace("Not", "")
    operands = [as_text(operand) for operand in listed(operands)]
    values = values_of(context, key)
    if operator == "Null":
        return any(truth(operand) == (not values) for operand in operands)
    if not values:
        if if_exists or quantifier == "ForAllValues":
            return True
        return negated and not quantifier
    held = [value_holds(operator, negated, operands, value, context, variables,
                        allows) for value in values]
    if quantifier == "ForAllValues" or (not quantifier and negated):
        return all(held)
    return any(held)


# --- principals ---------------------------------------------------------------

def names(kind, text, caller):
    """How one principal names the caller: "", "account", "caller"."""
    if kind == "AWS" and text == "*":
        return "caller"
    if kind == "Service" or caller["anonymous"]:
        return ""
    if kind == "Federated":
        return "caller" if caller["federated"] == text else ""
    account = re.fullmatch(r"arn:aws:iam::(\d{12}):root|(\d{12})", text)
    if account:
        number_ = account.group(1) or account.group(2)
        return "account" if caller["account"] == number_ else ""
    if text == caller["canonical"]:
        return "account"
    return "caller" if text in (caller["arn"], caller["role_arn"]) else ""


def principal_matches(statement, caller):
    negated = "NotPrincipal" in statement
    principal = statement.get("NotPrincipal" if negated else "Principal")
    if principal is None:
        return True
    if principal == "*":
        principal = {"AWS": "*"}
    found = {names(kind, text, caller)
             for kind, texts in principal.items() for text in listed(texts)}
    if not negated:
        return found != {""}
    if statement["Effect"] == "Allow" or caller["arn"].endswith(":root"):
        return found == {""}
    return "caller" not in found


# --- statements ---------------------------------------------------------------

def element_matches(statement, name, value, context, variables,
                    fold=False):
    negated = "Not" + name in statement
    patterns = statement.get("Not" + name if negated else name)
    if patterns is None:
        return True
    unknown = False
    for pattern in listed(patterns):
        try:
            if matches(pattern, value, context, variables, True, fold):
                return not negated
        except Unknown:
            unknown = True
    return negated and not (unknown and statement["Effect"] == "Allow")


def statement_matches(statement, variables, request):
    context = request["context"]
    return (
        principal_matches(statement, request["caller"])
        and element_matches(statement, "Action", request["action"], context,
                            False, True)
        and element_matches(statement, "Resource", request["resource"], context,
                            variables)
        and all(condition_holds(name, key, operands, context, variables,
                                statement["Effect"] == "Allow")
                for name, keys in statement.get("Condition", {}).items()
                for key, operands in keys.items()))


def evaluate(document, request):
    """"deny", "allow" or "none"."""
    document = json.loads(document)
    variables = document.get("Version") == "2012-10-17"
    effects = {statement["Effect"] for statement in listed(document["Statement"])
               if statement_matches(statement, variables, request)}
    return "deny" if "Deny" in effects else "allow" if effects else "none"
