"""Reads deploy/image/Containerfile, as far as that file goes."""

import json
import shlex
from dataclasses import dataclass, field
from pathlib import Path

from erip.ops.stack.state import ROOT

CONTAINERFILE = ROOT / "deploy" / "image" / "Containerfile"


@dataclass
class Stage:
    """base: what it is made from. said: each instruction with its words, in order."""

    base: str
    name: str
    said: list[tuple[str, str]] = field(default_factory=list)

    def all(self, instruction: str) -> list[str]:
        return [words for name, words in self.said if name == instruction]

    def only(self, instruction: str) -> str:
        (found,) = self.all(instruction)
        return found

    @property
    def environment(self) -> dict[str, str]:
        return dict(word.split("=", 1) for words in self.all("ENV") for word in shlex.split(words))

    def listed(self, instruction: str) -> list[str]:
        """The words of an instruction in its JSON form."""
        return json.loads(self.only(instruction))  # type: ignore[no-any-return]


def stages(path: Path = CONTAINERFILE) -> list[Stage]:
    """The stages; the last one is the image."""
    text = "".join(line for line in path.read_text().splitlines(keepends=True) if not line.lstrip().startswith("#"))
    found: list[Stage] = []
    for line in text.replace("\\\n", " ").splitlines():
        instruction, _, words = line.strip().partition(" ")
        if instruction == "FROM":
            base, _, name = words.partition(" AS ")
            found.append(Stage(base, name))
        elif instruction and found:
            found[-1].said.append((instruction, words.strip()))
    return found
