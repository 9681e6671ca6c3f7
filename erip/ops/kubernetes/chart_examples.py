"""Values of the Helm chart that are examples: a production must name its own. The same is said here and by helm."""

import json
import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final


@dataclass(frozen=True, slots=True)
class Example:
    """A value that must not be left as it is.

    path: where it is. wrong: what its JSON is then; unless `right`, which it has to be. Both are expressions that Go
    and Python read alike. instead: what to put there. component: the one without which it does not matter.
    """

    path: str
    instead: str
    wrong: str = ""
    right: str = ""
    component: str = ""


#: names that nobody can have (RFC 2606, RFC 6761), anywhere in a text
RESERVED: Final = (
    r"(?i)(^|[^a-z0-9-])(example[.](org|com|net)|[a-z0-9-]+[.](example|invalid|test))[.]?(:[0-9]+)?([^a-z0-9.-]|$)"
)
EXAMPLES: Final = (
    Example("hosts", "the names under which people reach it", wrong=RESERVED),
    Example("image.repository", "the registry in which your image is", wrong=RESERVED),
    Example(
        "image.tag",
        "the tag with the digest of your image, such as 0.1.0@sha256:…, for a tag may be moved",
        right='@sha256:[0-9a-f]{64}"$',
    ),
    Example(
        "settings.ERIP_TRUSTED_PROXIES",
        "the addresses of your ingress, and no others (if they are this network, name its halves)",
        wrong='^(null|""|"10[.]0[.]0[.]0/16")$',
    ),
    Example("settings.ERIP_ALLOWED_HOSTS", "your hosts", wrong=RESERVED),
    Example("settings.ERIP_PUBLIC_URL", "your address", wrong=RESERVED),
    Example("postgres.backup.store.destinationPath", "your bucket", wrong=RESERVED, component="cloudnativePg"),
)


def left(values: Mapping[str, Any]) -> list[str]:
    """What the chart says of these values before it makes anything: `hosts: put …`, all at once."""
    if not values["production"]:
        return []
    found = []
    for one in EXAMPLES:
        value: Any = values
        for step in one.path.split("."):
            value = value.get(step) if isinstance(value, Mapping) else None
        text = json.dumps(value, ensure_ascii=False)
        if one.component and not values["components"][one.component]:
            continue
        if re.search(one.wrong, text) if one.wrong else not re.search(one.right, text):
            found.append(f"{one.path}: put {one.instead}")
    return found


def refusal() -> str:
    """The same, in the templates' language."""
    lines = [
        "{{- /* Values that are examples are no values of a production. */ -}}",
        '{{- define "erip.examples" -}}',
        "{{- $wrong := list -}}",
    ]
    for one in EXAMPLES:
        value = f"(dig {' '.join(json.dumps(step) for step in one.path.split('.'))} nil (.Values | toJson | fromJson))"
        test = f"regexMatch `{one.wrong or one.right}` ({value} | toJson)"
        condition = test if one.wrong else f"not ({test})"
        if one.component:
            condition = f"and .Values.components.{one.component} ({condition})"
        said = json.dumps(f"{one.path}: put {one.instead}", ensure_ascii=False)
        lines.append(f"{{{{- if {condition} -}}}}{{{{- $wrong = append $wrong {said} -}}}}{{{{- end -}}}}")
    head = "these values are examples, or lacking (for a trial: production: false):"
    lines += [
        "{{- if and .Values.production $wrong -}}",
        f'{{{{- fail (printf "\\n{head}\\n- %s" (join "\\n- " $wrong)) -}}}}',
        "{{- end -}}",
        "{{- end -}}",
    ]
    return "\n".join(lines) + "\n"
