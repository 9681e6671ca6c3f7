"""CEL's compiler: the extension module of the package `cel`, without the rest of that package.

`import cel` also imports the package's command line, and with it prompt_toolkit: 180 modules, a tenth of a second and
7 MB in each process, for something that a server never uses.
"""

import sys
from importlib.machinery import PathFinder
from importlib.util import find_spec, module_from_spec
from typing import Any

_NAME = "cel.cel"


def _extension() -> Any:
    if _NAME in sys.modules:
        return sys.modules[_NAME]
    package = find_spec("cel")  # nothing of it is executed
    places = package.submodule_search_locations if package else None
    spec = PathFinder.find_spec(_NAME, places) if places else None
    if spec is None or spec.loader is None:
        raise ModuleNotFoundError("the package common-expression-language is not installed", name="cel")
    made = module_from_spec(spec)
    # An extension may be initialised only once: a later `import cel` finds this one.
    sys.modules[_NAME] = made
    spec.loader.exec_module(made)
    return made


#: text -> a program with `execute(variables)`. Raises an exception of no particular class.
compile = _extension().compile
