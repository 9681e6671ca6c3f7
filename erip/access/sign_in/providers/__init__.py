"""Sign-in of people at identity providers (OIDC, SAML), whom they are here, and which roles their groups have.

configured  the setting, as it is read
oidc, saml  what a provider shows of somebody, checked
accounts    whom that is here, and what they may do
asking      what this browser was sent away with
views       the pages
"""
