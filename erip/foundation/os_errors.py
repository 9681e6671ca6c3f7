"""What the operating system refused, in words: `[Errno 2] No such file or directory: 'a.yaml'` is for programmers."""


def in_words(error: BaseException, of: object = "") -> str:
    """`a.yaml: no such file or directory`; of an error that is none of the operating system's, its own text.

    of: what was tried, for an error that names no file itself; it comes first, and is not said twice.
    """
    name = str(of)
    if isinstance(error, OSError) and error.strerror:
        # Of two files, as when one is renamed, both.
        files = [str(one) for one in (error.filename, error.filename2) if one not in (None, "", b"")]
        name = " -> ".join(files) or name
        text = str(error.strerror)
        # An abbreviation stays as it is.
        text = text[:1].lower() + text[1:] if text[1:2].islower() else text
    else:
        text = str(error) or type(error).__name__
    return f"{name}: {text}" if name else text
