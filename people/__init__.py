"""People decide: approvals, who may vote, delegation, the inbox.

models    votes, delegations, messages to people
voting    the one place where a vote is taken, whatever door it comes through
inbox     who is asked for what
links     signed links that let one person vote once
chats     votes from Slack and Teams
notices   who is told of what, and when
api       /approvals
admin     approvals and delegations in the admin
"""
