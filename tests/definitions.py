"""Definitions of the tests' own."""

from workflows import engine

CHAIN = """
name: chain
steps:
  a: {uses: sample.work, with: {times: "${{ input.times }}"}}
  b: {uses: sample.work, needs: [a], with: {times: "${{ input.times }}"}}
  c: {uses: sample.work, needs: [b], with: {times: "${{ input.times }}"}}
  d: {uses: sample.echo, needs: [c], with: {value: "${{ steps.c.output.value }}"}}
output: "${{ steps.d.output }}"
"""

DIAMOND = """
name: diamond
steps:
  top:   {uses: sample.echo, with: {value: 1}}
  left:  {uses: sample.echo, needs: [top], with: {value: "l"}}
  right: {uses: sample.echo, needs: [top], with: {value: "r"}}
  join:  {uses: sample.echo, needs: [left, right],
          with: {value: ["${{ steps.left.output.value }}", "${{ steps.right.output.value }}"]}}
output: "${{ steps.join.output.value }}"
"""


FAN_OUT = """
name: fan-out
steps:
  each:
    uses: sample.work
    foreach: ${{ input.items }}
    with: {times: "${{ input.times }}"}
  after: {uses: sample.echo, needs: [each], with: {value: "${{ steps.each.output.total }}"}}
output: ${{ steps.each.output }}
"""


def one_step(uses: str, with_: str = "{}", extra: str = "", name: str = "one") -> str:
    return (
        f"name: {name}\nsteps:\n  only: {{uses: {uses}, with: {with_}{extra}}}\noutput: ${{{{ steps.only.output }}}}\n"
    )


def publish(source: str) -> str:
    """Publish, and return the name."""
    return engine.publish(None, source, "yaml", author="test").name
