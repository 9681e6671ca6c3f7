"""What leaves no entry of its own, each with the reason. Everything else does."""

#: operations of the API (by operation id) that change nothing; if they ever do, the change is recorded all the same
READING: dict[str, str] = {
    "validateWorkflow": "checks a text and keeps nothing",
    "previewUnstoredSchedule": "computes times and keeps nothing",
    "validateDecisionTable": "checks a document and keeps nothing",
    "evaluateDecisionTable": "computes an answer and keeps nothing",
    "whatIfDecisionTable": "compares decisions and keeps nothing",
    "whatIfWorkflow": "compares runs and keeps nothing",
    "backtestAlertRule": "reads metrics and keeps nothing",
    "scimSearch": "reads people or groups",
}

#: operations that write their entry themselves, with the change: Note [Audited starts] in `starts`
BY_THEMSELVES: frozenset[str] = frozenset({"startRun", "startRuns", "acceptEvents"})

#: pages (by URL name) whose POST changes nothing
PAGES: dict[str, str] = {
    "console:theme": "a cookie of the browser",
    "console:try-decision": "computes an answer and keeps nothing",
    "console:draft-decision": "checks what was typed in and keeps nothing",
    "admin:jsi18n": "texts for scripts",
    "admin:sign_in_at": "sends the browser to an identity provider",
}

#: beneath these addresses a GET changes something, too: the browser of somebody who has signed in elsewhere comes back
CHANGING_READS = ("/admin/sign-in/",)

_BUILT_IN = "a tool of Django's that does not write to the database"
#: commands of manage.py
COMMANDS: dict[str, str] = {
    **dict.fromkeys(
        (
            "check",
            "collectstatic",
            "compilemessages",
            "createcachetable",
            "dbshell",
            "diffsettings",
            "dumpdata",
            "findstatic",
            "generate_swagger",
            "help",
            "inspectdb",
            "makemessages",
            "makemigrations",
            "optimizemigration",
            "pgtrigger",
            "runserver",
            "sendtestemail",
            "showmigrations",
            "spectacular",
            "sqlflush",
            "sqlmigrate",
            "sqlsequencereset",
            "squashmigrations",
            "startapp",
            "startproject",
            "test",
            "testserver",
            "version",
        ),
        _BUILT_IN,
    ),
    "run_leader": "a process of the platform: what it does by itself has no author",
    "autoscale": "a process of the platform: what it does by itself has no author",
    "stack": "starts and stops servers; it does not write to the database",
    "render_deploy": "writes files",
    "reference": "writes documentation",
    "settings": "reads",
    "chart": "writes files of deploy/",
    "doctor": "reads",
    "await_primary": "waits until the database can be written to",
    "upgrade": "reads",
    "lint_migrations": "reads files, and writes one",
    "support_bundle": "reads, and writes a file",
    "new": "writes files",
    "validate": "checks files",
    "explain": "reads",
    "rehearse": "plays a run in memory; what it writes is rolled back",
    "replay": "decides again in memory and keeps nothing",
    "plan": "reads",
    "pulse": "reads",
    "controls": "looks, and notes what it saw; nothing that anybody decides",
    "run_benchmarks": "measures; no part of a platform that is used",
    "traffic": "reads rates and logs, and writes a file",
}
