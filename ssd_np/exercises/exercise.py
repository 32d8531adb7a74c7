"""What an exercise is: the functions of the library that are left blank, and who grades them.

Everything else in an exercise's file (signatures, docstrings, helper functions, the results of the
worked example) is taken from the library when the file is made, so it can not drift from it.
"""

from dataclasses import dataclass


@dataclass(frozen=True)
class Exercise:
    """`functions` of `module` are to be written; `tests` (a file of graded/) grade them.

    given    helper functions and imported names that the blank file offers
    example  lines of Python; the values of those that are expressions are worked out and shown
    results  the names of what a function returns, if it is more than one thing
    hint     what a writer must know that the docstrings do not say
    """

    name: str
    lesson: int
    module: str
    functions: tuple[str, ...]
    tests: str
    example: tuple[str, ...]
    given: tuple[str, ...] = ()
    results: tuple[str, ...] = ()
    hint: str = ""
