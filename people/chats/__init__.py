"""Votes from a chat: Slack and Microsoft Teams send what somebody typed, and show the answer to them.

signed    what both have in common: a request is believed once, for a short while, if it is signed
slack     slash commands and buttons
teams     outgoing webhooks
people    who somebody of a chat is here
commands  what can be said, and the answers
views     /chat/slack and /chat/teams
"""
