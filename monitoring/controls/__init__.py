"""Controls: what frameworks such as SOC 2 ask for, what the platform does about it, and whether that holds now.

Note [Controls]
`mechanisms.yaml` names what the platform does, each with the live checks that show it and the kinds of evidence it
leaves. `frameworks/` names the controls of each framework by their ids, with a few words of ours, and which mechanisms
serve them; what the platform does nothing about says so (`gap`). No text of a framework is copied.

A check looks: it asks PostgreSQL, reads the chain, counts keys. It answers one of four things:

    holds     it was looked at, and it is so
    fails     it was looked at, and it is not so: the rule `control-failing` raises an alert
    absent    this installation has not set it up; the control lacks it, and nobody is woken for it
    unknown   it could not be looked at; that is no "holds"

The leader looks every few minutes, notes each change, and once a day what has not changed. So the history of a quarter
is there when an auditor asks, and cannot be made afterwards: rows are only added.
"""
